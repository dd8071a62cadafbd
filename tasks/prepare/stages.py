"""Stages over a run's folder before anything is chosen: examples, corpus, vectors, checks, clusters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tasks.corpus.prepare import prepare_corpus
from tasks.corpus.read import Fields
from tasks.corpus.target import Target, read_target
from tasks.prepare.documents import CORPUS
from tasks.prepare.settings import CorpusSettings, EncoderSettings
from tasks.prepare.vectors import FROZEN, frozen_encoder, pair_text
from tasks.records import BadInput
from tasks.run import terminal
from tasks.run.parallel import current_mapper
from tasks.run.seeds import integer
from tasks.select.cluster import default_clusters, kmeans, map_2d, top_terms
from tasks.select.encode import encode_table, encode_texts
from tasks.select.lsa import LSAEncoder
from tasks.storage.arrays import load_array, save_array
from tasks.storage.tables import iterate_rows, write_json

Facts = dict[str, Any]


def fields(settings: CorpusSettings) -> Fields:
    return Fields(
        text=settings.text_field,
        id=settings.id_field,
        source=settings.source_field,
        hf_split=settings.hf_split,
    )


def target(run: Path, settings: CorpusSettings, source: Facts) -> Facts:
    """Read the examples and part them into the reference, which steers, and the test part, which judges."""
    found = read_target(
        settings.examples,
        settings.test,
        test_share=settings.test_share,
        **settings.example_fields,
        seed=settings.seed,
        ngram=settings.decontamination_ngram,
        flag=settings.examples_flag,
    )
    found.save(run / "target")
    return {
        "files": ["target/reference.jsonl", "target/test.jsonl"],
        "reference": len(found.reference),
        "test": len(found.test),
        "rejected": [[reject.stage, reject.reason, reject.id, reject.detail] for reject in found.rejects],
    }


def reading(settings: CorpusSettings) -> dict[str, Any]:
    """Which documents are taken and how they are cut, the same for a look before the run and for the run."""
    return {
        "corpus_share": settings.corpus_share,
        "exclude": settings.exclude,
        "min_characters": settings.min_characters,
        "max_tokens": settings.max_tokens,
        "max_broken": settings.max_broken,
        "seed": settings.seed,
    }


def corpus(run: Path, settings: CorpusSettings, source: Facts, target: Facts) -> Facts:
    """Read, split, normalise, deduplicate and decontaminate the documents."""
    summary = prepare_corpus(
        settings.corpus,
        fields(settings),
        Target.load(run / "target").test,
        run / CORPUS,
        run / "stages/rejected.parquet",
        **reading(settings),
        near_duplicates=settings.near_duplicates,
        decontamination_ngram=settings.decontamination_ngram,
        mapper=current_mapper(),
        progress=terminal.current().progress,
    )
    if settings.clusters and settings.clusters > summary.documents:
        raise BadInput(
            f"--clusters {settings.clusters}: more than the {summary.documents} documents of the corpus"
        )
    return {
        "files": [CORPUS, "stages/rejected.parquet"],
        "documents": summary.documents,
        "tokens": summary.tokens,
        "rejected": summary.rejected,
        "untestable": summary.untestable,
    }


def encode(run: Path, settings: CorpusSettings, corpus: Facts, target: Facts) -> Facts:
    """Vectors of the documents, in partitions on Dask, and of the target's two parts."""
    found = encode_documents(run, settings)
    spec, parts = frozen_encoder(run, settings), Target.load(run / "target")
    for name, examples in (("reference", parts.reference), ("test", parts.test)):
        texts_of = [pair_text(example.question, example.answer) for example in examples]
        save_array(run / f"stages/{name}.npy", encode_texts(spec, texts_of))
    return {**found, "files": [*found["files"], "stages/reference.npy", "stages/test.npy"]}


def encode_documents(run: Path, settings: EncoderSettings) -> Facts:
    """Vectors of the rows of the corpus table; the LSA is fitted on them."""
    files = ["vectors.npy"]
    if settings.encoder == "lsa":
        texts = (row["text"] for row in iterate_rows(run / CORPUS, ["text"]))
        LSAEncoder.fit(texts, settings.encoder_dimensions, settings.seed).save(run / FROZEN)
        files.append(FROZEN)
    spec = frozen_encoder(run, settings)
    rows, dimensions = encode_table(spec, run / CORPUS, run / "vectors.npy", current_mapper())
    return {"files": files, "rows": rows, "dimensions": dimensions}


def gate_documents(run: Path, settings: CorpusSettings, corpus: Facts, vectors: Facts) -> Facts:
    """Great Expectations over documents and vectors, before anything is paid for; a failed one names the rows."""
    from tasks.prepare.gates import check_documents, check_vectors

    check_documents(run / CORPUS, run / "expectations")
    check_vectors(run / "vectors.npy", run / CORPUS, run / "expectations")
    return {"files": ["expectations/docs/index.html"]}


def clusters(run: Path, settings: CorpusSettings, vectors: Facts) -> Facts:
    """Clusters in the encoder's own space."""
    return cluster_documents(run, settings, load_array(run / "vectors.npy"))


def cluster_documents(run: Path, settings: CorpusSettings, vectors: np.ndarray) -> Facts:
    """k-means of the documents' vectors, readable terms per cluster, and a map."""
    found = kmeans(
        vectors, settings.clusters or default_clusters(len(vectors)), integer(settings.seed, "cluster")
    )
    clusters = len(found.centroids)
    save_array(run / "stages/labels.npy", found.labels)
    save_array(run / "stages/centroids.npy", found.centroids)
    save_array(run / "stages/map.npy", map_2d(vectors, integer(settings.seed, "map")))
    write_json(run / "stages/terms.json", top_terms(run / CORPUS, found.labels, clusters))
    return {
        "files": [f"stages/{name}" for name in ("labels.npy", "centroids.npy", "map.npy", "terms.json")],
        "clusters": clusters,
    }
