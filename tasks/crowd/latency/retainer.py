"""How many workers to keep waiting, so that a task seldom finds nobody (Bernstein et al., "Analytic Methods for Optimizing Realtime
Crowdsourcing", 2012)."""

from __future__ import annotations


def erlang_loss(load: float, pool: int) -> float:
    """Share of tasks that find nobody: pi(c) = (rho^c / c!) / sum_k rho^k / k!, by Erlang's recursion, which does not overflow.

    Args:
        load: tasks that arrive while the place of a worker who was given one is empty, rho.
        pool: workers who wait, c.
    """
    lost = 1.0
    for waiting in range(1, pool + 1):
        lost = load * lost / (waiting + load * lost)
    return lost


def pool_for(load: float, lost: float) -> int:
    """The smallest pool of which at most this share of tasks finds nobody.

    Args:
        lost: share, above 0 and below 1.
    """
    share, waiting = 1.0, 0
    while share > lost:
        waiting += 1
        share = load * share / (waiting + load * share)
    return waiting
