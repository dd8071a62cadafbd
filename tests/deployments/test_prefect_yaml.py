from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from tasks.crowd.aggregate.settings import AggregateSettings
from tasks.lead.settings import LeadSettings
from tasks.loop.settings import EqualSettings
from tasks.quad.settings import QuadSettings
from tasks.resolve.settings import BatcherSettings
from tasks.run.settings import parse
from tasks.wrong_event.settings import WrongEventSettings

MODELS = {
    "equal": EqualSettings,
    "batcher": BatcherSettings,
    "quad": QuadSettings,
    "lead": LeadSettings,
    "wrong_event": WrongEventSettings,
    "aggregate": AggregateSettings,
}
ROOT = Path(__file__).resolve().parents[2]


def read(path: str) -> Any:
    return yaml.safe_load((ROOT / path).read_text())


def test_every_deployment_has_valid_settings_and_a_paused_schedule() -> None:
    for deployment in read("deployments/prefect.yaml")["deployments"]:
        file, _, function = deployment["entrypoint"].partition(":")
        assert f"def {function}(" in (ROOT / file).read_text()
        parse(MODELS[function], deployment["parameters"]["settings"])
        assert [schedule["active"] for schedule in deployment["schedules"]] == [False]


def test_the_deployments_are_the_examples() -> None:
    examples = [one["parameters"]["settings"] for one in read("deployments/prefect.yaml")["deployments"]]
    names = ("demo", "games", "quad", "lead", "letters", "crowd")
    assert examples == [read(f"data/{name}.yaml") for name in names]
