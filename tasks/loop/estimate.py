"""What a run will cost, told before anything is paid for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tasks.extract.llm.extractor import LLMExtractor
from tasks.extract.llm.prompts import with_pairs
from tasks.llm.request import Usage
from tasks.loop.plan import documents_budget
from tasks.loop.pulls import llm_extractor
from tasks.loop.settings import EqualSettings
from tasks.prepare.documents import read_documents
from tasks.run.seeds import generator

Facts = dict[str, Any]

ANSWER_SHARE = (
    0.5  # tokens of the pairs of a document, for each of its own: an assumption, until some are there
)
_SAMPLE = 256


def estimate(run: Path, settings: EqualSettings, corpus: Facts) -> Facts:
    """What the documents of the budget cost to read, from a random sample of the corpus.

    A strategy that prefers long documents pays more. Replies that are known already, of this run or another, cost nothing,
    which is not foreseen here.

    Returns:
        documents to read, by the strategy and those it is compared with; requests to a model, tokens_sent and
        tokens_answered, 0 for rules; cost in dollars.
    """
    documents = corpus["documents"]
    read = sum(documents_budget(documents, settings, name) for name in (settings.strategy, *settings.compare))
    if settings.extractor == "rules":
        tokens = corpus["tokens"] * read / documents
        model: Facts = {"requests": 0, "tokens_sent": 0, "tokens_answered": 0}
        return {"files": [], "documents": read, **model, "cost": tokens * settings.price / 1e6}
    rows = generator(settings.seed, "estimate").permutation(documents)[:_SAMPLE].tolist()
    texts = [document["text"] for document in read_documents(run, rows)]
    sampled = requests_of(llm_extractor(settings), texts)
    scale = read / len(texts)
    usage = Usage(sent=sampled["tokens_sent"], answered=sampled["tokens_answered"])
    return {
        "files": [],
        "documents": read,
        **{name: round(value * scale) for name, value in sampled.items()},
        "cost": scale * settings.prices().cost(usage),
    }


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
    if settings.extractor == "rules":
        return f"to read {expected['documents']:,} documents would cost about ${expected['cost']:,.2f} at --price"
    line = (
        f"to read {expected['documents']:,} documents takes about {expected['requests']:,} requests, "
        f"{expected['tokens_sent']:,} tokens sent and {expected['tokens_answered']:,} answered: "
        f"about ${expected['cost']:,.2f}"
    )
    if settings.max_cost is not None and expected["cost"] > settings.max_cost:
        line += f", more than the budget of ${settings.max_cost:,.2f}, which ends the run before"
    return line
