"""The cheap checks before anything starts: one clear line for what cannot work."""

from __future__ import annotations

from tasks.corpus.read import fingerprint
from tasks.crowd.learn.crowdlab import check_cleanlab
from tasks.crowd.learn.given import item_columns, read_given
from tasks.crowd.learn.prior import check_prior
from tasks.crowd.learn.settings import CrowdLearningSettings
from tasks.crowd.read import are_small, check_table, label_column
from tasks.run.folder import absolute_file, check_runs_dir, check_unused, in_one_line, versions

_FILES = ("items", "answers", "truth", "worker_prior")


@in_one_line()
def absolute(settings: CrowdLearningSettings) -> CrowdLearningSettings:
    """Local paths made absolute, so that a run can be continued from another folder."""
    return settings.model_copy(update={name: absolute_file(getattr(settings, name)) for name in _FILES})


def input_fingerprints(settings: CrowdLearningSettings) -> dict[str, str]:
    """Fingerprint of everything that a run reads, by name."""
    given = {name: getattr(settings, name) for name in _FILES}
    found = {name: fingerprint([path]) if path else "" for name, path in given.items()}
    return {**found, "Sluice's version": versions()["sluice"]}


@in_one_line()
def check_inputs(settings: CrowdLearningSettings) -> None:
    """What can be known in a moment: of many items or answers without reading them.

    Raises:
        BadInput: one line.
    """
    if not settings.resume:
        check_unused(settings.flow, settings)
    check_runs_dir(settings.flow, settings)
    item_columns(settings)
    columns = {"--task": settings.task, "--worker": settings.worker, "--label": settings.label}
    check_table(settings.answers, columns, "--answers")
    if settings.truth:
        check_table(settings.truth, {"--task": settings.task}, "--truth")
        label_column(settings.truth, "--truth")
    if settings.worker_prior:
        check_prior(settings.worker_prior, "--worker-prior")
    if settings.method == "crowdlab":
        check_cleanlab()
    if are_small(settings.items, settings.answers, settings.truth):
        read_given(settings)
