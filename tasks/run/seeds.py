"""One seed, split by the name of the stage that needs it, so that stages never share a random stream."""

from __future__ import annotations

import hashlib

import numpy as np


def generator(seed: int, *names: str | int) -> np.random.Generator:
    """A random generator of its own for (seed, names)."""
    return np.random.default_rng(sequence(seed, *names))


def integer(seed: int, *names: str | int) -> int:
    """A 31-bit seed for libraries that take an integer."""
    return int(sequence(seed, *names).generate_state(1)[0] >> 1)


def sequence(seed: int, *names: str | int) -> np.random.SeedSequence:
    words = [int.from_bytes(hashlib.sha256(str(name).encode()).digest()[:4], "big") for name in names]
    return np.random.SeedSequence([seed, *words])
