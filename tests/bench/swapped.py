"""Which of an EQUAL run's pairs are given another's answer, and what leaving out the doubtful ones does for the student.

    python -m tests.bench.swapped RUN [--seeds 3] [--pairs 400] [--out runs/bench/swapped.jsonl]

RUN is the folder of a finished run with a tiny student. A fifth of the answers are handed on among as many pairs. Both
definitions of a wrong event count them while the run's base student learns all pairs; similarity of question and answer by LSA is
what they are measured beside. Then the base student is trained anew, on as many tokens each time: on all pairs, without those
doubted, without as many at random, and without those swapped. Prints a line of JSON for each seed, and tables.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score

from tasks.corpus.target import Target
from tasks.loop.students import BASE, example_pairs
from tasks.run.seeds import generator
from tasks.select.lsa import LSAEncoder
from tasks.storage.tables import read_rows
from tasks.train.checkpoint import load_student
from tasks.train.threads import one_thread
from tasks.train.train import count_tokens, train_student
from tasks.train.training import Training
from tasks.wrong_event.pairs import Peers, count_events
from tasks.wrong_event.settings import PAIR_EPOCHS
from tests.bench.markdown import table

SHARE = 0.2

QA = list[tuple[str, str]]
Row = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--pairs", type=int, default=400)
    parser.add_argument("--out", type=Path, default=Path("runs/bench/swapped.jsonl"))
    given = parser.parse_args()
    rows = [json.loads(line) for line in given.out.read_text().splitlines()] if given.out.exists() else []
    given.out.parent.mkdir(parents=True, exist_ok=True)
    with one_thread():
        for seed in range(len(rows), given.seeds):
            rows.append(measured(given.run, given.pairs, seed))
            print(json.dumps(rows[-1]), flush=True)
            given.out.write_text("".join(json.dumps(row) + "\n" for row in rows))
    print(tables(rows))


def measured(run: Path, count: int, seed: int) -> Row:
    """What a seed's swaps are told by, and what the student makes of the pairs that are left."""
    pairs, wrong = swapped(run, count, seed)
    row: Row = {"seed": seed, "pairs": len(pairs), "swapped": int(wrong.sum())}
    for peers in ("questions", "answers"):
        began = time.process_time()
        clean, counts = scores(run, pairs, peers, seed)
        doubted = clean < 0.5
        row[peers] = {
            "auc": float(roc_auc_score(wrong, counts)),
            "flagged": int(doubted.sum()),
            "precision": float(wrong[doubted].mean()) if doubted.any() else None,
            "recall": float(doubted[wrong].mean()),
            "cpu": time.process_time() - began,
        }
        if peers == "questions":
            chosen = doubted
    row["similarity"] = {"auc": float(roc_auc_score(wrong, -similarity(pairs)))}
    random = np.zeros(len(pairs), bool)
    random[generator(seed, "at random").permutation(len(pairs))[: chosen.sum()]] = True
    tokens = count_tokens(run / BASE, pairs, 512)
    left = {"all": np.zeros(len(pairs), bool), "doubted": chosen, "at random": random, "swapped": wrong}
    row["nll"] = {name: nll(run, pairs, out, tokens, seed) for name, out in left.items()}
    return row


def swapped(run: Path, count: int, seed: int) -> tuple[QA, np.ndarray]:
    """Some of a run's pairs, a fifth of which have the answer of another of that fifth, and which, (n,)."""
    rows = read_rows(run / "pairs.parquet", ["question", "answer"])
    random = generator(seed, "swapped")
    rows = [rows[place] for place in random.permutation(len(rows))[:count]]
    chosen = random.permutation(len(rows))[: round(SHARE * len(rows))]
    answers = [row["answer"] for row in rows]
    for place, other in zip(chosen, np.roll(chosen, 1), strict=True):
        answers[place] = rows[other]["answer"]
    wrong = np.array([answer != row["answer"] for answer, row in zip(answers, rows, strict=True)])
    return [(row["question"], answer) for row, answer in zip(rows, answers, strict=True)], wrong


def scores(run: Path, pairs: QA, peers: Peers, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """P(clean) and wrong events of each pair, by the run's base student."""
    model, tokenizer = load_student(run / BASE)
    found = count_events(model, tokenizer, pairs, Training(seed=seed), epochs=PAIR_EPOCHS, peers=peers)
    return found.model().clean(found.counts), found.counts


def similarity(pairs: QA) -> np.ndarray:
    """Cosine of question and answer, (n,)."""
    questions, answers = ([pair[side] for pair in pairs] for side in (0, 1))
    encoder = LSAEncoder.fit([*questions, *answers], 256, 0)
    found: np.ndarray = (encoder.encode(questions) * encoder.encode(answers)).sum(axis=1)
    return found


def nll(run: Path, pairs: QA, out: np.ndarray, tokens: int, seed: int) -> float:
    """Of held-out right pairs' answers, after training on those that are not left out."""
    kept = [pair for pair, gone in zip(pairs, out, strict=True) if not gone]
    test = example_pairs(Target.load(run / "target").test)
    return float(train_student(run / BASE, None, kept, test, Training(tokens=tokens, seed=seed))["nll"])


def tables(rows: Sequence[Row]) -> str:
    def spread(values: Sequence[float], digits: int = 2) -> str:
        found = [value for value in values if value is not None]
        return f"{np.mean(found):.{digits}f} ± {np.std(found, ddof=1) if len(found) > 1 else 0:.{digits}f}"

    told = [
        [
            name,
            "",
            *(
                spread([row[name][part] for row in rows])
                for part in ("auc", "flagged", "precision", "recall", "cpu")
            ),
        ]
        for name in ("questions", "answers")
    ]
    told.append(["similarity (LSA)", "", spread([row["similarity"]["auc"] for row in rows]), "", "", "", ""])
    learnt = [
        [
            name,
            "",
            spread([row["nll"][name] for row in rows], 3),
            spread([row["nll"][name] - row["nll"]["all"] for row in rows], 3),
        ]
        for name in rows[0]["nll"]
    ]
    return "\n\n".join(
        [
            table(["peers", "", "AUC", "flagged", "precision", "recall", "CPU s"], told),
            table(["left out", "", "NLL", "- all pairs"], learnt),
        ]
    )


if __name__ == "__main__":
    main()
