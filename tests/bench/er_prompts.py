"""Input tokens and labels of BATCHER's 15 design points, and of asking one question at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from os.path import commonprefix

import numpy as np

from tasks.match.batching import BATCH_SIZE, BATCHINGS, cluster_questions, make_batches
from tasks.match.cover import cover_of
from tasks.match.demonstrations import FIXED, SELECTIONS, Selection, select_demonstrations
from tasks.match.serialise import estimated_tokens, pair_texts
from tests.bench.er import Data

TASK = (
    "Decide for each question whether record A and record B describe the same real-world entity. Look at what identifies "
    "an entity, and overlook differences in spelling, abbreviation, format and order. The demonstrations show how.\n"
)
ASK = (
    "\nUse what you know of such records to understand the texts. Answer each of the questions above, in their order and on "
    'a line of its own, as "Question i: Yes" if A and B are the same entity, or "Question i: No" if they are not.\n'
)


@dataclass(frozen=True, slots=True)
class Point:
    """A design point on a data set, all tokens estimated."""

    data: str
    batching: str
    selection: str
    labels: int
    fallback: int
    uncovered: int
    beyond: int
    batches: int
    demonstrations: int  # over all prompts
    diverse: float  # share of the batches whose questions are of different clusters
    tokens: int  # of all prompts
    repeated: float  # share of them that begin as the prompt before did: what a server may have cached
    questions: int

    @property
    def per_question(self) -> float:
        return self.tokens / self.questions


def design_points(data: Data, *, size: int = BATCH_SIZE, seed: int = 0) -> list[Point]:
    """Standard prompting (batches of one, eight fixed demonstrations), then the 15 design points."""
    benchmark = data.benchmark
    single, pool_single = (data.features(pairs, False) for pairs in (data.questions, data.pool))
    near, pool_near = (data.features(pairs, benchmark.merged) for pairs in (data.questions, data.pool))
    clusters = cluster_questions(single, pool_single, min_samples=benchmark.min_samples)
    cover = cover_of(near, pool_near)
    texts = [
        pair_texts(data.left, data.right, pairs, benchmark.attributes)
        for pairs in (data.questions, data.pool)
    ]
    weights = estimated_tokens(texts[1]).astype(float)
    plans = [("one by one", FIXED, [np.array([row]) for row in range(len(near))])]
    for batching in BATCHINGS:
        batches = make_batches(batching, clusters, size, seed=seed)
        plans += [(batching, selection, batches) for selection in SELECTIONS]
    found = []
    for batching, selection, batches in plans:
        chosen = select_demonstrations(
            selection, near, pool_near, batches, weights=weights, cover=cover, seed=seed
        )
        written = prompts(texts, batches, chosen)
        found.append(
            Point(
                data=benchmark.name,
                batching=batching,
                selection=selection,
                labels=len(chosen.labelled),
                fallback=chosen.fallback,
                uncovered=len(chosen.uncovered),
                beyond=len(chosen.beyond),
                batches=len(batches),
                demonstrations=sum(map(len, chosen.batches)),
                diverse=float(np.mean([len(set(clusters[rows])) == len(rows) for rows in batches])),
                tokens=int(estimated_tokens(written).sum()),
                repeated=repeated_share(written),
                questions=len(near),
            )
        )
    return found


def prompts(texts: Sequence[Sequence[str]], batches: Sequence[np.ndarray], chosen: Selection) -> list[str]:
    """The text of every prompt: task, demonstrations with their answers, questions.

    Args:
        texts: of the questions' pairs and of the pool's. All answers are "No": what they are is not to be known here, and
            "Yes" is as long.
    """
    found = []
    for rows, shown in zip(batches, chosen.batches, strict=True):
        told = [
            f"Demonstration {number}:\n{texts[1][row]}\nAnswer: No\n"
            for number, row in enumerate(shown.tolist(), 1)
        ]
        asked = [f"Question {number}:\n{texts[0][row]}\n" for number, row in enumerate(rows.tolist(), 1)]
        found.append("\n".join([TASK, *told, *asked, ASK]))
    return found


def repeated_share(written: Sequence[str]) -> float:
    """Share of the characters that stand at the beginning of a prompt as in the one before."""
    common = sum(len(commonprefix(both)) for both in pairwise(written))  # noqa: RUF071
    return common / sum(map(len, written))
