"""What LEAD's benchmark chooses from and is judged by: a pool of two kinds of examples, prepared once for a seed."""

from __future__ import annotations

import argparse
import json
import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tasks.corpus.target import Target
from tasks.extract.extractor import make_extractor
from tasks.lead import difficulty, pool
from tasks.lead.play import Learner
from tasks.lead.settings import LeadSettings
from tasks.records import Document
from tasks.run.seeds import generator
from tasks.select.idu import Choice
from tasks.storage.tables import read_json, read_rows, write_json, write_text
from tests.bench import targets
from tests.bench.prepared import model_of, student_settings

Facts = dict[str, Any]

EACH, TEST = 2600, 300  # examples of a kind in the pool, and of those that judge
_JUDGES = {"both": ("gsm8k", "extracted"), "gsm8k": ("gsm8k",)}
TASKS = tuple(_JUDGES)


def write_inputs(given: argparse.Namespace) -> None:
    """The pool, what judges, and what is like that: the reference, of neither of the two."""
    if (given.out / "test.jsonl").exists():
        return
    other = _of_run(given.run, given.reference) if given.run else _of_rules(given.reference)
    # Where a run has fewer pairs more of the pool are problems.
    each = max(EACH, 2 * EACH - len(other["pool"]))
    own = targets.problems("train", each + TEST + given.reference)
    judges = {
        "gsm8k": own[each:][:TEST] if given.choosing else targets.problems("test", TEST),
        "extracted": other["choosing" if given.choosing else "test"],
    }
    like = {"gsm8k": own[each + TEST :], "extracted": other["reference"]}
    rows = {
        "reference": [one for kind in _JUDGES[given.task] for one in like[kind]],
        "pool": _garbled(own[:each] + other["pool"], given.garbled),
        "test": [one for kind in _JUDGES[given.task] for one in judges[kind]],
    }
    for name, examples in rows.items():
        lines = [json.dumps(one, ensure_ascii=False) + "\n" for one in examples]
        write_text(given.out / f"{name}.jsonl", "".join(lines))


def _of_rules(reference: int) -> dict[str, list[Facts]]:
    """What the rules extract from pages of the shared mixture; the pool's pages are not the others'."""
    inside, outside = targets.mixed()
    other = list(_extracted(outside, 2 * TEST + reference))
    return {
        "pool": list(_extracted(inside, EACH)),
        "test": other[:TEST],
        "choosing": other[TEST : 2 * TEST],
        "reference": other[2 * TEST :],
    }


def _of_run(run: Path, reference: int) -> dict[str, list[Facts]]:
    """An EQUAL run's pairs in parts that share no document: those of documents drawn at random, and the pool the rest."""
    documents: dict[str, list[Facts]] = {}
    for pair in read_rows(run / "pairs.parquet", ["document_id", "question", "answer"]):
        documents.setdefault(pair.pop("document_id"), []).append(pair)
    own = list(documents.values())
    order = iter(generator(0, "bench", "lead", "run").permutation(len(own)))
    parts: dict[str, list[Facts]] = {}
    for name, size in {"test": TEST, "choosing": TEST, "reference": reference}.items():
        pairs: list[Facts] = []
        while len(pairs) < size:
            if (row := next(order, None)) is None:
                raise ValueError(f"{run} has too few pairs to judge by {TEST}")
            pairs += own[row]
        parts[name] = pairs[:size]
    return parts | {"pool": [pair for row in order for pair in own[row]]}


def _garbled(pool: list[Facts], share: float) -> list[Facts]:
    """The pool with the words of so large a share of its answers in random order."""
    random = generator(0, "bench", "lead", "garbled")
    is_garbled = random.permutation(len(pool)) < round(share * len(pool))
    return [
        {**row, "answer": " ".join(random.permutation(row["answer"].split()))} if garbled else row
        for row, garbled in zip(pool, is_garbled, strict=True)
    ]


def _extracted(pages: Sequence[Facts], count: int) -> Iterator[Facts]:
    """So many pairs of the rules, two of a page at most, from pages in random order."""
    extractor, found = make_extractor("rules"), 0
    for row in generator(0, "bench", "lead", str(len(pages))).permutation(len(pages)):
        for pair in extractor.extract(Document(pages[row]["id"], pages[row]["text"])).pairs[:2]:
            if found < count:
                yield {"question": pair.question, "answer": pair.answer}
                found += 1


def settings_of(given: argparse.Namespace, seed: int, budget: float, **changes: Any) -> LeadSettings:
    """The product's defaults."""
    return LeadSettings(
        data=str(given.out / "pool.jsonl"),
        test=str(given.out / "test.jsonl"),
        lora=given.lora,
        **student_settings(given),
        seed=seed,
        budget=budget,
        runs_dir=str(given.out),
        **changes,
    )


def prepared(given: argparse.Namespace, seed: int, choice: Choice | None = None) -> tuple[Path, Facts]:
    """A folder with everything before the rounds; made once for a seed, and once more for choices that ask how much each example helps the
    reference, which the default does not."""
    changes: Facts = reference_of(given)
    if changes and choice not in (None, "coverage"):
        changes["choice"] = "drawn"
    at = given.out / f"{model_of(given)}-seed-{seed}{'-drawn' if 'choice' in changes else ''}"
    if (at / "facts.json").exists():
        return at, read_json(at / "facts.json")
    # Some strategies want ratios, which the flow's default does not look at.
    own = settings_of(given, seed, 1.0, arms="difficulty", **changes)
    examples = pool.pool(at, own, {})
    pool.encode(at, own, examples)
    model = pool.model(at, own, examples)
    began = time.process_time()
    looked = difficulty.difficulty(at, own, examples, model)
    facts = {"pool": examples, "difficulty": looked, "model": model, "seconds": time.process_time() - began}
    facts["clusters"] = difficulty.clusters(at, settings_of(given, seed, 1.0, **changes), {}, looked)
    write_json(at / "facts.json", facts)
    return at, facts


def reference_of(given: argparse.Namespace) -> Facts:
    """The setting that gives the reference, if there is one."""
    return {"reference": str(given.out / "reference.jsonl")} if given.reference else {}


def with_clusters(made: Path, own: LeadSettings, facts: Facts) -> Facts:
    """Make a strategy's own clusters in its own folder. Returns the facts with them."""
    own_stages = made / "stages"
    if own_stages.is_symlink():  # else a run before this one was interrupted
        shared = own_stages.resolve()
        own_stages.unlink()
        shutil.copytree(shared, own_stages)
    return {**facts, "clusters": difficulty.clusters(made, own, {}, facts["difficulty"])}


def judged(made: Path, own: LeadSettings, found: Learner) -> Facts:
    """Held-out loss: of all that judge, and of either kind."""
    from tasks.train.evaluate import pair_losses

    examples = Target.load(made / "target").test
    test = [(example.question, example.answer) for example in examples]
    found.trainer.model.eval()
    seen = pair_losses(
        found.trainer.model,
        found.tokenizer,
        test,
        batch_tokens=4096,
        sequence_tokens=own.sequence_tokens,
    )
    problems = np.array([int(example.id.rpartition(":")[2]) <= TEST for example in examples])  # by their line
    parts = {"gsm8k": problems, "extracted": ~problems}
    return {"nll": seen.nll} | {
        f"nll_{name}": float(seen.loss[rows].sum() / seen.answered[rows].sum())
        for name, rows in parts.items()
        if rows.any()
    }
