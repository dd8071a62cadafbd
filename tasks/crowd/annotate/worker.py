"""What is known of an annotator, and when one is given a golden item."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from tasks.crowd.annotate.settings import AnnotateSettings
from tasks.run.seeds import generator


@dataclass
class Worker:
    """What an annotator has done.

    Args:
        tasks: codes of items that were answered, skipped or are in hand: none is given twice.
        golden: of these the golden ones.
        right, tried: golden items that were answered, rightly and at all.
        answers: that were accepted.
    """

    tasks: set[int] = field(default_factory=set)
    golden: int = 0
    right: int = 0
    tried: int = 0
    answers: int = 0


def golden_due(settings: AnnotateSettings, given: int, worker: str) -> int:
    """Golden items that should be among an annotator's first `given` items.

    Their share is kept in the long run; where the first one stands is drawn for each annotator, so that none is known by its place.
    """
    start = float(generator(settings.seed, "golden", worker).uniform())
    return math.floor(settings.golden_share * given + start)
