"""Clusters: what k-means finds, bad numbers of clusters, the words that name them, and the map."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from tasks.records import BadInput
from tasks.select.cluster import default_clusters, kmeans, map_2d, top_terms
from tasks.storage.tables import CORPUS, write_table


def blobs(k: int, each: int, seed: int = 0, noise: float = 0.1) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    truth = np.repeat(np.arange(k), each)
    vectors = random.normal(size=(k, 24))[truth] + noise * random.normal(size=(k * each, 24))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32), truth


def test_kmeans_finds_separate_groups() -> None:
    vectors, truth = blobs(4, 50)
    best = max(adjusted_rand_score(truth, kmeans(vectors, 4, seed=seed).labels) for seed in range(5))
    assert best == pytest.approx(1)


def test_every_vector_is_in_the_cluster_of_its_nearest_centroid() -> None:
    vectors, _ = blobs(6, 40, noise=0.5)
    found = kmeans(vectors, 8, seed=0)
    assert (found.labels == (vectors @ found.centroids.T).argmax(axis=1)).all()
    assert found.labels.dtype == np.int32
    assert np.linalg.norm(found.centroids, axis=1) == pytest.approx(1, abs=1e-5)


def test_no_cluster_is_empty_even_among_duplicates() -> None:
    vectors = np.repeat(blobs(3, 1)[0], 20, axis=0)
    found = kmeans(vectors, 12, seed=0)
    assert set(found.labels) == set(range(len(found.centroids)))
    assert len(found.centroids) <= 12


def test_the_same_seed_gives_the_same_bytes_on_one_thread_or_two() -> None:
    import faiss

    vectors, _ = blobs(10, 60, noise=0.6)
    before = faiss.omp_get_max_threads()
    try:
        results = []
        for threads in (1, 2):
            faiss.omp_set_num_threads(threads)
            results.append(kmeans(vectors, 10, seed=3))
            assert faiss.omp_get_max_threads() == threads  # torch shares it
    finally:
        faiss.omp_set_num_threads(before)
    assert results[0].centroids.tobytes() == results[1].centroids.tobytes()
    assert results[0].labels.tobytes() == results[1].labels.tobytes()


def test_more_clusters_than_documents_is_bad_input() -> None:
    vectors, _ = blobs(2, 3)
    with pytest.raises(BadInput, match="--clusters 7: more than the 6 documents"):
        kmeans(vectors, 7, seed=0)
    assert len(kmeans(vectors, 6, seed=0).labels) == 6
    with pytest.raises(BadInput, match="no documents"):
        kmeans(vectors[:0], 1, seed=0)


def test_the_default_number_of_clusters_grows_with_the_square_root() -> None:
    assert [default_clusters(n) for n in (1, 2, 5, 200, 18_000)] == [1, 1, 2, 10, 95]


@pytest.fixture
def corpus(tmp_path: Path) -> tuple[Path, np.ndarray]:
    texts = [
        "The onion and the onions don't burn; add butter, butter and salt.",
        r"The fraction \frac{3}{4} has a denominator; denominators don't vanish &nbsp; x2",
        "The 1234 !! ...",
    ]
    labels = np.tile(np.arange(3), 10)
    path = tmp_path / "documents.parquet"
    write_table(path, ({"id": str(i), "text": texts[label]} for i, label in enumerate(labels)), CORPUS)
    return path, labels


def test_terms_name_their_cluster_without_stop_words_or_fragments(corpus: tuple[Path, np.ndarray]) -> None:
    terms = top_terms(*corpus, k=4)
    assert terms[0][0] == "butter"
    assert {"fraction", "denominator", "vanish"} == set(terms[1])
    assert terms[2:] == [[], []]  # no words; no documents
    assert not {"the", "don", "frac", "nbsp", "onions"} & {word for words in terms for word in words}


def test_terms_are_at_most_as_many_as_asked_for(corpus: tuple[Path, np.ndarray]) -> None:
    assert [len(words) for words in top_terms(*corpus, k=3, n_terms=2)] == [2, 2, 0]


def test_terms_read_a_bounded_sample_and_do_not_vary(tmp_path: Path) -> None:
    path, labels = tmp_path / "documents.parquet", np.tile(np.arange(2), 20)
    words = [f"word{first}{second}" for first in "abcd" for second in "efghijklmn"]  # one per document
    write_table(path, ({"id": word, "text": word} for word in words), CORPUS)

    def read(most: int) -> list[list[str]]:
        return top_terms(path, labels, k=2, n_terms=40, max_documents=most)

    assert [len(terms) for terms in read(40)] == [20, 20]
    assert [len(terms) for terms in read(16)] == [8, 8]
    assert [len(terms) for terms in read(1)] == [5, 5]
    assert read(16) == read(16)


def test_neighbours_stand_together_on_the_map() -> None:
    vectors, truth = blobs(5, 60)
    places = map_2d(vectors, seed=0)
    assert places.dtype == np.float32
    assert np.abs(places).max() == pytest.approx(1, abs=1e-5)
    centres = np.stack([places[truth == group].mean(axis=0) for group in range(5)])
    nearest = np.linalg.norm(places[:, None] - centres, axis=2).argmin(axis=1)
    assert (nearest == truth).mean() > 0.9
    assert places.tobytes() == map_2d(vectors, seed=0).tobytes()


@pytest.mark.parametrize("n", [0, 1, 3, 12])
def test_a_map_of_few_documents_is_finite(n: int) -> None:
    places = map_2d(blobs(1, 12)[0][:n], seed=0)
    assert places.shape == (n, 2)
    assert np.isfinite(places).all()
