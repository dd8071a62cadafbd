"""The log of a run: every record once, and whose it is."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from tasks.run.log import LOG, logged


@pytest.mark.parametrize("propagate", [True, False])
def test_what_prefect_logs_is_there_once_with_the_name_of_its_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, propagate: bool
) -> None:
    monkeypatch.setattr(logging.getLogger("prefect"), "propagate", propagate)
    with logged(tmp_path):
        for names in ({"task_run_name": "encode", "flow_run_name": "round 1"}, {"flow_run_name": "round 1"}):
            logging.getLogger("prefect.of_a_test").error("Finished", extra=names)
        logging.getLogger("elsewhere").error("100% odd")
    lines = (tmp_path / LOG).read_text().splitlines()
    assert [line.partition(" ERROR ")[2] for line in lines] == [
        "prefect.of_a_test: encode: Finished",
        "prefect.of_a_test: round 1: Finished",
        "elsewhere: 100% odd",
    ]
