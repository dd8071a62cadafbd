"""The cheap checks before anything starts: one clear line for what cannot work."""

from __future__ import annotations

from pathlib import Path

from tasks.corpus.read import fingerprint
from tasks.llm.settings import check_model
from tasks.match.read import read_pairs, read_table, shared_attributes
from tasks.records import BadInput
from tasks.resolve.settings import BatcherSettings
from tasks.run.folder import check_runs_dir, check_unused, in_one_line, versions
from tasks.select.encode import check_encoder


@in_one_line()
def absolute(settings: BatcherSettings) -> BatcherSettings:
    """Local paths made absolute, so that a run can be continued from another folder."""

    def full(path: str) -> str:
        local = Path(path).expanduser()
        return str(local.resolve()) if path and local.exists() else path

    return settings.model_copy(
        update={
            **{name: full(getattr(settings, name)) for name in ("left", "right", "pairs")},
            "labels": [full(path) for path in settings.labels],
            "encoder": settings.encoder if settings.encoder == "lsa" else full(settings.encoder),
            "model": settings.model if settings.llm_url else full(settings.model),
        }
    )


def input_fingerprints(settings: BatcherSettings) -> dict[str, str]:
    """Fingerprint of everything that a run reads, by name."""
    return {
        "left": fingerprint([settings.left]),
        "right": fingerprint([settings.right]) if settings.right else "",
        "pairs": fingerprint([settings.pairs]) if settings.pairs else "",
        "labels": fingerprint(settings.labels) if settings.labels else "",
        "Sluice's version": versions()["sluice"],
    }


@in_one_line()
def check_inputs(settings: BatcherSettings) -> None:
    """What is wrong with the tables, pairs and labels, and with the model's address.

    Raises:
        BadInput: one line.
    """
    if not settings.resume:
        check_unused("batcher", settings)
    check_runs_dir("batcher", settings)
    if settings.judge != "matcher":
        check_model(settings, f"--judge {settings.judge}")
    if settings.features == "embedding" and settings.encoder != "lsa":
        check_encoder(settings.encoder)
    if settings.judge == "routed" and not settings.labels:
        raise BadInput("--judge routed needs --labels: a sample of labelled pairs to try the matcher on")
    if settings.resolve == "one-to-one" and not settings.right:
        raise BadInput("--resolve one-to-one needs two tables: give --right, or --resolve clusters")
    left = read_table(settings.left, settings.id_column)
    right = read_table(settings.right, settings.id_column) if settings.right else None
    shared_attributes(left, right or left, settings.attributes)
    if settings.pairs:
        read_pairs(settings.pairs, left, right)
    for path in settings.labels:
        read_pairs(path, left, right, labelled=True)
