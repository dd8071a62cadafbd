"""The mixture by EM beside the most likely one, found by scipy: prints a table.

python -m tests.bench.beta_mixture
"""

from __future__ import annotations

import numpy as np

from tasks.wrong_event.beta_mixture import FIRST_ITERATIONS, SETTLED_ITERATIONS, BetaMixture
from tests.bench.markdown import table
from tests.wrong_event.mixtures import SIMULATED, drawn, most_likely


def main() -> None:
    rows = []
    for clean, noisy, share in SIMULATED:
        x, _ = drawn(clean, noisy, share)
        best = most_likely(x, BetaMixture.start().updated(x, SETTLED_ITERATIONS))
        for iterations in (FIRST_ITERATIONS, 100, SETTLED_ITERATIONS):
            found = BetaMixture.start().updated(x, iterations)
            rows.append(
                [
                    f"{share:.0%} Beta{clean}, else Beta{noisy}",
                    str(iterations),
                    f"{best.log_likelihood(x) - found.log_likelihood(x):.5f}",
                    f"{found.weights[0]:.3f}",
                    f"{best.weights[0]:.3f}",
                    f"{np.abs(found.clean(x) - best.clean(x)).mean():.3f}",
                ]
            )
    print(
        table(
            [
                "drawn from",
                "iterations",
                "log-likelihood below",
                "share",
                "most likely share",
                "mean |P - P|",
            ],
            rows,
        )
    )


if __name__ == "__main__":
    main()
