"""What a round goes on from: model, optimiser, arms and utilities, as safetensors and JSON.

Every round begins by loading what the one before it has left, so that an interrupted run goes through the same numbers as one that
was not. Random streams are made afresh from the run's seed and the round's number, and have no state to keep.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np

from tasks.lead.difficulty import SHARES, by_older, looked
from tasks.lead.play import Learner
from tasks.lead.settings import LeadSettings
from tasks.prepare.student import model_path
from tasks.records import BadInput
from tasks.run.folder import digest
from tasks.storage.arrays import load_array
from tasks.storage.tables import atomic_folder, read_json, write_json
from tasks.train.checkpoint import load_student, save_student
from tasks.train.optimizer import load_moments, save_moments
from tasks.train.training import Training

FOLDER = "checkpoints"


def save_checkpoint(run: Path, number: int, learner: Learner) -> str:
    """Write it as that of round `number`, whole or not at all. Returns the hash of its content."""
    from safetensors.numpy import save_file

    with atomic_folder(_folder(run, number)) as at:
        save_student(learner.trainer.model, learner.tokenizer, at / "model")
        save_moments(learner.trainer.optimizer, at / "optimizer.safetensors")
        save_file(
            {name: np.ascontiguousarray(array) for name, array in learner.utilities.state().items()},
            at / "utilities.safetensors",
        )
        write_json(at / "state.json", {"arms": learner.bandit.state(), "steps": learner.trainer.steps})
    return digest(_folder(run, number))


def load_checkpoint(run: Path, settings: LeadSettings, number: int) -> Learner:
    """That of round `number`; of 0, the beginning.

    Raises:
        BadInput: it is not there any more, or the model cannot be loaded.
    """
    from safetensors.numpy import load_file

    at = _folder(run, number)
    if number and not at.is_dir():
        raise BadInput(f"--resume {settings.run}: {at} is gone; start a new run")
    training = Training(
        learning_rate=settings.learning_rate, batch_tokens=settings.batch_tokens, lora=settings.lora
    )
    try:
        shares = load_array(run / SHARES)
    except FileNotFoundError:
        raise by_older(settings) from None
    learner = Learner.begin(
        *load_model(run, settings, number),
        training,
        settings,
        looked(run, settings),
        shares,
        settings.rounds,
    )
    if number:
        load_moments(learner.trainer.optimizer, at / "optimizer.safetensors")
        learner.utilities.restore(load_file(at / "utilities.safetensors"))
        state = read_json(at / "state.json")
        learner.bandit.restore(state["arms"])
        learner.trainer.steps = state["steps"]
    return learner


def load_model(run: Path, settings: LeadSettings, number: int) -> tuple[Any, Any]:
    """The model after round `number`, and its tokenizer."""
    path = str(_folder(run, number) / "model") if number else model_path(run, settings.model)
    return load_student(path, lora=settings.lora, seed=settings.seed, flag="--model")


def discard_before(run: Path, number: int) -> None:
    """Remove the checkpoints of rounds before `number`: weights and moments of every round would fill a disk."""
    for at in (run / FOLDER).glob("[0-9]*"):
        if int(at.name) < number:
            shutil.rmtree(at, ignore_errors=True)


def discard_all(run: Path) -> None:
    """Remove every checkpoint: what is left of the last one is the student."""
    shutil.rmtree(run / FOLDER, ignore_errors=True)


def _folder(run: Path, number: int) -> Path:
    return run / FOLDER / f"{number:05d}"
