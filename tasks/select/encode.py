"""Texts to vectors: the encoder's protocol, the small spec that workers load it from, and the table of vectors."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Protocol

import numpy as np

from tasks.records import BadInput
from tasks.run import hub
from tasks.run.parallel import Mapper, serial
from tasks.select import lsa
from tasks.select.partitions import Partition, partitions, read_texts
from tasks.storage.arrays import load_array, save_array, save_rows


class Encoder(Protocol):
    """Texts to unit vectors, of which the cosine says how alike the texts are."""

    dimensions: int

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """float32 (n, dimensions), rows of length 1, never NaN."""
        ...


@dataclass(frozen=True, slots=True)
class EncoderSpec:
    """What a worker needs to load an encoder.

    Args:
        name: folder of a fitted LSA encoder, or folder or hub name of a transformers encoder.
        max_tokens: a transformers encoder reads this many tokens of a text.
    """

    name: str
    max_tokens: int = 256


def check_encoder(name: str) -> None:
    """Cheap check of the setting `encoder`, before anything is read: no weights are loaded.

    A hub name that is not in the local cache costs one request to the hub.

    Raises:
        BadInput: neither 'lsa', nor a folder with an encoder, nor a model that the cache or the hub has.
    """
    folder = Path(name).expanduser()
    if name == "lsa" or (folder / lsa.VOCABULARY).is_file():
        return
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise BadInput(
                f"--encoder {name}: the folder has no config.json; give a transformers encoder's folder"
            )
        if not list(folder.glob("*.safetensors")):
            raise BadInput(
                f"--encoder {name}: the folder has no .safetensors weights; save it with safetensors"
            )
    elif folder.exists():
        raise BadInput(f"--encoder {name}: a file; give the folder of a transformers encoder, or 'lsa'")
    elif hub.is_name(name):
        hub.check_model(name, f"--encoder {name}", "the folder of a saved encoder, or 'lsa'")
    else:
        raise BadInput(
            f"--encoder {name}: no such folder; give 'lsa', a transformers encoder's folder or hub name"
        )


def load_encoder(spec: EncoderSpec) -> Encoder:
    """The encoder of a spec, kept by the process for its next partition until its files change.

    Raises:
        BadInput: it cannot be loaded.
    """
    return _load(spec, tuple(path.stat().st_mtime_ns for path in _files(spec)))


@lru_cache(maxsize=2)
def _load(spec: EncoderSpec, changed: tuple[int, ...]) -> Encoder:
    if (Path(spec.name) / lsa.VOCABULARY).is_file():
        return lsa.LSAEncoder.load(Path(spec.name))
    from tasks.select.pretrained import TransformersEncoder

    return TransformersEncoder(spec.name, spec.max_tokens)


def encode_texts(spec: EncoderSpec, texts: Sequence[str]) -> np.ndarray:
    """Vectors of a few texts, here. Returns unit rows, float32 (n, d)."""
    return load_encoder(spec).encode(texts)


def encode_table(
    spec: EncoderSpec, corpus: Path, output: Path, mapper: Mapper = serial, rows_per_partition: int = 512
) -> tuple[int, int]:
    """Encodes the column `text` of a Parquet table into one .npy, float32 (n, d), in the table's row order.

    Partitions are encoded by the mapper, each reads its rows and writes its part beside the output; parts of an
    interrupted run with the same encoder and corpus are used again. The result does not depend on the mapper.

    Returns:
        (n, d).
    """
    dimensions = load_encoder(spec).dimensions
    pieces = list(partitions(corpus, rows_per_partition))
    total = pieces[-1].stop if pieces else 0
    parts = output.with_name(f".{output.name}.parts-{_fingerprint(spec, corpus, rows_per_partition)}")
    parts.mkdir(parents=True, exist_ok=True)
    found = mapper(partial(_encode_partition, spec, parts), pieces)
    save_rows(output, (load_array(part) for part in found), (total, dimensions))
    for stale in output.parent.glob(f".{output.name}.parts-*"):
        shutil.rmtree(stale)
    return total, dimensions


def _encode_partition(spec: EncoderSpec, parts: Path, piece: Partition) -> Path:
    path = parts / f"{piece.start:09d}.npy"
    if not path.exists():
        vectors = load_encoder(spec).encode(read_texts(piece))
        save_array(path, vectors)
    return path


def _fingerprint(spec: EncoderSpec, corpus: Path, rows: int) -> str:
    """Of everything a part depends on: contents of files, the name of what a hub holds."""
    digest = hashlib.sha256(json.dumps([asdict(spec), rows]).encode())
    for path in [corpus, *_files(spec)]:
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:16]


def _files(spec: EncoderSpec) -> list[Path]:
    """Weights and configuration of an encoder in a folder; none of one on a hub."""
    folder = Path(spec.name).expanduser()
    return sorted([*folder.glob("*.safetensors"), *folder.glob("*.json")]) if folder.is_dir() else []
