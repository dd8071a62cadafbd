"""A run that pauses for a person's labels, and goes on with those of the form that the Prefect UI shows."""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from flows.__main__ import main
from tasks.resolve.label import TO_LABEL

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 120.0  # seconds


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Eight mills, each under two ids and names."""
    names = [(f"a{n}", f"old mill by the lake {n}") for n in range(8)]
    names += [(f"b{n}", f"The Old Mill by the lake, no. {n}") for n in range(8)]
    path = tmp_path / "mills.csv"
    path.write_text("id,name\n" + "".join(f'{id},"{name}"\n' for id, name in names))
    return path


@pytest.mark.server
def test_a_paused_run_goes_on_with_the_labels_of_its_form(prefect_server, table, tmp_path, capfd):
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_API_URL

    flags = f"--left {table} --runs-dir {tmp_path} --run r --label-by form --neighbours 3"
    log = tmp_path / "log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "flows", "batcher", *flags.split()],
            cwd=ROOT,
            env={**os.environ, "PREFECT_API_URL": str(PREFECT_API_URL.value())},
            stdout=stream,
            stderr=subprocess.STDOUT,
        )
    try:
        with get_client(sync_client=True) as client:
            paused = wait_for_form(client, process, log)
            keys = paused.state.state_details.run_input_keyset
            form, said = (read_input(client, paused.id, keys[name]) for name in ("schema", "description"))
            assert said.endswith(f"{len(form['properties'])} pairs of run r.")
            assert paused.id.hex in log.read_text().replace("-", "")  # where the form is
            labels = {name: are_same(box["description"]) for name, box in form["properties"].items()}
            assert set(labels.values()) == {True, False}
            refused = client.resume_flow_run(paused.id, run_input={**labels, "pair_1": "perhaps"})
            assert refused.status.value == "REJECT"
            client.resume_flow_run(paused.id, run_input=labels)
        assert process.wait(PATIENCE) == 0, log.read_text()
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()

    run = tmp_path / "batcher/r"
    summary = json.loads((run / "summary.json").read_text())
    assert summary["labels_used"] == summary["decided_by"]["label"] == len(labels)
    with (run / "predictions.csv").open(newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["decided_by"] == "label"]
    assert [row["match"] for row in rows] == [
        str(int(row["ltable_id"][1:] == row["rtable_id"][1:])) for row in rows
    ]
    assert sum(row["match"] == "1" for row in rows) == sum(labels.values())

    # What goes on has the labels, and asks nobody.
    assert main(["batcher", "--resume", "r", "--runs-dir", str(tmp_path)]) == 0
    assert "waits" not in capfd.readouterr().out
    assert json.loads((run / "summary.json").read_text())["decided_by"] == summary["decided_by"]
    assert not (run / TO_LABEL).exists()


def wait_for_form(client: Any, process: subprocess.Popen[bytes], log: Path) -> Any:
    """The flow run, once it is paused and its form is there."""
    from prefect.client.schemas.filters import FlowRunFilter

    ours = FlowRunFilter.model_validate(
        {"name": {"any_": ["batcher r"]}, "state": {"type": {"any_": ["PAUSED"]}}}
    )
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        for run in client.read_flow_runs(flow_run_filter=ours):
            key = run.state.state_details.run_input_keyset["description"]
            if client.request("POST", f"/flow_runs/{run.id}/input/filter", json={"prefix": key}).json():
                return run
        time.sleep(0.2)
    raise AssertionError(f"no form:\n{log.read_text()}")


def read_input(client: Any, run: UUID, key: str) -> Any:
    """As the UI reads a form."""
    answer = client.request("GET", f"/flow_runs/{run}/input/{key}")
    return answer.json()


def are_same(text: str) -> bool:
    """What a person would say: the number at the end of both names is the same."""
    one, other = re.findall(r"(\d+)\W*$", text, re.MULTILINE)
    return bool(one == other)
