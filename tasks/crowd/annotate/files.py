"""Answers of people elsewhere, in files: what is wanted is written, the run stops, and goes on when there are answers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tasks.crowd.annotate.campaign import Campaign
from tasks.crowd.annotate.items import Given, read_answers
from tasks.crowd.annotate.settings import AnnotateSettings
from tasks.crowd.answers import LABEL, TASK, WORKER
from tasks.crowd.assign import choose
from tasks.crowd.truth.inferred import UNKNOWN
from tasks.records import Stopped
from tasks.run import terminal
from tasks.run.seeds import generator
from tasks.storage.sheets import as_text, csv_of
from tasks.storage.tables import write_text

WANTED = "wanted.csv"
NOT_BY = "not_by"  # who has answered already


def collect(run: Path, settings: AnnotateSettings, campaign: Campaign, quota: int) -> None:
    """Take the answers that are there, as far as the budgets pay them: those beyond stay in their files.

    Raises:
        Stopped: more are wanted: wanted.csv says of which items.
        BadInput: something in a file is no answer.
    """
    wanted = run / WANTED
    new: dict[str, dict[int, int]] = {}
    for one in _given(run, settings, campaign):
        new.setdefault(one.worker, {}).setdefault(campaign.code[one.task], campaign.label_code[one.label])
    left_out = sum(
        campaign.accept(worker, list(answers.items())).count(None) for worker, answers in new.items()
    )
    if left_out:  # some may stand in wanted.csv alone, which is therefore left as it is
        terminal.current().note(
            f"{left_out:,} answers in files are left out, for the budget does not pay them; they stay there, and a larger --budget or "
            f"--max-cost with --resume {settings.run} takes them as long as items want answers"
        )
    elif campaign.finished or campaign.this_round >= quota:
        wanted.unlink(missing_ok=True)
    else:
        rows = _wanted(campaign, quota - campaign.this_round)
        write_text(wanted, _csv(campaign, rows))
        filled = f" or add answers to {', '.join(settings.answers)}," if settings.answers else ""
        raise Stopped(
            f"{len(rows):,} answers are wanted: write who answers into the column {WORKER} and what into the column {LABEL} of "
            f"{wanted},{filled} then continue with --resume {settings.run}"
        )


def _given(run: Path, settings: AnnotateSettings, campaign: Campaign) -> Iterator[Given]:
    """The answers that are new. Those of wanted.csv go first: it is about to be written anew."""
    names = [str(run / WANTED)] if (run / WANTED).exists() else []
    for one in read_answers([*names, *settings.answers], campaign.items, settings.labels):
        worker = campaign.workers.get(one.worker)
        if worker is None or campaign.code[one.task] not in worker.tasks:
            yield one


def _wanted(campaign: Campaign, count: int) -> list[int]:
    """Codes of items, one for each answer, golden ones among them."""
    settings, count = campaign.settings, min(count, campaign.left())
    random = generator(settings.seed, "wanted", len(campaign.answers))
    golden = np.flatnonzero(campaign.items.golden != UNKNOWN)
    mixed = random.permutation(golden)[: int(np.ceil(settings.golden_share * count))]
    needs = campaign.wanted()
    chosen = choose(
        settings.strategy,
        campaign.belief.posterior,
        campaign.counts,
        needs > 0,
        campaign.belief.crowd,
        count - len(mixed),
        random,
    )
    # A second answer to an item comes after the first to all.
    rounds = [chosen[needs[chosen] > turn] for turn in range(int(needs.max(initial=0)))]
    wanted = np.concatenate([*rounds, np.array([], dtype=np.int64)])[: count - len(mixed)]
    tasks: list[int] = random.permutation(np.concatenate([mixed, wanted])).astype(int).tolist()
    return tasks


def _csv(campaign: Campaign, tasks: list[int]) -> str:
    by: dict[str, list[str]] = {}
    for one in campaign.answers:
        by.setdefault(one.task, []).append(one.worker)
    items = campaign.items
    own = (TASK, WORKER, LABEL, NOT_BY)
    shown = [place for place, name in enumerate(items.fields) if name not in own]
    rows = []
    for task in tasks:
        id = items.ids[task]
        texts = [as_text(items.texts[task][place]) for place in shown]
        rows.append([as_text(id), "", "", as_text("; ".join(by.get(id, ()))), *texts])
    return csv_of([*own, *(items.fields[place] for place in shown)], rows)
