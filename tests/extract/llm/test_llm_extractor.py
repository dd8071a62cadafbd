"""Documents through a model: several in a request, mended once, every answer with the words it came from."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tasks.extract.extractor import Extraction
from tasks.extract.llm.extractor import LLMExtractor
from tasks.llm.request import Request, Usage
from tasks.llm.store import RequestStore
from tasks.records import Reject, Stopped
from tests.extract.llm.scripted import PRICES, Scripted, capitals, extract, pairs_json, refines, texts_of

FRANCE = ("f", "Cheese is made. Paris is the capital of France.")
ITALY = ("i", "Rome is the capital of Italy. Nice.")
NOTHING = ("n", "Nothing is the matter here.")
PARAMETERS = {"max_tokens": 100}


def made_of(extraction: Extraction | Reject) -> Extraction:
    assert isinstance(extraction, Extraction)
    return extraction


def test_every_pair_has_its_words_its_request_and_its_model(tmp_path: Path) -> None:
    model = Scripted(capitals)
    made = [made_of(one) for one in extract(tmp_path, model, [FRANCE, NOTHING, ITALY])]
    assert [len(one.pairs) for one in made] == [1, 0, 1]
    pair = made[0].pairs[0]
    assert (pair.question, pair.answer) == ("What is the capital of France?", "Paris")
    assert FRANCE[1][pair.start : pair.end] == "Paris is the capital of France"
    assert (pair.id, pair.document_id, pair.extractor, pair.rule) == ("f#0", "f", "llm/1", "m")
    with RequestStore(tmp_path / "requests.sqlite") as store:
        assert "Paris" in store.get_many([pair.prompt_hash])[pair.prompt_hash]
    first, second = model.asked
    assert texts_of(first) == [FRANCE[1], NOTHING[1], ITALY[1]]
    assert refines(second)
    assert len(texts_of(second)) == 2  # what has no pairs has nothing to mend
    one = PRICES.cost(Usage(sent=100, answered=10))
    assert [one_made.cost for one_made in made] == pytest.approx(
        [one / 3 + one / 2, one / 3, one / 3 + one / 2]
    )


def test_a_pair_whose_words_are_not_in_the_document_is_rejected(tmp_path: Path) -> None:
    pairs = [("Who?", "Ada", "Ada wrote it"), ("What?", "Cheese", "cheese IS made")]
    model = Scripted(lambda request: json.dumps({"1": pairs_json(pairs)}))
    (made,) = extract(tmp_path, model, [FRANCE], LLMExtractor("m", PARAMETERS, refine=False))
    made = made_of(made)
    assert [pair.answer for pair in made.pairs] == ["Cheese"]
    assert [(reject.reason, reject.id) for reject in made.rejects] == [("quote not in the document", "f")]
    assert "Ada wrote it" in made.rejects[0].detail


def test_mended_pairs_take_the_place_of_the_first(tmp_path: Path) -> None:
    def script(request: Request) -> str:
        if not refines(request):
            return capitals(request)
        return json.dumps({"1": pairs_json([("Which city?", "Paris.", "Paris is the capital")])})

    (made,) = extract(tmp_path, Scripted(script), [FRANCE])
    assert [pair.question for pair in made_of(made).pairs] == ["Which city?"]


def test_pairs_stay_as_they_were_where_the_model_does_not_mend_them(tmp_path: Path) -> None:
    model = Scripted(lambda request: "no" if refines(request) else capitals(request))
    (made,) = extract(tmp_path, model, [FRANCE])
    assert [(pair.answer, pair.rule) for pair in made_of(made).pairs] == [("Paris", "m, not refined")]


def test_a_document_without_an_answer_is_a_reject_and_costs_the_others_nothing(tmp_path: Path) -> None:
    def script(request: Request) -> str:
        answers = json.loads(capitals(request))
        return json.dumps(
            {
                number: answer
                for (number, answer), text in zip(answers.items(), texts_of(request), strict=True)
                if "Nothing" not in text
            }
        )

    made = extract(tmp_path, Scripted(script), [FRANCE, NOTHING, ITALY])
    assert [len(made_of(one).pairs) for one in (made[0], made[2])] == [1, 1]
    reject = made[1]
    assert isinstance(reject, Reject)
    assert replace(reject, cost=0.0) == Reject(
        "extract", "no answer from the model", "n", "the answer could not be read"
    )
    # A third of the first request, and two of its own.
    assert reject.cost == pytest.approx((1 / 3 + 1 + 1) * (100 * PRICES.input + 10 * PRICES.output) / 1e6)


def test_short_documents_share_a_request_and_a_long_one_goes_alone() -> None:
    extractor = LLMExtractor("m", PARAMETERS, documents_per_request=3, tokens_per_request=100)
    short, long = "a word or two", "word " * 200
    assert list(extractor.groups([short] * 4 + [long, short])) == [[0, 1, 2], [3], [4], [5]]
    assert list(extractor.groups([])) == []


def test_what_changes_the_pairs_is_other_work() -> None:
    settings = [
        LLMExtractor("m", PARAMETERS).settings,
        LLMExtractor("other", PARAMETERS).settings,
        LLMExtractor("m", {**PARAMETERS, "temperature": 1}).settings,
        LLMExtractor("m", PARAMETERS, refine=False).settings,
    ]
    assert all(settings.count(one) == 1 for one in settings)
    assert LLMExtractor("m", PARAMETERS, documents_per_request=2).settings == settings[0]


def test_a_budget_that_ends_keeps_what_was_answered(tmp_path: Path) -> None:
    model = Scripted(capitals)
    extractor = LLMExtractor("m", PARAMETERS, refine=False, documents_per_request=1)
    documents = [(str(number), f"Town{number} is the capital of Land{number}.") for number in range(40)]
    with pytest.raises(Stopped, match="--max-cost"):
        extract(tmp_path, model, documents, extractor, budget=0.005)
    answered = len(model.asked)
    assert 0 < answered < 40
    made = extract(tmp_path, model, documents, extractor)
    assert len(model.asked) == 40
    assert sum(len(made_of(one).pairs) for one in made) == 40
