"""Encoders: unit rows, files without pickle, and a table of vectors that does not depend on who made it."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer

from tasks.records import BadInput
from tasks.select.encode import EncoderSpec, check_encoder, encode_table, encode_texts, load_encoder
from tasks.select.lsa import TOKEN, LSAEncoder, sample_texts, unit_rows
from tasks.select.partitions import partitions, read_texts
from tasks.storage.tables import CORPUS, write_table

TOPICS = {
    "algebra": "solve the equation for x where 2 x plus 3 equals 7 and find the slope of a line",
    "cooking": "chop the onion and fry it in butter then add salt pepper flour and simmer the soup",
    "systems": "mount the disk edit the configuration file and restart the service with root permissions",
}


def texts(count: int, seed: int = 0) -> list[str]:
    draw = random.Random(seed)
    return [
        " ".join(draw.choices(TOPICS[name].split(), k=30)) for name in list(TOPICS) * (count // len(TOPICS))
    ]


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    path = tmp_path / "documents.parquet"
    write_table(path, ({"id": str(i), "text": text} for i, text in enumerate(texts(90))), CORPUS)
    return path


@pytest.fixture
def spec(tmp_path: Path) -> EncoderSpec:
    LSAEncoder.fit(texts(90), 16, seed=0).save(tmp_path / "lsa")
    return EncoderSpec(str(tmp_path / "lsa"))


def test_like_texts_are_nearer_than_unlike_ones() -> None:
    vectors = LSAEncoder.fit(texts(90), 16, seed=0).encode(texts(9, seed=1))
    similar = vectors @ vectors.T
    assert similar[0, 3] > 0.5 > similar[0, 1]
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-5)


def test_lsa_spans_the_subspace_of_a_full_decomposition() -> None:
    sample = texts(60)
    encoder = LSAEncoder.fit(sample, 8, seed=0)
    weights = TfidfVectorizer(token_pattern=TOKEN, sublinear_tf=True, min_df=2).fit_transform(sample)
    exact = unit_rows(TruncatedSVD(8, algorithm="arpack").fit_transform(weights))
    assert encoder.encode(sample) @ encoder.encode(sample).T == pytest.approx(exact @ exact.T, abs=0.05)


def test_a_text_without_known_words_gets_a_fixed_unit_vector() -> None:
    encoder = LSAEncoder.fit(texts(30), 8, seed=0)
    vectors = encoder.encode(["", "zzzz qqqq", "..."])
    assert (vectors == np.eye(encoder.dimensions, dtype=np.float32)[-1]).all()
    assert encoder.encode([]).shape == (0, encoder.dimensions)


def test_five_documents_are_enough() -> None:
    encoder = LSAEncoder.fit(["one", "two", "three four", "five", "six"], 256, seed=0)
    assert encoder.dimensions == 5
    assert np.isfinite(encoder.encode(["one two"])).all()


@pytest.mark.parametrize(("given", "message"), [([], "no texts"), (["...", "!!"], "no words")])
def test_nothing_to_fit_on_is_bad_input(given: list[str], message: str) -> None:
    """The message names no flag: every flow has others."""
    with pytest.raises(BadInput, match=message) as error:
        LSAEncoder.fit(given, 8, seed=0)
    assert "--" not in str(error.value)


def test_a_saved_encoder_gives_the_same_bytes_and_holds_no_pickle(tmp_path: Path) -> None:
    encoder = LSAEncoder.fit(texts(60), 12, seed=0)
    encoder.save(tmp_path)
    assert {path.suffix for path in tmp_path.iterdir()} == {".json", ".safetensors"}
    assert LSAEncoder.load(tmp_path).encode(texts(9, 5)).tobytes() == encoder.encode(texts(9, 5)).tobytes()


def test_a_truncated_encoder_is_one_clear_line(tmp_path: Path) -> None:
    LSAEncoder.fit(texts(30), 8, seed=0).save(tmp_path)
    (tmp_path / "lsa.safetensors").write_bytes(b"short")
    with pytest.raises(BadInput, match="not a saved LSA encoder") as error:
        LSAEncoder.load(tmp_path)
    assert "\n" not in str(error.value)


def test_the_reservoir_is_uniform_in_stream_order_and_bounded() -> None:
    stream = [str(i) for i in range(50)]
    assert sample_texts(iter(stream), 100, seed=0) == stream
    drawn = [sample_texts(iter(stream), 10, seed=seed) for seed in range(300)]
    assert all(len(sample) == 10 and sample == sorted(sample, key=int) for sample in drawn)
    counts = np.bincount([int(text) for sample in drawn for text in sample], minlength=50)
    assert counts.min() > 30  # 60 expected of each
    assert counts.max() < 95


@pytest.mark.parametrize("rows", [1, 7, 90, 1000])
def test_partitions_cover_the_table_across_row_groups(tmp_path: Path, rows: int) -> None:
    from tasks.storage.tables import TableWriter

    path = tmp_path / "t.parquet"
    with TableWriter(path, CORPUS, rows_per_group=13) as writer:
        for i in range(90):
            writer.write({"id": str(i), "text": f"text {i}" if i != 40 else None})
    read = [text for piece in partitions(path, rows) for text in read_texts(piece)]
    assert read == [f"text {i}" if i != 40 else "" for i in range(90)]


def two_processes(function: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
    import multiprocessing

    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        yield from pool.map(function, items)


def test_the_table_of_vectors_is_the_same_from_two_processes(
    corpus: Path, spec: EncoderSpec, tmp_path: Path
) -> None:
    here, there = tmp_path / "here.npy", tmp_path / "there.npy"
    assert encode_table(spec, corpus, here, rows_per_partition=32) == (90, 16)
    encode_table(spec, corpus, there, two_processes, rows_per_partition=32)
    assert here.read_bytes() == there.read_bytes()
    assert np.load(here, allow_pickle=False) == pytest.approx(encode_texts(spec, texts(90)))
    assert not list(tmp_path.glob(".*.parts-*"))


def test_an_interrupted_table_encodes_only_the_parts_that_are_missing(
    corpus: Path, spec: EncoderSpec, tmp_path: Path
) -> None:
    output, done = tmp_path / "vectors.npy", []

    def dies_after_two(function: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
        for number, item in enumerate(items):
            if number == 2:
                raise RuntimeError("killed")
            yield function(item)

    def counts_new(function: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
        for item in items:
            before = len(list(tmp_path.glob(".*.parts-*/*.npy")))
            yield function(item)
            done.append(len(list(tmp_path.glob(".*.parts-*/*.npy"))) - before)

    with pytest.raises(RuntimeError, match="killed"):
        encode_table(spec, corpus, output, dies_after_two, rows_per_partition=30)
    assert not output.exists()
    encode_table(spec, corpus, output, counts_new, rows_per_partition=30)
    assert done == [0, 0, 1]


def test_the_table_grows_with_its_parts_because_a_mapped_file_on_a_full_disk_kills_the_process(
    spec: EncoderSpec, tmp_path: Path
) -> None:
    corpus = tmp_path / "documents.parquet"
    sizes: list[int] = []
    write_table(corpus, ({"id": str(i), "text": "butter"} for i in range(1200)), CORPUS)

    def looks(function: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
        for item in items:
            sizes.extend(file.stat().st_size for file in tmp_path.glob(".vectors.npy.*.tmp"))
            yield function(item)

    encode_table(spec, corpus, tmp_path / "vectors.npy", looks, rows_per_partition=400)
    whole = (tmp_path / "vectors.npy").stat().st_size
    assert len(sizes) == 3
    assert max(sizes) < whole


def test_a_refitted_encoder_is_loaded_anew(spec: EncoderSpec) -> None:
    assert load_encoder(spec) is load_encoder(spec)
    LSAEncoder.fit(texts(90), 4, seed=1).save(Path(spec.name))
    assert load_encoder(spec).dimensions == 4


@pytest.mark.parametrize("name", ["./nowhere", "a/b/c", "/no/such", "two words"])
def test_a_path_that_is_no_model_is_refused_before_anything_is_read(name: str) -> None:
    with pytest.raises(BadInput, match=r"--encoder .*no such folder"):
        check_encoder(name)


def test_a_folder_must_look_like_an_encoder(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"no config\.json"):
        check_encoder(str(tmp_path))
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    with pytest.raises(BadInput, match="safetensors"):
        check_encoder(str(tmp_path))
    with pytest.raises(BadInput, match="a file"):
        check_encoder(str(tmp_path / "config.json"))
    check_encoder("lsa")


def test_a_hub_name_is_asked_for_once_and_a_failure_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    import httpx2
    import huggingface_hub
    from huggingface_hub.errors import RepositoryNotFoundError

    asked: list[str] = []

    def hub(self: Any, name: str, **options: Any) -> None:
        asked.append(name)
        if name == "models/typo":
            raise RepositoryNotFoundError(
                "404", response=httpx2.Response(404, request=httpx2.Request("GET", "/"))
            )
        if name == "models/offline":
            raise ConnectionError("no network\nat all")

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", hub)
    check_encoder("some/encoder")
    with pytest.raises(BadInput, match="nor a model of the hub"):
        check_encoder("models/typo")
    with pytest.raises(BadInput, match="hub cannot be asked") as error:
        check_encoder("models/offline")
    assert "\n" not in str(error.value)
    assert asked == ["some/encoder", "models/typo", "models/offline"]
