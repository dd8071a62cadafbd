"""Clusters of document vectors: the arms of the bandit, the words that name them, and a map to show them on."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tasks.records import BadInput
from tasks.run import seeds
from tasks.storage.tables import iterate_rows

CHUNK = 8192
# Whole words of letters: no piece of a contraction, a number, a markup entity or a LaTeX command.
WORD = r"(?<![\w'’\\&])[^\W\d_]{3,}(?![\w'’])"


@dataclass(frozen=True, slots=True)
class Clustering:
    """Centroids (k, d), unit rows, and the cluster of each document (n,), int32. No cluster is empty."""

    centroids: np.ndarray
    labels: np.ndarray


def default_clusters(documents: int) -> int:
    """round(sqrt(n / 2)), from 1 to n: 39 for 3,000 documents, 95 for 18,000, 837 for 1.4 million."""
    return max(1, min(documents, round(math.sqrt(documents / 2))))


def kmeans(vectors: np.ndarray, k: int, seed: int, iterations: int = 25) -> Clustering:
    """Spherical k-means by FAISS, on at most 256 vectors per cluster; then every vector to its nearest centroid.

    Args:
        vectors: unit rows (n, d), in memory or memory-mapped.
        k: clusters wanted; duplicates among the vectors may leave fewer.

    Raises:
        BadInput: k is larger than n, or there are no vectors.
    """
    n, d = vectors.shape
    if n == 0:
        raise BadInput("clusters: no documents to cluster; check --corpus")
    if k > n:
        raise BadInput(f"--clusters {k}: more than the {n} documents; give at most {n}")
    import faiss

    size = min(n, 256 * k)
    rows = np.arange(n)
    if size < n:
        rows = np.sort(seeds.generator(seed, "kmeans", "sample").choice(n, size, replace=False))
    with _one_thread():
        solver = faiss.Kmeans(
            d,
            k,
            niter=iterations,
            spherical=True,
            seed=seeds.integer(seed, "kmeans"),
            min_points_per_centroid=1,
            max_points_per_centroid=256,
        )
        solver.train(np.ascontiguousarray(vectors[rows], dtype=np.float32))
        centroids = np.asarray(solver.centroids)
        nearest = faiss.IndexFlatIP(d)
        nearest.add(centroids)
        found = [
            nearest.search(np.ascontiguousarray(vectors[start : start + CHUNK], dtype=np.float32), 1)[1][:, 0]
            for start in range(0, n, CHUNK)
        ]
    used, labels = np.unique(np.concatenate(found), return_inverse=True)
    return Clustering(centroids[used], labels.astype(np.int32))


@contextmanager
def _one_thread() -> Iterator[None]:
    """FAISS on one thread, so that sums come out the same on every machine.

    The number is OpenMP's, shared with torch in this process, so it is put back.
    """
    import faiss

    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)


def top_terms(
    corpus: Path, labels: np.ndarray, k: int, n_terms: int = 6, *, seed: int = 0, max_documents: int = 20_000
) -> list[list[str]]:
    """Words that tell each cluster from the others, most telling first.

    Class-based TF-IDF (Grootendorst, arXiv 2203.05794, equation 3): a word's share of the cluster's words, times
    log(1 + mean words of a cluster / occurrences of the word anywhere), on the beginnings of a sample of documents.

    Args:
        corpus: table with the column `text`, a row per label.
        labels: cluster of each row, (n,), from 0 to k - 1.
        max_documents: bound on the documents read over all clusters, at least five of each.

    Returns:
        A list of at most `n_terms` words per cluster; empty for a cluster without words.
    """
    from sklearn.feature_extraction.text import CountVectorizer

    wanted = np.zeros(len(labels), dtype=bool)
    per_cluster = max(5, max_documents // max(1, k))
    shuffled = seeds.generator(seed, "terms").permutation(len(labels))
    order = shuffled[np.argsort(labels[shuffled], kind="stable")]
    sizes = np.bincount(labels, minlength=k)
    rank = np.arange(len(labels)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    wanted[order[rank < per_cluster]] = True

    texts = (
        str(row["text"] or "")[:2000]
        for keep, row in zip(wanted, iterate_rows(corpus, ["text"]), strict=True)
        if keep
    )
    counter = CountVectorizer(token_pattern=WORD, stop_words="english", max_features=50_000, dtype=np.float64)
    try:
        documents = counter.fit_transform(texts)
    except ValueError:  # no words at all
        return [[] for _ in range(k)]
    words = counter.get_feature_names_out()
    from scipy.sparse import csr_matrix

    rows = labels[wanted]
    member = csr_matrix((np.ones(len(rows)), (rows, np.arange(len(rows)))), shape=(k, len(rows)))
    counts = (member @ documents).tocsr()
    lengths = np.asarray(counts.sum(axis=1)).ravel()
    rarity = np.log1p(lengths.mean() / np.asarray(counts.sum(axis=0)).ravel())
    found = []
    for cluster in range(k):
        row = counts[cluster]
        score = row.data * rarity[row.indices]
        # Ties in the order of the alphabet, in which the columns are.
        best = row.indices[np.lexsort((row.indices, -score))]
        found.append(_distinct([str(word) for word in words[best[: 4 * n_terms]]], n_terms))
    return found


def _distinct(words: list[str], count: int) -> list[str]:
    """The first `count` words, a plural or singular of one already there left out."""
    kept: list[str] = []
    for word in words:
        if not any(
            word in (other + "s", other + "es") or other in (word + "s", word + "es") for other in kept
        ):
            kept.append(word)
    return kept[:count]


def map_2d(vectors: np.ndarray, seed: int, landmarks: int = 300) -> np.ndarray:
    """Positions of documents on a map on which neighbours stand together.

    t-SNE (van der Maaten and Hinton, 2008) of at most `landmarks` k-means centroids; a document stands at the mean of
    the landmarks nearest to it, weighted by their similarity. Costs seconds where t-SNE of all takes minutes.

    Args:
        vectors: unit rows (n, d).

    Returns:
        float32 (n, 2), centred, within -1..1.
    """
    n = len(vectors)
    if n == 0:
        return np.zeros((0, 2), dtype=np.float32)
    fitted = kmeans(vectors, min(landmarks, max(1, n // 4)), seed, iterations=10)
    places = _embed(fitted.centroids, seed)
    positions = np.empty((n, 2), dtype=np.float32)
    near = min(4, len(places))
    for start in range(0, n, CHUNK):
        similar = np.asarray(vectors[start : start + CHUNK]) @ fitted.centroids.T
        index = np.argpartition(-similar, near - 1, axis=1)[:, :near]
        weights = np.take_along_axis(similar, index, axis=1)
        weights = np.exp((weights - weights.max(axis=1, keepdims=True)) / 0.05)
        weights /= weights.sum(axis=1, keepdims=True)
        positions[start : start + CHUNK] = np.einsum("nk,nkc->nc", weights, places[index])
    # Documents that share their landmarks' weights would hide one another.
    positions += seeds.generator(seed, "map").normal(scale=0.008, size=positions.shape).astype(np.float32)
    positions -= (positions.max(axis=0) + positions.min(axis=0)) / 2
    return positions / max(1e-9, float(np.abs(positions).max()))


def _embed(centroids: np.ndarray, seed: int) -> np.ndarray:
    """Centroids (k, d) on the plane, float32 (k, 2), within -1..1."""
    if len(centroids) < 8:  # too few for neighbourhoods: on a circle
        angles = 2 * math.pi * np.arange(len(centroids)) / len(centroids)
        return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        places = TSNE(
            perplexity=min(12.0, (len(centroids) - 1) / 3),
            metric="cosine",
            init="random",
            method="exact",
            max_iter=500,
            random_state=seeds.integer(seed, "map"),
        ).fit_transform(centroids)
    return np.asarray(places / np.abs(places).max(), dtype=np.float32)
