"""Latent semantic analysis: the embedded encoder, which needs no download.

TF-IDF of words, then a truncated singular value decomposition (Deerwester et al., 1990).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tasks.records import BadInput
from tasks.run import seeds
from tasks.storage.tables import atomic_path, write_json

# Single characters and numbers are words here: in worked problems they say what the text is about. Operators were
# tried and left out: they draw code and tables towards arithmetic.
TOKEN = r"\w+"
MAX_FEATURES = 50_000
MAX_SAMPLE = 20_000
WEIGHTS, VOCABULARY = "lsa.safetensors", "lsa.json"


class LSAEncoder:
    """TF-IDF (sublinear) projected on the leading right singular vectors of a sample of the corpus.

    Args:
        vocabulary: word of each column, in column order.
        idf: inverse document frequency of each word, (words,).
        components: right singular vectors, (dimensions, words).
    """

    def __init__(self, vocabulary: Sequence[str], idf: np.ndarray, components: np.ndarray) -> None:
        self.vocabulary = list(vocabulary)
        self.idf = np.ascontiguousarray(idf, dtype=np.float32)
        # safetensors writes the buffer as it lies, whatever the strides say.
        self.components = np.ascontiguousarray(components, dtype=np.float32)
        self.dimensions = int(self.components.shape[0])
        self._vectorizer = _vectorizer(vocabulary=self.vocabulary)
        self._vectorizer.idf_ = self.idf
        self._projection = np.ascontiguousarray(self.components.T)

    @classmethod
    def fit(cls, texts: Iterable[str], dimensions: int, seed: int, sample: int = MAX_SAMPLE) -> LSAEncoder:
        """Fits on at most `sample` of the texts, drawn uniformly while they stream by.

        Args:
            texts: the corpus, read once.
            dimensions: wanted; capped by the number of sampled texts and of words.

        Raises:
            BadInput: there is no text, or no word in them.
        """
        from sklearn.utils.extmath import randomized_svd
        from threadpoolctl import threadpool_limits

        kept = sample_texts(texts, sample, seed)
        if not kept:
            raise BadInput("encoder lsa: no texts to fit on; check what they are read from")
        # A word of one text relates nothing; but a corpus of a few texts may have no other words.
        for min_df in (2, 1):
            vectorizer = _vectorizer(min_df=min(min_df, len(kept)), max_features=MAX_FEATURES)
            try:
                weights = vectorizer.fit_transform(kept)
                break
            except ValueError:  # scikit-learn's "empty vocabulary" and "no terms remain"
                continue
        else:
            raise BadInput("encoder lsa: no words in the texts; check the field that they are read from")
        # Blocked sums differ with the number of threads; one thread makes the fit the same everywhere.
        with threadpool_limits(1):
            _, _, components = randomized_svd(
                weights,
                min(dimensions, *weights.shape),
                n_iter=3,
                random_state=seeds.integer(seed, "lsa", "svd"),
            )
        return cls(vectorizer.get_feature_names_out().tolist(), vectorizer.idf_, components)

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Unit rows, float32 (n, d). Sparse times dense row by row: a text's vector never depends on its batch."""
        if not len(texts):
            return np.zeros((0, self.dimensions), dtype=np.float32)
        return unit_rows(self._vectorizer.transform(texts) @ self._projection)

    def save(self, folder: Path) -> None:
        """Writes the words as JSON and the matrices as safetensors; the JSON last, it marks the folder as whole."""
        from safetensors.numpy import save_file

        with atomic_path(folder / WEIGHTS) as temporary:
            save_file({"idf": self.idf, "components": self.components}, temporary)
        write_json(folder / VOCABULARY, {"dimensions": self.dimensions, "vocabulary": self.vocabulary})

    @classmethod
    def load(cls, folder: Path) -> LSAEncoder:
        """Reads what `save` wrote.

        Raises:
            BadInput: the folder holds no whole LSA encoder.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        try:
            vocabulary = json.loads((folder / VOCABULARY).read_text(encoding="utf-8"))["vocabulary"]
            tensors = load_file(folder / WEIGHTS)
            return cls(vocabulary, tensors["idf"], tensors["components"])
        except (OSError, ValueError, KeyError, SafetensorError) as error:
            raise BadInput(
                f"encoder {folder}: not a saved LSA encoder ({' '.join(str(error).split())})"
            ) from None


def unit_rows(vectors: np.ndarray) -> np.ndarray:
    """Rows scaled to length 1, float32; a row of zeros becomes the last axis, the least telling direction."""
    vectors = np.array(vectors, dtype=np.float32, order="C")
    norms = np.sqrt(np.einsum("nd,nd->n", vectors, vectors, dtype=np.float64))
    empty = norms < 1e-12
    vectors /= np.where(empty, 1.0, norms)[:, None].astype(np.float32)
    vectors[empty] = 0.0
    vectors[empty, -1:] = 1.0
    return vectors


def sample_texts(texts: Iterable[str], size: int, seed: int) -> list[str]:
    """A uniform sample of a stream in its order, by reservoir (Vitter, 1985, algorithm R); all if there are fewer."""
    random = seeds.generator(seed, "lsa", "sample")
    held: list[tuple[int, str]] = []
    for index, text in enumerate(texts):
        if len(held) < size:
            held.append((index, text))
        elif (place := int(random.integers(index + 1))) < size:
            held[place] = (index, text)
    return [text for _, text in sorted(held)]


def _vectorizer(**options: Any) -> Any:
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer(token_pattern=TOKEN, sublinear_tf=True, dtype=np.float32, **options)
