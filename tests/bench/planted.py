"""A simulated crowd whose members have rules in common."""

from __future__ import annotations

import numpy as np

from tasks.crowd.patterns.transactions import Transactions


def planted(
    seed: int,
    workers: int = 100,
    occasions: int = 100,
    items: int = 120,
    rules: int = 20,
    highest: float = 0.5,
    noise: float = 1.0,
    concentration: float = 10.0,
) -> Transactions:
    """Transactions of workers with planted rules.

    There are 100 workers with 100 occasions each, 120 items and 20 planted rules a -> c or a, b -> c, whose items are drawn at random and may be
    shared. In the population a rule's antecedent happens with a frequency drawn from .05 to .5, evenly in its logarithm, and its consequent
    with it with a probability drawn evenly from .3 to .95. Each worker's own frequency and probability are drawn from Beta distributions around
    these (mean m: Beta(10 m, 10 (1 - m))), independently. On each occasion each rule's antecedent happens by the worker's own frequency, and with
    it, by the worker's own probability, its consequent. Besides, single items happen: one on average, by a popularity of the worker's own
    from a Dirichlet distribution around a common one that falls as 1 / rank.

    Args:
        highest: frequency of an antecedent, at most.
        noise: single items on an occasion, on average.
        concentration: of the Beta distributions.
    """
    random = np.random.default_rng(np.random.SeedSequence([seed, 7]))
    done = np.zeros((workers, occasions, items), dtype=bool)
    common = 1 / np.arange(1, items + 1)
    common = random.permutation(common / common.sum())
    popular = np.minimum(0.9, noise * random.dirichlet(common * items, workers))
    done |= random.random(done.shape) < popular[:, None]
    for _ in range(rules):
        chosen = random.choice(items, int(random.integers(2, 4)), replace=False)
        often = np.exp(random.uniform(np.log(0.05), np.log(highest)))
        likely = random.uniform(0.3, 0.95)
        own_often, own_likely = (
            random.beta(concentration * mean, concentration * (1 - mean), (workers, 1))
            for mean in (often, likely)
        )
        happens = random.random((workers, occasions)) < own_often
        follows = happens & (random.random((workers, occasions)) < own_likely)
        for item in chosen[:-1]:
            done[:, :, item] |= happens
        done[:, :, chosen[-1]] |= follows
    names = [f"item {number:02d}" for number in range(items)]
    start = np.arange(workers) * occasions
    return Transactions(
        done.reshape(-1, items), start, names, [f"worker {number:03d}" for number in range(workers)]
    )
