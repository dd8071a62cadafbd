"""The corpora and targets of the comparison, each prepared once: what all measurements of a cell share."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tasks.corpus.words import words
from tasks.loop import prepare
from tasks.loop.settings import EqualSettings
from tasks.run.seeds import generator
from tasks.run.settings import read_yaml
from tasks.run.tables import write_json, write_text
from tests.bench.results import fingerprint

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared" / "data"
MIXED = SHARED / "corpus" / "mixed.jsonl.gz"
TARGETS = {
    "demo": ("doctests",),
    "mixed-6000": ("gsm8k", "svamp"),
    "mixed-17980": ("gsm8k", "svamp"),
}
REFERENCE, TEST = 200, 300  # examples that steer, and that judge
_FAMILY_WORDS = 8  # consecutive words that make two problems variants of one text
# What the demo's cell has from data/demo.yaml. The rest there only makes the demo short.
_SHARED_FIELDS = ("corpus", "exclude", "corpus_share", "min_characters", "rounds", "target", "test_share")

Facts = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Cell:
    """A corpus and a target."""

    corpus: str
    target: str

    @property
    def name(self) -> str:
        return f"{self.corpus}-{self.target}"


def cells(corpora: Sequence[str], targets: Sequence[str]) -> tuple[list[Cell], list[Cell]]:
    """The cells asked for, small ones first: those whose data is on this machine, and those whose data is not."""
    wanted = [
        Cell(corpus, target)
        for corpus in TARGETS
        if corpus in corpora
        for target in TARGETS[corpus]
        if not targets or target in targets
    ]
    here = [cell for cell in wanted if cell.corpus == "demo" or MIXED.exists()]
    return here, [cell for cell in wanted if cell not in here]


def folder(cell: Cell, out: Path) -> Path:
    return out / "cells" / cell.name


def settings(cell: Cell, out: Path, **changes: Any) -> EqualSettings:
    """The product's defaults on the cell's corpus and target; nothing is tuned for a cell.

    The demo's corpus, target and rounds are those of data/demo.yaml; its student is the product's default as everywhere,
    not the one the demo pre-trains for a shorter time. The seed a cell is prepared with is 0, whatever the measurement's.
    """
    inputs = out / "inputs"
    if cell.corpus == "demo":
        known = read_yaml(ROOT / "data" / "demo.yaml")
        own = {field: known[field] for field in _SHARED_FIELDS if field in known}
    else:
        corpus = MIXED if cell.corpus == "mixed-17980" else inputs / "mixed-6000.jsonl"
        own = {
            "corpus": [str(corpus)],
            "target": str(inputs / f"{cell.target}-reference.jsonl"),
            "test": str(inputs / f"{cell.target}-test.jsonl"),
        }
    return EqualSettings(**own, runs_dir=str(folder(cell, out)), **changes)


def write_inputs(out: Path, chosen: Sequence[Cell]) -> None:
    """The samples of the shared data that the cells read: 6,000 documents, and each target's parts; seed 0."""
    inputs = out / "inputs"
    if any(cell.corpus == "mixed-6000" for cell in chosen) and not (inputs / "mixed-6000.jsonl").exists():
        with gzip.open(MIXED, "rt", encoding="utf-8") as stream:
            lines = stream.readlines()
        rows = generator(0, "bench", "mixed-6000").permutation(len(lines))[:6000]
        write_text(inputs / "mixed-6000.jsonl", "".join(lines[row] for row in sorted(rows)))
    for target in sorted({cell.target for cell in chosen} - {"doctests"}):
        if not (inputs / f"{target}-test.jsonl").exists():
            reference, test = gsm8k() if target == "gsm8k" else svamp(_svamp_problems())
            for part, examples in (("reference", reference), ("test", test)):
                lines = [json.dumps(one, ensure_ascii=False) + "\n" for one in examples]
                write_text(inputs / f"{target}-{part}.jsonl", "".join(lines))


def gsm8k() -> tuple[list[Facts], list[Facts]]:
    """Reference part out of the training file, test part out of the test file.

    Calculator annotations are removed ("48/2 = <<48/2=24>>24" becomes "48/2 = 24"). They are calls of a tool that this
    data set alone has; no document can teach them, and as a quarter of an answer's tokens they drown what one does teach.
    """

    def sample(name: str, count: int) -> list[Facts]:
        lines = (SHARED / "targets" / "gsm8k" / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
        order = generator(0, "bench", "gsm8k", name).permutation(len(lines))[:count]
        examples = [json.loads(lines[row]) for row in order]
        return [{**one, "answer": re.sub(r"<<[^>]*>>", "", one["answer"])} for one in examples]

    return sample("train", REFERENCE), sample("test", TEST)


def svamp(problems: Sequence[Facts]) -> tuple[list[Facts], list[Facts]]:
    """Parts of SVAMP that share no family of problems; the answer is the equation with its result, as "76 - 25 = 51".

    A bare number is one or two tokens of which a small student can learn nothing but digits.

    Problems are variants of one another, often with other numbers only: the 1,000 have 650 bodies once numbers are masked
    and are 128 families, the largest of 27. (Ids do not tell them, and masking names changes one family.) Whole families go
    to a side, so no test problem shares its first sentence or 8 consecutive words, numbers masked, with a reference
    problem: 0 of 300; 24 share 6. Parted by runs of 13 words with their numbers, 105 shared the first sentence.
    """
    order = generator(0, "bench", "svamp").permutation(len(problems))
    family = families([_question(one) for one in problems])
    judging = np.zeros(len(problems), dtype=bool)
    for (
        row
    ) in order:  # each side in proportion to what is drawn from it, so that it is drawn from many families
        if judging.sum() * (REFERENCE + TEST) >= len(problems) * TEST:
            break
        judging |= family == family[row]
    parts = ((row for row in order if not judging[row]), (row for row in order if judging[row]))
    reference, test = (
        [{"question": _question(problems[row]), "answer": _equation(problems[row])} for row in rows]
        for rows in parts
    )
    return reference[:REFERENCE], test[:TEST]


def families(questions: Sequence[str]) -> np.ndarray:
    """A label for each question: those that share a first sentence or a run of 8 words, numbers masked, have the same.

    So have those that only other questions link.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    texts: dict[str, int] = {}  # what can be shared, numbered
    links = []
    for row, question in enumerate(questions):
        masked = re.sub(r"\d+(?:[.,]\d+)*", "0", question)
        own = words(masked)
        runs = [" ".join(own[at : at + _FAMILY_WORDS]) for at in range(len(own) - _FAMILY_WORDS + 1)]
        first = " ".join(words(re.split(r"(?<=[.?!])\s", masked)[0]))
        links += [(row, len(questions) + texts.setdefault(text, len(texts))) for text in (first, *runs)]
    size = len(questions) + len(texts)
    graph = coo_array((np.ones(len(links)), np.transpose(links)), shape=(size, size))
    labels: np.ndarray = connected_components(graph, directed=False)[1][: len(questions)]
    return labels


def _svamp_problems() -> list[Facts]:
    path = SHARED / "targets" / "svamp" / "SVAMP.json"
    problems: list[Facts] = json.loads(path.read_text(encoding="utf-8"))
    return problems


def _question(problem: Facts) -> str:
    return f"{problem['Body'].rstrip('. ')}. {problem['Question']}"


def _equation(problem: Facts) -> str:
    # In brackets, but for one that is a bare number.
    equation = problem["Equation"].strip().removeprefix("(").removesuffix(")").strip()
    return f"{equation} = {problem['Answer']}".replace(".0 ", " ").removesuffix(".0")


def prepare_cell(cell: Cell, out: Path) -> None:
    """Target, corpus and frozen vectors of a cell, once; facts.json is written last."""
    at = folder(cell, out)
    if (at / "facts.json").exists():
        return
    at.mkdir(parents=True, exist_ok=True)
    own = settings(cell, out)
    target = prepare.target(at, own, source="")
    corpus = prepare.corpus(at, own, source="", target=target)
    vectors = prepare.encode(at, own, corpus=corpus, target=target)
    keep = {
        "target": {name: target[name] for name in ("reference", "test")},
        "corpus": {name: corpus[name] for name in ("documents", "tokens", "rejected")},
        "vectors": {name: vectors[name] for name in ("rows", "dimensions")},
        "code": fingerprint(),
    }
    write_json(at / "facts.json", keep)


def facts(cell: Cell, out: Path) -> Facts:
    found: Facts = json.loads((folder(cell, out) / "facts.json").read_text())
    return found


def link(cell: Cell, out: Path, run: Path) -> None:
    """Make `run` the folder of a run whose target, corpus and vectors are the cell's."""
    at = folder(cell, out).resolve()
    (run / "stages").mkdir(parents=True)
    for name in ("target", "vectors.npy", *(f"stages/{path.name}" for path in (at / "stages").iterdir())):
        (run / name).symlink_to(at / name)
