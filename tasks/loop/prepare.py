"""Before the first round: the target, the corpus, its vectors, the warm-up, the aligned space, the clusters."""

from __future__ import annotations

import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from tasks.corpus.prepare import prepare_corpus
from tasks.corpus.target import Target, read_target
from tasks.loop.check import fields
from tasks.loop.plan import documents_budget, make_plan
from tasks.loop.pulls import CORPUS, extract_rows, read_documents, round_folder
from tasks.loop.settings import EqualSettings
from tasks.loop.space import (
    ALIGNED,
    FROZEN,
    HEAD,
    REFERENCE,
    SPACE,
    aligned_encoder,
    document_space,
    frozen_encoder,
    pair_text,
    to_space,
)
from tasks.records import BadInput
from tasks.run import terminal
from tasks.run.arrays import load_array, save_array, save_rows
from tasks.run.parallel import current_mapper
from tasks.run.seeds import generator, integer
from tasks.run.tables import iterate_rows, read_rows, write_json
from tasks.select.align import Alignment, apply_head, fit_linear_head
from tasks.select.bandit import BANDITS
from tasks.select.cluster import default_clusters, kmeans, map_2d, top_terms
from tasks.select.encode import encode_table, encode_texts
from tasks.select.finetune import finetune_encoder
from tasks.select.lsa import LSAEncoder

Facts = dict[str, Any]

CHUNK = 65_536  # documents whose vectors are in memory at a time


def target(run: Path, settings: EqualSettings, source: Facts) -> Facts:
    """Read the target and part it into the reference, which steers, and the test part, which judges."""
    found = read_target(
        settings.target,
        settings.test,
        test_share=settings.test_share,
        question_field=settings.question_field,
        answer_field=settings.answer_field,
        seed=settings.seed,
        ngram=settings.decontamination_ngram,
    )
    found.save(run / "target")
    return {
        "files": ["target/reference.jsonl", "target/test.jsonl"],
        "reference": len(found.reference),
        "test": len(found.test),
        "rejected": [[reject.stage, reject.reason, reject.id, reject.detail] for reject in found.rejects],
    }


def corpus(run: Path, settings: EqualSettings, source: Facts, target: Facts) -> Facts:
    """Read, split, normalise, deduplicate and decontaminate the documents."""
    summary = prepare_corpus(
        settings.corpus,
        fields(settings),
        Target.load(run / "target").test,
        run / CORPUS,
        run / "stages/rejected.parquet",
        corpus_share=settings.corpus_share,
        exclude=settings.exclude,
        min_characters=settings.min_characters,
        max_tokens=settings.max_tokens,
        near_duplicates=settings.near_duplicates,
        decontamination_ngram=settings.decontamination_ngram,
        max_broken=settings.max_broken,
        seed=settings.seed,
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


def encode(run: Path, settings: EqualSettings, corpus: Facts, target: Facts) -> Facts:
    """Vectors of the documents, in partitions on Dask, and of the target's two parts."""
    files = ["vectors.npy", "stages/reference.npy", "stages/test.npy"]
    if settings.encoder == "lsa":
        texts = (row["text"] for row in iterate_rows(run / CORPUS, ["text"]))
        LSAEncoder.fit(texts, settings.encoder_dimensions, settings.seed).save(run / FROZEN)
        files.append(FROZEN)
    spec = frozen_encoder(run, settings)
    rows, dimensions = encode_table(spec, run / CORPUS, run / "vectors.npy", current_mapper())
    parts = Target.load(run / "target")
    for name, examples in (("reference", parts.reference), ("test", parts.test)):
        texts_of = [pair_text(example.question, example.answer) for example in examples]
        save_array(run / f"stages/{name}.npy", encode_texts(spec, texts_of))
    return {"files": files, "rows": rows, "dimensions": dimensions}


def gate_documents(run: Path, settings: EqualSettings, corpus: Facts, vectors: Facts) -> Facts:
    """Great Expectations over documents and vectors, before anything is paid for; a failed one names the rows."""
    from tasks.run.gates import check_documents, check_vectors

    check_documents(run / CORPUS, run / "expectations")
    check_vectors(run / "vectors.npy", run / CORPUS, run / "expectations")
    return {"files": ["expectations/docs/index.html"]}


def warm_up(run: Path, settings: EqualSettings, corpus: Facts, vectors: Facts) -> Facts:
    """Extract a random share of the budget first; only for the bandits over clusters."""
    budget = documents_budget(corpus["documents"], settings)
    documents = 0
    if settings.warmup and settings.strategy in BANDITS:
        documents = min(max(1, round(settings.warmup * budget)), budget - 1)
    rows = generator(settings.seed, "warm-up").permutation(corpus["documents"])[:documents]
    return extract_rows(run, run, settings, 0, rows.tolist())


def align(run: Path, settings: EqualSettings, vectors: Facts, warm: Facts) -> Facts:
    """Contrastive alignment on the warm-up's (document, pair); clusters and rewards live in the space it gives.

    An alignment that ranks the pairs of held-out documents no better than before is not used.
    """
    pairs = read_rows(round_folder(run, 0) / "extracted.parquet")
    row_of = {read["document_id"]: read["row"] for read in read_rows(round_folder(run, 0) / "reads.parquet")}
    rows = np.array([row_of[pair["document_id"]] for pair in pairs], dtype=np.int64)
    for left in (HEAD, SPACE, REFERENCE):  # of an attempt that was killed
        (run / left).unlink(missing_ok=True)
    shutil.rmtree(run / ALIGNED, ignore_errors=True)
    files: list[str] = []
    report = None
    if settings.align == "full" and len(pairs) > 1:
        report = finetune_encoder(
            settings.encoder,
            [document["text"] for document in read_documents(run, rows.tolist())],
            [pair_text(pair["question"], pair["answer"]) for pair in pairs],
            run / ALIGNED,
            groups=rows,
            temperature=settings.align_temperature,
            max_tokens=settings.encoder_max_tokens,
            seed=integer(settings.seed, "align"),
        )
        if report.helped:
            encode_table(aligned_encoder(run, settings), run / CORPUS, run / SPACE, current_mapper())
            files = [ALIGNED, SPACE, REFERENCE]
        else:
            shutil.rmtree(run / ALIGNED)
    elif settings.align == "linear" and len(pairs) > 1:
        documents = load_array(run / "vectors.npy")
        head, report = fit_linear_head(
            np.asarray(documents[rows]),
            np.asarray(load_array(round_folder(run, 0) / "vectors.npy")),
            groups=rows,
            temperature=settings.align_temperature,
            seed=integer(settings.seed, "align"),
        )
        if report.helped:
            save_array(run / HEAD, head)
            parts = (
                apply_head(documents[first : first + CHUNK], head)
                for first in range(0, len(documents), CHUNK)
            )
            save_rows(run / SPACE, parts, documents.shape)
            files = [HEAD, SPACE, REFERENCE]
    if files:
        examples = Target.load(run / "target").reference
        texts = [pair_text(example.question, example.answer) for example in examples]
        save_array(run / REFERENCE, to_space(run, settings, load_array(run / "stages/reference.npy"), texts))
    return {"files": files, "align": settings.align, **_alignment(report)}


def _alignment(report: Alignment | None) -> Facts:
    """Loss before and after on held-out documents; None where there were too few of them to try."""
    found = asdict(report) if report else {"loss_before": None, "loss_after": None, "epochs": 0}
    return {name: None if value is None or np.isnan(value) else value for name, value in found.items()}


def cluster(run: Path, settings: EqualSettings, corpus: Facts, warm: Facts, space: Facts) -> Facts:
    """k-means in the aligned space, readable terms per cluster, a map, and the plan of the rounds."""
    vectors = document_space(run)
    wanted = settings.clusters or default_clusters(corpus["documents"])
    found = kmeans(vectors, wanted, integer(settings.seed, "cluster"))
    clusters = len(found.centroids)
    save_array(run / "stages/labels.npy", found.labels)
    save_array(run / "stages/centroids.npy", found.centroids)
    save_array(run / "stages/map.npy", map_2d(vectors, integer(settings.seed, "map")))
    write_json(run / "stages/terms.json", top_terms(run / CORPUS, found.labels, clusters))
    plan = make_plan(corpus["documents"], clusters, warm["documents"], settings.strategy, settings)
    return {
        "files": [f"stages/{name}" for name in ("labels.npy", "centroids.npy", "map.npy", "terms.json")],
        "clusters": clusters,
        "plan": plan.as_dict(),
    }
