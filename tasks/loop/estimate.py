"""What a run will cost, told before anything is paid for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tasks.extract.llm.extractor import LLMExtractor
from tasks.extract.llm.prompts import with_pairs
from tasks.llm.request import Usage
from tasks.llm.told import about, is_priced
from tasks.loop import judging
from tasks.loop.keep import KEEP, chooses_pairs
from tasks.loop.plan import documents_budget
from tasks.loop.pulls import llm_extractor
from tasks.loop.settings import EqualSettings
from tasks.prepare.documents import read_documents
from tasks.run.seeds import generator

Facts = dict[str, Any]

ANSWER_SHARE = (
    0.5  # tokens of the pairs of a document, for each of its own: an assumption, until some are there
)
PAIR_TOKENS = 60  # of a question and its answer: another
_SAMPLE = 256


def estimate(run: Path, settings: EqualSettings, corpus: Facts) -> Facts:
    """What the documents of the budget cost to read, from a random sample of the corpus.

    A strategy that prefers long documents pays more. Replies that are known already, of this run or another, cost nothing,
    which is not foreseen here.

    Returns:
        documents to read, by the strategy and those it is compared with; requests to a model, tokens_sent and
        tokens_answered, 0 for rules; cost in dollars, None where no
        prices of the model are given; pairs_judged and cost_judges, the same of judges.
    """
    judged = _judged(settings, corpus)
    documents = corpus["documents"]
    read = sum(documents_budget(documents, settings, name) for name in (settings.strategy, *settings.compare))
    if settings.extractor == "rules":
        tokens = corpus["tokens"] * read / documents
        model: Facts = {"requests": 0, "tokens_sent": 0, "tokens_answered": 0}
        cost = tokens * settings.price / 1e6
        return {"files": [], "documents": read, **model, "cost": cost, **judged}
    rows = generator(settings.seed, "estimate").permutation(documents)[:_SAMPLE].tolist()
    texts = [document["text"] for document in read_documents(run, rows)]
    sampled = requests_of(llm_extractor(settings), texts)
    scale = read / len(texts)
    usage = Usage(sent=sampled["tokens_sent"], answered=sampled["tokens_answered"])
    return {
        "files": [],
        "documents": read,
        **{name: round(value * scale) for name, value in sampled.items()},
        "cost": scale * settings.prices().cost(usage) if is_priced(settings, [settings.model]) else None,
        **judged,
    }


def _judged(settings: EqualSettings, corpus: Facts) -> Facts:
    """Pairs that judges are asked about, and what that costs, by ANSWER_SHARE and PAIR_TOKENS."""
    if not settings.judges:
        return {"pairs_judged": 0, "cost_judges": 0.0}
    read = documents_budget(corpus["documents"], settings, settings.strategy) / corpus["documents"]
    kept = settings.keep or (KEEP if chooses_pairs(settings, settings.strategy) else 1.0)
    pairs = round(ANSWER_SHARE * corpus["tokens"] * read / PAIR_TOKENS * kept)
    priced = is_priced(settings, settings.judge_models or [settings.model])
    return {"pairs_judged": pairs, "cost_judges": judging.estimate(settings, pairs) if priced else None}


def requests_of(extractor: LLMExtractor, texts: list[str]) -> Facts:
    """Requests about some documents, and the tokens of them, by the prompts themselves and ANSWER_SHARE."""
    requests = sent = 0
    forms = [extractor.extraction_form()]
    if extractor.refine:
        forms.append(extractor.refinement_form())
    answered = 0.0
    for rows in extractor.groups(texts):
        own = [texts[row] for row in rows]
        pairs = ANSWER_SHARE * (forms[0].request(own).tokens - forms[0].request([""] * len(own)).tokens)
        for number, form in enumerate(forms):
            shown = own if number == 0 else [with_pairs(text, []) for text in own]
            requests += 1
            sent += form.request(shown).tokens + round(number * pairs)
            answered += pairs
    return {"requests": requests, "tokens_sent": sent, "tokens_answered": round(answered)}


def told(expected: Facts, settings: EqualSettings) -> str:
    """The estimate in a line."""
    line = _reading(expected, settings)
    if settings.judges:
        line += f"; {settings.judges} judges of about {expected['pairs_judged']:,} pairs {about(expected['cost_judges'])}"
    asked = [expected["cost_judges"], expected["cost"] if settings.extractor == "llm" else 0.0]
    if settings.max_cost is not None and sum(asked) > settings.max_cost:  # with a budget prices are known
        line += f", more than the budget of ${settings.max_cost:,.2f}, which ends the run before"
    return line


def _reading(expected: Facts, settings: EqualSettings) -> str:
    if settings.extractor == "rules":
        return f"to read {expected['documents']:,} documents would cost {about(expected['cost'])} at --price"
    return (
        f"to read {expected['documents']:,} documents takes about {expected['requests']:,} requests, "
        f"{expected['tokens_sent']:,} tokens sent and {expected['tokens_answered']:,} answered: "
        f"{about(expected['cost'])}"
    )
