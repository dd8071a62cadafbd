"""What benchmarks do with a prepared run: a folder that looks like it for each strategy, and the model that it trains."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from tests.bench.measure import sizes

_STAGES = ("vectors.npy", "stages", "students", "target")


def place_of(at: Path, name: str) -> Path:
    """A folder that looks like the prepared one, for what one strategy writes."""
    made = at / name.replace(" ", "-")
    made.mkdir(parents=True, exist_ok=True)
    for part in _STAGES:
        if (at / part).exists() and not (made / part).exists():
            (made / part).symlink_to((at / part).resolve())
    return made


def add_student(parser: argparse.ArgumentParser) -> None:
    """The options of the model that is trained: made here, or given."""
    parser.add_argument(
        "--student", type=sizes, default=(128, 3, 200_000), help="WIDTHxLAYERSxPRETRAIN_TOKENS"
    )
    parser.add_argument(
        "--model", default="tiny", help="folder of a causal language model, in place of --student"
    )
    parser.add_argument("--learning-rate", type=float, help="of its training; by default the flow's")
    parser.set_defaults(lora=False)  # a benchmark whose flow can train adapters has the option


def model_of(given: argparse.Namespace) -> str:
    """The model's name in the folders of what is prepared with it."""
    name = "x".join(map(str, given.student)) if given.model == "tiny" else Path(given.model).name
    return f"{name}-lora" if given.lora else name


def student_of(given: argparse.Namespace) -> str:
    """The model's name in results, with the rate that it is trained at."""
    return model_of(given) + ("" if given.learning_rate is None else f"-{given.learning_rate:g}")


def student_settings(given: argparse.Namespace) -> dict[str, Any]:
    """The flow's settings for it."""
    width, layers, tokens = given.student
    return {
        "model": given.model,
        "learning_rate": given.learning_rate,
        "student_width": width,
        "student_layers": layers,
        "pretrain_tokens": tokens,
    }
