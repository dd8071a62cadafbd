"""DSIR's importance weights: how much likelier a text's n-grams are in the target than in the corpus.

Xie et al., Data Selection for Language Models via Importance Resampling, arXiv 2302.03169: bags of hashed words and
word pairs, log weight = sum over n-grams of log p_target - log p_corpus. The paper's texts are chunks of equal length;
the sum over documents of unequal length would choose the shortest ones, so a document weighs what a chunk of it would.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from tasks.run.parallel import Mapper, serial
from tasks.select.partitions import Partition, partitions, read_texts

BUCKETS = 10_000
CHUNK = 255  # n-grams of the 128 words that a text has in the paper
SMOOTHING = (
    1e-8  # of the published implementation: an n-gram the target never has weighs heavily against a text
)
WORD = r"\w+|[^\w\s]+"  # words and runs of punctuation


def hashed_ngrams(texts: Sequence[str], buckets: int = BUCKETS) -> Any:
    """Counts of lower-cased words and word pairs by hash bucket, sparse (n, buckets). Needs no vocabulary."""
    return _hasher(buckets).transform(texts)


@lru_cache(maxsize=4)
def _hasher(buckets: int) -> Any:
    from sklearn.feature_extraction.text import HashingVectorizer

    return HashingVectorizer(
        n_features=buckets,
        ngram_range=(1, 2),
        token_pattern=WORD,
        alternate_sign=False,
        norm=None,
        dtype=np.float64,
    )


def importance(
    corpus: Path,
    target: Sequence[str],
    mapper: Mapper = serial,
    *,
    buckets: int = BUCKETS,
    rows_per_partition: int = 512,
    fit_documents: int = 20_000,
) -> np.ndarray:
    """Log importance weight of every document of the corpus table.

    Reads the corpus twice, partition by partition, so that memory does not grow with it: once to count n-grams, in
    evenly spaced partitions of about `fit_documents` documents if there are more, and once to weigh every document.

    Args:
        corpus: table with the column `text`.
        target: texts of the reference examples.

    Returns:
        float64 (n,), in the table's row order.
    """
    pieces = list(partitions(corpus, rows_per_partition))
    if not pieces:
        return np.zeros(0)
    counts = np.zeros(buckets)
    for counted in mapper(partial(_count, buckets), pieces[:: -(-pieces[-1].stop // fit_documents)]):
        counts += counted
    ratio = log_ratio(np.asarray(hashed_ngrams(target, buckets).sum(axis=0)).ravel(), counts)
    return np.concatenate(list(mapper(partial(_weigh, ratio), pieces)))


def log_ratio(target: np.ndarray, corpus: np.ndarray) -> np.ndarray:
    """log p_target - log p_corpus of each bucket, from its counts in both; (buckets,)."""
    return np.asarray(
        np.log(target / max(1.0, target.sum()) + SMOOTHING)
        - np.log(corpus / max(1.0, corpus.sum()) + SMOOTHING)
    )


def _count(buckets: int, piece: Partition) -> np.ndarray:
    return np.asarray(hashed_ngrams(read_texts(piece), buckets).sum(axis=0)).ravel()


def _weigh(ratio: np.ndarray, piece: Partition) -> np.ndarray:
    counts = hashed_ngrams(read_texts(piece), len(ratio))
    grams = np.maximum(np.asarray(counts.sum(axis=1)).ravel(), 1.0)
    return np.asarray(counts @ ratio * CHUNK / grams)
