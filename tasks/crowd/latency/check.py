"""The cheap checks before anything starts: one clear line for what cannot work."""

from __future__ import annotations

from tasks.corpus.read import fingerprint
from tasks.crowd.latency.settings import LatencySettings
from tasks.crowd.latency.times import COLUMNS
from tasks.crowd.read import check_table
from tasks.run.folder import absolute_file, check_runs_dir, check_unused, in_one_line, versions

FLOW = "crowd-latency"


@in_one_line()
def absolute(settings: LatencySettings) -> LatencySettings:
    """Local paths made absolute, so that a run can be continued from another folder."""
    return settings.model_copy(update={"times": absolute_file(settings.times)} if settings.times else {})


def input_fingerprints(settings: LatencySettings) -> dict[str, str]:
    """Fingerprint of everything that a run reads, by name."""
    return {
        "times": fingerprint([settings.times]) if settings.times else "",
        "Sluice's version": versions()["sluice"],
    }


@in_one_line()
def check_inputs(settings: LatencySettings) -> None:
    """What can be known without reading all times.

    Raises:
        BadInput: one line.
    """
    if not settings.resume:
        check_unused(FLOW, settings)
    check_runs_dir(FLOW, settings)
    if settings.times:
        for column in COLUMNS:
            check_table(settings.times, {"--times needs the column": column}, "--times")
