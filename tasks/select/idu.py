"""Instance-level dynamic uncertainty (LEAD, arXiv 2505.07437): what an example's loss is by now, without looking again.

An example's loss is measured when it is trained on, and only then. Every later step changes it, by an amount that its
gradient of that visit foretells. How:

**Loss change.** A step moves the weights by -eta g, where g is the step's gradient. To first order an example's loss changes by
-eta <h, g>, with h the example's gradient just before the step. h is not known, for it would cost a pass: what is known are
h_k of the visit k, which is the example's own but old, and g, which is new but of other examples. LEAD puts a mixture in the
place of both,

    m = beta h_k + (1 - beta) g,    dL = -eta |m|^2
      = -eta [beta^2 d_k + (1 - beta)^2 d + 2 beta (1 - beta) sqrt(d_k d) cos phi],

with d_k = |h_k|^2, d = |g|^2 and phi the angle between the two vectors.

**beta.** The bracket is a parabola in beta with the derivative 2 [beta (d_k + d - 2a) - (d - a)], a = <h_k, g> = sqrt(d_k d) cos phi,
and d_k + d - 2a = |h_k - g|^2 >= 0. Its least value between 0 and 1 is at

    beta = (d - a) / (d_k + d - 2a), clipped to [0, 1].

That m is the shortest vector of the segment between h_k and g (min-norm, Desidéri, 2012), for which <h_k, m> >= |m|^2 and
<g, m> >= |m|^2: a step along it lowers the example's loss by at least eta |m|^2 whichever of the two is nearer to h. The
change is never upwards, and never larger than eta min(d_k, d).

The formula has one step, the last, so it is taken once in a round, of the round's last step; what the steps between the visit and
that one did is left out. Summed over all of them it would not do: nearly any step foretells a fall of almost eta d for nearly
any example, as m is close to g where d_k is much larger than d, and losses would end far below 0.

**First order.** Taking h_k for h gives dL = -eta a, which can be upwards. Of all steps since the visit together that is the
loss's whole change, to first order and as far as the gradient stays what it was, so here they are added up. It is the default,
because it is nearer: after two runs of 11 and 12 rounds on the doctests of data/lead.yaml (300 examples trained on, four times at
most) IDU and real loss had a correlation of .95 and .95 and an error of .8 and .8 nats (root mean square); with the mixture .82 and
.91, 1.5 and 1.0; the loss of the last visit as it was .82 and .90, 1.5 and 1.1. The held-out loss was the same with both.
`python -m tests.bench.foretold` has single steps.

**Smoothing.** The estimate of a round is the last measured loss with its change, and no less than 0. IDU_t = (1 - b)(loss + dL) +
b IDU_{t-1} at the end of each round, so that of an estimate made r rounds ago the share b^r is left.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

Change = Literal["mixture", "first-order"]
Choice = Literal["coverage", "highest", "drawn", "random"]


def mixing(earlier: np.ndarray, last: np.ndarray | float, product: np.ndarray) -> np.ndarray:
    """beta of the shortest mixture beta h + (1 - beta) g, in [0, 1]; see the module.

    Args:
        earlier, last: squared lengths of h and g.
        product: <h, g>.
    """
    between = earlier + last - 2 * product  # |h - g|^2
    found: np.ndarray = np.clip(
        np.divide(last - product, between, out=np.full_like(between, 0.5), where=between > 0), 0.0, 1.0
    )
    return found


def loss_change(
    earlier: np.ndarray, last: float, cosine: np.ndarray, rate: float, change: Change = "first-order"
) -> np.ndarray:
    """How much a step changes the losses of n examples, nats; see the module.

    Args:
        earlier: squared lengths of their gradients at their last visits, (n,).
        last: squared length of the step's gradient.
        cosine: of the angles between them, (n,).
        rate: eta, by which the step moved along its gradient.
    """
    product = np.sqrt(earlier * last) * cosine
    if change == "first-order":
        return np.asarray(-rate * product)
    beta = mixing(earlier, last, product)
    bracket = beta**2 * earlier + (1 - beta) ** 2 * last + 2 * beta * (1 - beta) * product
    return np.asarray(-rate * np.maximum(0.0, bracket))


@dataclass(frozen=True, slots=True)
class Move:
    """A step as examples that were not in it are told of it.

    Args:
        square: squared length of the step's gradient.
        sketch: of the step's gradient, (m,).
        rate: eta, by which the step moved along it.
    """

    square: float
    sketch: np.ndarray
    rate: float


class Utilities:
    """What is known of n examples' utilities, from the steps that trained on them and from those after.

    Args:
        losses: mean cross entropy of each example's answer tokens before any training, nats, (n,): its first IDU.
        dimensions: m, of the sketches.
        smoothing: b.
        change: how a step's change of a loss is foretold.
        reference: sketch of the gradient of what the examples are chosen for, (m,), if there is something.

    Attributes:
        idu: (n,).
        visits: steps that trained on each example, (n,).
    """

    def __init__(
        self,
        losses: np.ndarray,
        dimensions: int,
        smoothing: float = 0.1,
        change: Change = "first-order",
        reference: np.ndarray | None = None,
    ) -> None:
        self.smoothing, self.change, self.reference = smoothing, change, reference
        self.idu = np.array(losses, dtype=np.float64)
        self.visits = np.zeros(len(self.idu), dtype=np.int64)
        self._rows = np.zeros(0, dtype=np.int64)  # those visited, with what their last visit showed:
        self._losses = np.zeros(0)  # and, to first order, all foretold changes since
        self._tokens = np.zeros(0, dtype=np.int64)
        self._squares = np.zeros(0)
        self._last: Move | None = None
        self._sketches = np.zeros((0, dimensions), dtype=np.float32)

    def visit(
        self,
        rows: np.ndarray,
        losses: np.ndarray,
        tokens: np.ndarray,
        squares: np.ndarray,
        sketches: np.ndarray,
    ) -> None:
        """What a step measured of the examples it is about to train on; to be told before `move` of the same step.

        Args:
            rows: (b,), none twice.
            losses: mean over an example's answer tokens, nats; tokens: how many these are, (b,).
            squares: squared lengths of the gradients of `losses`, (b,).
            sketches: projections of these gradients, (b, m).
        """
        old = ~np.isin(self._rows, rows)
        self._rows = np.concatenate([self._rows[old], rows])
        self._losses = np.concatenate([self._losses[old], losses])
        self._tokens = np.concatenate([self._tokens[old], tokens])
        self._squares = np.concatenate([self._squares[old], squares])
        self._sketches = np.concatenate([self._sketches[old], sketches])
        self.visits[rows] += 1

    def move(self, move: Move) -> None:
        """What a step did to the weights, and so to the losses of all examples visited so far."""
        self._last = move
        if self.change == "first-order":
            self._losses += self._foretold(move)

    def _foretold(self, move: Move) -> np.ndarray:
        """Changes of the losses of the examples visited so far by a step."""
        lengths = np.linalg.norm(self._sketches, axis=1) * np.linalg.norm(move.sketch)
        product = self._sketches @ move.sketch
        cosine = np.clip(
            np.divide(product, lengths, out=np.zeros_like(lengths), where=lengths > 0), -1.0, 1.0
        )
        return loss_change(self._squares, move.square, cosine, move.rate, self.change)

    def settle(self) -> None:
        """The end of a round: the estimates are smoothed into the IDU of the examples visited so far."""
        estimates = self._losses
        if self.change == "mixture" and self._last is not None:
            estimates = estimates + self._foretold(self._last)
        before = self.idu[self._rows]
        self.idu[self._rows] = (1 - self.smoothing) * np.maximum(0.0, estimates) + self.smoothing * before

    def gain(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """How far a step for each of these examples, all visited before, is a step for the reference, or without one for the others.

        To first order, a step against an example's gradient h changes the mean loss of an answer token of those by -eta <h, G>,
        with G the gradient of that mean. <h, G> is how "domains" are weighed by DoGE (Fan et al., 2024, arXiv 2310.15393,
        section 3); with h of the example's summed loss it counts for as many tokens as the example trains on. From the sketches.

        Returns:
            <h, G> of each, and its answer tokens, (r,); without a reference 0 of the only example visited.
        """
        place = {int(row): at for at, row in enumerate(self._rows)}
        at = [place[int(row)] for row in rows]
        summed = self._sketches.astype(np.float64) * self._tokens[:, None]
        if self.reference is not None:
            return summed[at] @ self.reference, self._tokens[at]
        others = summed.sum(axis=0) - summed[at]
        tokens = self._tokens.sum() - self._tokens[at]
        return (summed[at] * others).sum(axis=1) / np.maximum(1, tokens), self._tokens[at]

    def state(self) -> dict[str, np.ndarray]:
        """All of it, as arrays by name."""
        return {
            "idu": self.idu,
            "visits": self.visits,
            "rows": self._rows,
            "losses": self._losses,
            "tokens": self._tokens,
            "squares": self._squares,
            "sketches": self._sketches,
        }

    def restore(self, state: dict[str, np.ndarray]) -> None:
        self.idu, self.visits, self._rows = state["idu"], state["visits"], state["rows"]
        self._losses, self._tokens = state["losses"], state["tokens"]
        self._squares, self._sketches = state["squares"], state["sketches"]


def preference(utility: np.ndarray, choice: Choice, random: np.random.Generator) -> np.ndarray:
    """What `choose` takes the highest of, (n,).

    Args:
        choice: "highest": the utility itself; "drawn": rows are drawn in proportion to it, none twice (by Gumbel's trick: Vieira,
            2014; Kool et al., 2019, arXiv 1903.06059); "random": alike.
    """
    if choice == "highest":
        return utility
    noise = random.gumbel(size=len(utility))
    return noise if choice == "random" else np.log(np.maximum(utility, 1e-12)) + noise


def choose(utility: np.ndarray, may: np.ndarray, is_new: np.ndarray, count: int, new: int) -> np.ndarray:
    """Rows with the highest utility, the highest first, of which at most `new` are new.

    Args:
        utility: (n,).
        may: whether a row may be chosen, (n,).
        is_new: whether it was never chosen before, (n,).
    """
    ranked = np.flatnonzero(may)[np.argsort(-utility[may], kind="stable")]
    within = ~is_new[ranked] | (np.cumsum(is_new[ranked]) <= new)
    return ranked[within][:count]
