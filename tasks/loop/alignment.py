"""Before the first round: the warm-up, the aligned space, the clusters and the plan."""

from __future__ import annotations

import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from tasks.corpus.target import Target
from tasks.loop.plan import documents_budget, make_plan
from tasks.loop.pulls import extract_rows, round_folder
from tasks.loop.settings import EqualSettings
from tasks.loop.space import (
    ALIGNED,
    HEAD,
    REFERENCE,
    SPACE,
    aligned_encoder,
    document_space,
    to_space,
)
from tasks.prepare.documents import CORPUS, read_documents
from tasks.prepare.stages import cluster_documents
from tasks.prepare.vectors import pair_text
from tasks.run.parallel import current_mapper
from tasks.run.seeds import generator, integer
from tasks.select.align import Alignment, apply_head, fit_linear_head
from tasks.select.bandit import BANDITS
from tasks.select.encode import encode_table
from tasks.select.finetune import finetune_encoder
from tasks.storage.arrays import load_array, save_array, save_rows
from tasks.storage.tables import read_rows

Facts = dict[str, Any]

CHUNK = 65_536  # documents whose vectors are in memory at a time


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
    found = cluster_documents(run, settings, document_space(run))
    plan = make_plan(corpus["documents"], found["clusters"], warm["documents"], settings.strategy, settings)
    return {**found, "plan": plan.as_dict()}
