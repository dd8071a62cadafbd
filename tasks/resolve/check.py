"""The cheap checks before anything starts: one clear line for what cannot work."""

from __future__ import annotations

from tasks.corpus.read import fingerprint
from tasks.llm.settings import absolute_model, check_model, model_fingerprints
from tasks.records import BadInput
from tasks.resolve.records import given_pairs, labelled_pool
from tasks.resolve.settings import BatcherSettings
from tasks.run.folder import absolute_file, absolute_path, check_runs_dir, check_unused, in_one_line, versions
from tasks.select.encode import check_encoder


@in_one_line()
def absolute(settings: BatcherSettings) -> BatcherSettings:
    """Local paths made absolute, so that a run can be continued from another folder."""

    return settings.model_copy(
        update={
            **{
                name: absolute_file(getattr(settings, name))
                for name in ("left", "right", "pairs", "price_table")
            },
            "labels": [absolute_file(path) for path in settings.labels],
            "encoder": absolute_path(settings.encoder, "lsa"),
            "model": absolute_model(settings, settings.model),
        }
    )


def input_fingerprints(settings: BatcherSettings) -> dict[str, str]:
    """Fingerprint of everything that a run reads, by name."""
    return {
        "left": fingerprint([settings.left]),
        "right": fingerprint([settings.right]) if settings.right else "",
        "pairs": fingerprint([settings.pairs]) if settings.pairs else "",
        "labels": fingerprint(settings.labels) if settings.labels else "",
        **model_fingerprints(model=[settings.model]),
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
    asked, labelled = given_pairs(settings)
    if labelled is not None:
        labelled_pool(asked, labelled)
