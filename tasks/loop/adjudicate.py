"""What becomes of judged pairs: a person decides the disputed few (`--adjudicate N`), and what is likely not good is left out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tasks.loop.judging import GOOD, TABLE, kept_pairs, read_pairs
from tasks.loop.keep import JUDGED, P_GOOD
from tasks.loop.pulls import round_folder
from tasks.loop.settings import EqualSettings
from tasks.records import Stopped
from tasks.storage.arrays import save_array
from tasks.storage.sheets import as_text, read_verdicts, write_csv
from tasks.storage.tables import read_rows

Facts = dict[str, Any]

DISPUTED = "disputed.csv"


def adjudicated(run: Path, settings: EqualSettings, rounds: int, judged: Facts) -> dict[str, bool]:
    """What a person says of the pairs that are disputed the most.

    Raises:
        Stopped: it has not been said yet; they are written to disputed.csv.
        BadInput: something in that file is no answer.
    """
    wanted = most_disputed(read_rows(run / TABLE), settings.adjudicate)
    if not wanted:
        return {}
    path = run / DISPUTED
    if not path.exists():
        texts = {pair["id"]: pair for pair in kept_pairs(run, rounds)}
        rows = (
            [
                as_text(row["id"]),
                "",
                f"{row['p_good']:.3f}",
                as_text(texts[row["id"]]["question"]),
                as_text(texts[row["id"]]["answer"]),
            ]
            for row in wanted
        )
        write_csv(path, ["id", "good", "p_good", "question", "answer"], rows)
    given = {
        id_: good for (id_,), good in read_verdicts(path, ["id"], "good", f"--resume {settings.run}").items()
    }
    if missing := [row["id"] for row in wanted if row["id"] not in given]:
        raise Stopped(
            f"{len(missing):,} of {len(wanted):,} disputed pairs are not decided: write 1 (good) or 0 into the column good of "
            f"{path}, then continue with --resume {settings.run}"
        )
    return {row["id"]: given[row["id"]] for row in wanted}


def most_disputed(scores: Sequence[Facts], count: int) -> list[Facts]:
    """The pairs over which judges differ, the least certain first."""
    disputed = [row for row in scores if row["disputed"]]
    return sorted(disputed, key=lambda row: (abs(row["p_good"] - GOOD), row["id"]))[:count]


def decide(run: Path, settings: EqualSettings, rounds: int, judged: Facts, decided: dict[str, bool]) -> Facts:
    """Leave out what is likely not good; a person's word counts more than the judges'.

    Writes judged.npy in the last round's folder, a mark for every pair of all rounds, in order, and p_good.npy.
    """
    here = round_folder(run, rounds)
    scores = {row["id"]: row["p_good"] for row in read_rows(run / TABLE) if row["p_good"] is not None}
    scores |= {id_: float(good) for id_, good in decided.items()}
    p_good = np.array([scores.get(row["id"], np.nan) for row in read_pairs(run, rounds)])
    bad = p_good < GOOD
    save_array(here / JUDGED, (~bad).astype(np.uint8))
    save_array(here / P_GOOD, p_good)
    return {
        "files": [str((here / name).relative_to(run)) for name in (JUDGED, P_GOOD)],
        "left_out": int(bad.sum()),
        "by_person": len(decided),
        "cost": judged["cost"],
    }
