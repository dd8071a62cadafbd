"""A classifier at rest and back: what a run leaves in model/, and how it is used.

from tasks.classify.classifier import Classifier
Classifier.load("runs/wrong_event/first/model").predict(["a text", "another"])  # or numbers, an array (n, features)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tasks.classify.inputs import Inputs, Tokens, Vectors
from tasks.classify.networks import device, encoder_network, probabilities, small_network
from tasks.corpus.formats import listed
from tasks.records import BadInput
from tasks.storage.tables import atomic_folder, read_json, write_json

FACTS, WEIGHTS = "classifier.json", "model.safetensors"


@dataclass(frozen=True, slots=True)
class Classifier:
    """A network with what its inputs and outputs mean.

    Args:
        classes: names, in the order of the network's outputs.
        mean, scale: of each number, (d,); empty for a transformers encoder.
        features: columns of the numbers; empty for texts.
        encoder: of texts to vectors; None for numbers and for a transformers encoder.
        tokenizer, max_tokens: of a transformers encoder.
    """

    network: torch.nn.Module
    classes: list[str]
    mean: np.ndarray = field(default_factory=lambda: np.zeros(0))
    scale: np.ndarray = field(default_factory=lambda: np.zeros(0))
    features: tuple[str, ...] = ()
    encoder: Any = None
    tokenizer: Any = None
    max_tokens: int = 0

    def inputs(self, rows: Sequence[str] | np.ndarray) -> Inputs:
        """Texts, or numbers (n, d) in the order of `features`, as the network reads them.

        A row's numbers may be an array, as of an image's pixels; it is flattened.

        Raises:
            BadInput: the rows are not what this classifier takes.
        """
        if self.tokenizer is None and self.encoder is None:
            return vectors(self._numbers(rows), self.mean, self.scale)
        if isinstance(rows, str) or not len(rows) or not all(isinstance(row, str) for row in rows):
            raise BadInput(f"this classifier takes a list of texts; given was {_shown(rows)}")
        if self.tokenizer is not None:
            return tokens(self.tokenizer, list(rows), self.max_tokens)
        return vectors(self.encoder.encode(list(rows)), self.mean, self.scale)

    def probabilities(self, rows: Sequence[str] | np.ndarray) -> np.ndarray:
        """Of every class, float32 (n, classes)."""
        return probabilities(self.network, self.inputs(rows))

    def predict(self, rows: Sequence[str] | np.ndarray) -> list[str]:
        """The likeliest class of each row; what rows are is said at `inputs`."""
        return [self.classes[place] for place in self.probabilities(rows).argmax(axis=1)]

    def _numbers(self, rows: Any) -> np.ndarray:
        """Rows as float64 (n, d)."""
        takes = f"this classifier takes numbers, {len(self.mean)} a row ({listed(self.features)})"
        try:
            values = np.asarray(rows, np.float64)
        except (TypeError, ValueError):
            raise BadInput(f"{takes}; given was {_shown(rows)}") from None
        if values.ndim < 2 or not len(values) or values[0].size != len(self.mean):
            raise BadInput(f"{takes}; given was an array of shape {values.shape}")
        if not np.isfinite(values).all():
            raise BadInput(f"{takes}; some of those given are not finite")
        return values.reshape(len(values), -1)

    def save(self, path: Path) -> None:
        """Write it; the folder is whole or absent. One with a transformers encoder can be loaded by transformers as well."""
        from safetensors.torch import save_file

        with atomic_folder(path) as at:
            facts: dict[str, Any] = {"classes": self.classes, "max_tokens": self.max_tokens}
            if self.tokenizer is not None:
                network: Any = self.network
                network.config.id2label = dict(enumerate(self.classes))
                network.config.label2id = {name: place for place, name in enumerate(self.classes)}
                network.save_pretrained(at)
                self.tokenizer.save_pretrained(at)
            else:
                weights = {
                    name: value.cpu().contiguous() for name, value in self.network.state_dict().items()
                }
                save_file(weights, at / WEIGHTS)
                facts |= {
                    "mean": self.mean.tolist(),
                    "scale": self.scale.tolist(),
                    "features": list(self.features),
                    "width": len(weights["0.bias"]),
                }
            if self.encoder is not None:
                self.encoder.save(at / "lsa")
            write_json(at / FACTS, facts)

    @classmethod
    def load(cls, path: str | Path) -> Classifier:
        """Read what `save` wrote."""
        from safetensors.torch import load_file

        from tasks.select.lsa import LSAEncoder

        path = Path(path)
        facts = read_json(path / FACTS)
        classes = facts["classes"]
        if "mean" not in facts:
            network, tokenizer = encoder_network(str(path), len(classes), 0, "the model")
            return cls(network, classes, tokenizer=tokenizer, max_tokens=facts["max_tokens"])
        mean, scale = np.array(facts["mean"]), np.array(facts["scale"])
        network = small_network(len(mean), len(classes), 0, facts["width"])
        network.load_state_dict(load_file(path / WEIGHTS))
        encoder = LSAEncoder.load(path / "lsa") if (path / "lsa").is_dir() else None
        return cls(network, classes, mean, scale, tuple(facts["features"]), encoder)


def embedded_classifier(
    classes: list[str],
    rows: Sequence[str] | np.ndarray,
    features: Sequence[str],
    *,
    dimensions: int,
    width: int,
    seed: int,
    network_seed: int,
) -> Classifier:
    """A small network before any training, over vectors of texts (LSA, fitted on them) or over numbers.

    Args:
        rows: texts, or numbers (n, d), that the classifier is to read.
        features: columns of the numbers.
        dimensions: of the vectors of texts.
        width: of the network.

    Raises:
        BadInput: a column's numbers are so large that their spread is no finite number, or the texts have no words.
    """
    encoder, numbers = None, np.asarray(rows)
    if isinstance(rows[0], str):
        from tasks.select.lsa import LSAEncoder

        encoder = LSAEncoder.fit(rows, dimensions, seed)
        numbers = encoder.encode(list(rows))
    with np.errstate(over="ignore"):
        mean, scale = numbers.mean(axis=0), numbers.std(axis=0)
    if not np.isfinite(scale).all():
        raise BadInput(
            f"feature {features[int(np.argmin(np.isfinite(scale)))]}: its numbers are too large to be compared; divide them by their unit"
        )
    if encoder is not None:  # the leading directions say more: they keep their share
        scale = np.full_like(scale, numbers.std())
    scale = np.where(scale > 0, scale, 1.0)
    network = small_network(numbers.shape[1], len(classes), network_seed, width)
    return Classifier(network, classes, mean, scale, tuple(features), encoder)


def _shown(rows: Any) -> str:
    """What was given, for a message: its type, and that of its first row."""
    first = next(iter(rows), None) if isinstance(rows, Sequence | np.ndarray) else None
    of = "" if first is None or isinstance(rows, str) else f" of {type(first).__name__}"
    return f"{type(rows).__name__}{of}"


def vectors(values: np.ndarray, mean: np.ndarray, scale: np.ndarray) -> Vectors:
    """Numbers (n, d) less their mean, divided by their scale."""
    return Vectors(torch.from_numpy(((values - mean) / scale).astype(np.float32)).to(device()))


def tokens(tokenizer: Any, texts: Sequence[str], max_tokens: int) -> Tokens:
    """Texts as a transformers encoder reads them; a tokenizer without a mask hides a token by the padding's."""
    found = tokenizer(list(texts), truncation=True, max_length=max_tokens)["input_ids"]
    special = frozenset(tokenizer.all_special_ids)
    mask = tokenizer.pad_token_id if tokenizer.mask_token_id is None else tokenizer.mask_token_id
    ids = [np.array(one, np.int64) for one in found]
    return Tokens(ids, special, mask, tokenizer.pad_token_id, device())
