"""What there is to infer from: the answers, and what is known of the truth."""

from __future__ import annotations

from dataclasses import dataclass

from tasks.corpus.formats import listed
from tasks.crowd.aggregate.settings import AggregateSettings
from tasks.crowd.answers import Answers, Numbers, answers_of, in_order, not_numbers, numbers_of
from tasks.crowd.read import Known, read_known, read_table
from tasks.records import BadInput, Reject


@dataclass(frozen=True, slots=True)
class Given:
    """What was read.

    Args:
        golden, truth: known by task.
        unheard: labels that are known right and that nobody gave, by the flag of their file; they may be misspelt.
        rejected: rows of all files that cannot be used.
    """

    answers: Answers | Numbers
    golden: dict[str, str]
    truth: dict[str, str]
    unheard: dict[str, list[str]]
    rejected: list[Reject]

    @property
    def labels(self) -> list[str]:
        """None, of numbers."""
        return [] if isinstance(self.answers, Numbers) else list(self.answers.labels)


def read_given(settings: AggregateSettings) -> Given:
    """The files of a run.

    Raises:
        BadInput: nothing can be inferred from them, or they are not of the same tasks or labels.
    """
    unusable = not_numbers if settings.of_numbers else None
    table = read_table(
        settings.answers,
        [settings.task, settings.worker, settings.label],
        "--answers",
        max_broken=settings.max_broken,
        unusable=unusable,
    )
    golden, truth = (
        read_known(path, settings.task, flag, settings.max_broken, unusable) if path else Known({}, [])
        for flag, path in (("--golden", settings.golden), ("--truth", settings.truth))
    )
    task, worker, label = table.columns
    answers: Answers | Numbers
    if settings.of_numbers:
        answers = numbers_of(task, worker, label)
    else:
        answers = answers_of(
            task, worker, label, in_order([*dict.fromkeys([*label, *golden.labels.values()])])
        )
        _check_labels(settings, list(answers.labels))
    tasks = set(answers.tasks)
    if settings.golden and tasks.isdisjoint(golden.labels):
        raise BadInput(f"--golden {settings.golden}: none of its tasks is among the answers")
    if settings.truth and not (tasks & truth.labels.keys()) - golden.labels.keys():
        raise BadInput(f"--truth {settings.truth}: none of its tasks is among those to be inferred")
    unheard = {
        flag: sorted(set(known.labels.values()) - set(label))
        for flag, known in (("--golden", golden), ("--truth", truth))
        if not settings.of_numbers
    }
    return Given(
        answers,
        golden.labels,
        truth.labels,
        {flag: names for flag, names in unheard.items() if names},
        [*table.rejected, *golden.rejected, *truth.rejected],
    )


def _check_labels(settings: AggregateSettings, labels: list[str]) -> None:
    if len(labels) < 2:
        raise BadInput(f"--answers {settings.answers}: all answers are {labels[0][:80]}; nothing to infer")
    if settings.positive and settings.positive not in labels:
        raise BadInput(f"--positive {settings.positive}: not one of the labels: {listed(labels)}")
    if settings.positive and len(labels) > 2:
        raise BadInput(f"--positive {settings.positive}: F1 is of two labels; there are {listed(labels)}")
