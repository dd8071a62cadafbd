"""What the default's choosing costs beside what it chooses: seconds of a round against the extraction it pays for.

    python -m tests.bench.choosing [--documents 100000] [--clusters 1000] [--budget 0.05] [--rounds 12] [--repeats 3]

Made-up vectors of the real size; the last round, which has the most to look back on. Extraction is taken to last a second a
document, as a fast language model does. One thread. What it costs to ask the tiny student about pairs, which is the
student's time and not the choice's, is measured beside it, on made-up pairs of the default's width and layers.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np
from threadpoolctl import threadpool_limits

from tasks.run.seeds import generator
from tasks.select.arms import Arms
from tasks.select.keep import keep_nearest
from tasks.select.linucb import LinUCB, standardised
from tasks.select.lsa import unit_rows


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.choosing", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--documents", type=int, default=100_000)
    parser.add_argument("--clusters", type=int, default=1_000)
    parser.add_argument("--budget", type=float, default=0.05)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--pairs-per-document", type=int, default=4)
    parser.add_argument("--reference", type=int, default=200)
    parser.add_argument("--dimensions", type=int, default=256)
    parser.add_argument("--pair-tokens", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()

    random = generator(0, "bench", "choosing")
    n, d = given.documents, given.dimensions
    topics = random.normal(size=(given.clusters, d))
    labels = random.integers(given.clusters, size=n)
    vectors = unit_rows(topics[labels] + random.normal(size=(n, d)))
    reference = unit_rows(topics[0] + random.normal(size=(given.reference, d)))
    each = int(n * given.budget) // given.rounds
    rows = np.sort(random.permutation(n)[: each * (given.rounds - 1)])
    pairs = unit_rows(
        np.repeat(vectors[rows], given.pairs_per_document, axis=0) + 0.05 * random.normal(size=d)
    )
    free = standardised([vectors @ reference.mean(axis=0), random.normal(size=n)])

    keeping, choosing = [], []
    with threadpool_limits(1):
        for _ in range(given.repeats):
            began = time.perf_counter()
            kept = keep_nearest(pairs, reference, len(pairs) // 2)
            keeping.append(time.perf_counter() - began)
            began = time.perf_counter()
            strategy = LinUCB("linucb", Arms(labels, random.permutation(n)), free, vectors)
            strategy.mark_read(rows)
            strategy.observe(rows, kept.gain.reshape(len(rows), -1).sum(axis=1))
            strategy.choose(each, 1)
            choosing.append(time.perf_counter() - began)
    whole = median(keeping) + median(choosing)
    print(
        f"{n:,} documents, {given.clusters:,} clusters, {len(pairs):,} pairs: keeping {median(keeping):.2f} s, choosing "
        f"{median(choosing):.2f} s for a round of {each} documents: {whole / each:.2%} of extraction at 1 s a document"
    )
    seconds = median(asking(given.pair_tokens) for _ in range(given.repeats))
    # A pair is looked at once, when it first is in the nearest half: at the most all of a document.
    share = seconds * given.pairs_per_document
    print(
        f"asking the tiny student: {seconds * 1000:.1f} ms a pair of {given.pair_tokens} tokens, {share:.2%} of extraction at the most"
    )


def asking(tokens: int, pairs: int = 256) -> float:
    """Seconds it takes the tiny student, before and after it has learnt something, to look at a pair of so many tokens."""
    from tasks.train.reduction import loss_reductions
    from tasks.train.student import make_student
    from tasks.train.threads import one_thread
    from tasks.train.training import Training

    random = generator(0, "bench", "asking")
    words = ["".join(random.choice(list("abcdefghij"), size=3)) for _ in range(200)]
    text = [" ".join(random.choice(words, size=tokens)) for _ in range(pairs)]
    with TemporaryDirectory() as folder, one_thread():
        student = Path(folder) / "student"
        make_student(student, text, vocabulary=1024, width=128, layers=3, pretrain_tokens=0, seed=0)
        made = [(one[: 2 * len(one) // 3], one[2 * len(one) // 3 :]) for one in text]
        loss_reductions(made[:16], prior=student, conditional=student, training=Training())
        began = time.perf_counter()
        _, lengths = loss_reductions(made, prior=student, conditional=student, training=Training())
        seconds = time.perf_counter() - began
    return seconds / float(lengths.sum()) * tokens


if __name__ == "__main__":
    main()
