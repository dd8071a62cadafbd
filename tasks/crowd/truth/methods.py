"""All methods by name."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from tasks.crowd.truth.collapsed import CollapsedBayes
from tasks.crowd.truth.dawid_skene import DawidSkene
from tasks.crowd.truth.glad import Glad
from tasks.crowd.truth.inferred import TruthInference
from tasks.crowd.truth.mace import Mace
from tasks.crowd.truth.majority import MajorityVote
from tasks.crowd.truth.one_coin import ZenCrowd
from tasks.crowd.truth.weighted import Catd, Pm

_RIGHT, _WRONG = 1.0, 0.5  # prior counts: Jeffreys', and half an answer for being right

METHODS: dict[str, Callable[[], TruthInference]] = {
    "mv": MajorityVote,
    "zc": ZenCrowd,
    "ds": DawidSkene,
    "lfc": partial(DawidSkene, diagonal=_RIGHT, elsewhere=_WRONG),
    "ibcc": partial(DawidSkene, diagonal=_RIGHT, elsewhere=_WRONG, variational=True),
    "cvb": CollapsedBayes,
    "glad": Glad,
    "pm": Pm,
    "catd": Catd,
    "mace": Mace,
}
