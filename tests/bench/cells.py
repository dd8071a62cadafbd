"""The corpora and targets of the comparison, each prepared once: what all measurements of a cell share."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.loop.rounds import importance_of
from tasks.loop.settings import EqualSettings
from tasks.prepare import stages as prepare
from tasks.run.settings import read_yaml
from tasks.storage.tables import write_json, write_text
from tests.bench import targets
from tests.bench.deceptive import HEALTH, deceive
from tests.bench.results import fingerprint
from tests.bench.targets import MIXED, ROOT

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


EQUAL = (
    Cell("demo", "doctests"),
    Cell("mixed-6000", "gsm8k"),
    Cell("mixed-6000", "svamp"),
    Cell("mixed-17980", "gsm8k"),
    Cell("mixed-17980", "svamp"),
)
BANDIT = (
    *EQUAL,
    Cell("deceptive", "gsm8k"),
    Cell("deceptive", "svamp"),
    Cell("mixed-6000", "two-tasks"),
    Cell("mixed-6000", "microbiology"),
)


def cells(
    among: Sequence[Cell], corpora: Sequence[str] = (), names: Sequence[str] = ()
) -> tuple[list[Cell], list[Cell]]:
    """The cells asked for, by default all: those whose data is on this machine, and those whose data is not."""
    wanted = [
        cell
        for cell in among
        if (not corpora or cell.corpus in corpora) and (not names or cell.target in names)
    ]
    here = [cell for cell in wanted if cell.corpus == "demo" or MIXED.exists()]
    return here, [cell for cell in wanted if cell not in here]


def folder(cell: Cell, out: Path) -> Path:
    return out / "cells" / cell.name


def base_path(out: Path, cell: Cell, seed: int) -> Path:
    """The student of a cell and seed before any fine-tuning."""
    return out / "bases" / cell.name / str(seed)


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
        corpus = MIXED if cell.corpus == "mixed-17980" else inputs / f"{cell.corpus}.jsonl"
        own = {
            "corpus": [str(corpus)],
            "target": str(inputs / f"{cell.target}-reference.jsonl"),
            "test": str(inputs / f"{cell.target}-test.jsonl"),
        }
    return EqualSettings(**own, runs_dir=str(folder(cell, out)), **changes)


def write_inputs(out: Path, chosen: Sequence[Cell]) -> None:
    """The samples of the shared data that the cells read: 6,000 documents, and each target's parts; seed 0."""
    inputs = out / "inputs"
    wanted = [
        inputs / f"{cell.corpus}.jsonl" for cell in chosen if cell.corpus in ("mixed-6000", "deceptive")
    ]
    wanted += [
        inputs / f"{cell.target}-{part}.jsonl"
        for cell in chosen
        if cell.target != "doctests"
        for part in ("reference", "test")
    ]
    for path in dict.fromkeys(wanted):
        if path.exists():
            continue
        if path.stem == "mixed-6000":
            _write_lines(path, targets.mixed()[0])
        elif path.stem == "deceptive":
            _write_lines(path, deceive(targets.mixed()[0], targets.questions_about(HEALTH)))
        else:
            target, part = path.stem.rsplit("-", 1)
            _write_lines(path, targets.MAKERS[target]()[part == "test"])


def _write_lines(path: Path, records: Iterable[Facts]) -> None:
    write_text(path, "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in records))


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
    importance_of(at)
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
