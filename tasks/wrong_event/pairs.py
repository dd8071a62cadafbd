"""Wrong events of question-answer pairs, where the label is a text: counted while a student is trained on the pairs.

An answer has no classes that a first choice could be compared with, and how well it is predicted says first how ordinary and how
long it is. So it is compared with its peers, the pairs whose answers are about as long, in one of two ways. A visit to a pair is a
wrong event

- `questions`: where the student predicts the answer no better after its own question than after the question of a peer, drawn
  anew at every epoch (likelihood of the answer's tokens). The answer is the same on both sides, so that neither its length nor
  its words matter, only whether the question helps. A peer with the same question tells nothing, and is no wrong event.
- `answers`: where the share of the answer's tokens that are the student's first choice is below the median of its peers'.

Both are seen before the step that the visit is for. tests/bench/wrong_event.md has what they tell of swapped answers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from tasks.run.seeds import generator, integer
from tasks.train.finetune import MAX_NORM, answer_losses, diverged, schedule
from tasks.train.format import IGNORED, Examples, encode_pairs, pad, plan_batches
from tasks.train.training import Training
from tasks.wrong_event import checkpoint
from tasks.wrong_event.beta_mixture import EventModel

Peers = Literal["questions", "answers"]
QA = Sequence[tuple[str, str]]

_FEWEST, _MOST = 30, 12  # pairs of a length class, length classes
_LEAST = 0.25  # of the visits to wrong answers are wrong events: half of what chance gives


@dataclass(slots=True)
class PairEvents:
    """What the training of a student said of n pairs.

    Args:
        counts: wrong events, int64 (n,).
        classes: length class of each answer, int64 (n,).
        epochs: visits to each pair.
        losses: mean over the answers' tokens of each epoch, nats.
    """

    counts: np.ndarray
    classes: np.ndarray
    epochs: int = 0
    losses: list[float] = field(default_factory=list)

    def model(self) -> EventModel:
        """Mixtures over the counts, settled; one for all pairs, because events compare within a length already."""
        model = EventModel(np.zeros(len(self.counts), np.int64), 1, per_group=False, least=_LEAST)
        model.settle(self.counts, self.epochs)
        return model


def length_classes(lengths: np.ndarray) -> np.ndarray:
    """Class of each answer's length (tokens), (n,): quantiles, so that each has peers enough.

    Where many answers are as long, quantiles can leave a single one between them: it joins the next class, or it would be
    its own peer, and every visit to it a wrong event.
    """
    classes = int(np.clip(len(lengths) // _FEWEST, 1, _MOST))
    edges = np.unique(np.quantile(lengths, np.linspace(0, 1, classes + 1)[1:-1]))
    kept, before = [], 0
    for edge, below in zip(edges, np.searchsorted(np.sort(lengths), edges), strict=True):
        if below - before >= 2 and len(lengths) - below >= 2:
            kept.append(edge)
            before = below
    found: np.ndarray = np.searchsorted(kept, lengths, side="right")
    return found


def count_events(
    model: Any,
    tokenizer: Any,
    pairs: QA,
    training: Training,
    *,
    epochs: int,
    peers: Peers = "questions",
    kept: Path | None = None,
    told: Callable[[int, int], None] | None = None,
) -> PairEvents:
    """Train a student, in place, on pairs, and count their wrong events.

    Args:
        pairs: (question, answer), n of them.
        training: rates, batches, the longest sequence and the seed; how long is said by `epochs`.
        peers: which of the two definitions above.
        kept: folder of the checkpoint, renewed after every epoch; None keeps none.
        told: called after every epoch with its number and that of all.
    """
    examples = encode_pairs(tokenizer, pairs, training.sequence_tokens)
    learning_rate, batch_tokens = training.rates(model)
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(
        parameters, lr=learning_rate, betas=(0.9, 0.95), weight_decay=0.01, fused=True
    )
    found = PairEvents(np.zeros(len(pairs), np.int64), length_classes(examples.loss_lengths))
    if was := checkpoint.load(kept, model, optimizer):
        found.counts, found.epochs, found.losses = (
            was.arrays["counts"],
            was.facts["epoch"],
            was.facts["losses"],
        )
    for epoch in range(found.epochs, epochs):
        random = generator(training.seed, "pairs", epoch)
        others = None
        is_other = np.ones(len(pairs), bool)
        if peers == "questions":
            asked = _of_peers(found.classes, random)
            # Where two pairs have the same question, neither answer can be known by it.
            is_other = np.array(
                [pairs[other][0] != pair[0] for other, pair in zip(asked, pairs, strict=True)]
            )
            swapped = [(pairs[other][0], answer) for other, (_, answer) in zip(asked, pairs, strict=True)]
            others = encode_pairs(tokenizer, swapped, training.sequence_tokens)
        seen = np.zeros((3, len(pairs)))  # losses, those after a peer's question, share of first choices
        batches = plan_batches(examples.lengths, batch_tokens, random)
        with torch.random.fork_rng():
            torch.manual_seed(integer(training.seed, "pairs", "dropout", epoch))
            model.train()
            for place, rows in enumerate(batches):
                if others is not None:
                    with torch.no_grad():
                        seen[1, rows] = _visit(model, others, rows)[1]
                loss, seen[0, rows], seen[2, rows] = _visit(model, examples, rows)
                share = (epoch + (place + 0.5) / len(batches)) / epochs
                optimizer.param_groups[0]["lr"] = learning_rate * schedule(share)
                loss.backward()  # type: ignore[no-untyped-call]
                torch.nn.utils.clip_grad_norm_(parameters, MAX_NORM)
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
        is_wrong = seen[1] <= seen[0] if peers == "questions" else _below_median(seen[2], found.classes)
        found.counts += is_wrong & is_other
        loss_of_all = float(np.average(seen[0], weights=examples.loss_lengths))
        if not math.isfinite(loss_of_all):
            raise diverged(learning_rate, f"in epoch {epoch + 1}")
        found.losses.append(loss_of_all)
        found.epochs = epoch + 1
        facts = {"epoch": found.epochs, "losses": found.losses}
        checkpoint.save(kept, model, optimizer, {"counts": found.counts}, facts)
        if told is not None:
            told(found.epochs, epochs)
    model.eval()
    return found


def _visit(model: Any, examples: Examples, rows: np.ndarray) -> tuple[torch.Tensor, np.ndarray, np.ndarray]:
    """Mean loss over the answers' tokens of a batch, with its graph; of each row its mean loss and share of first choices."""
    input_ids, labels = pad(examples, rows, 0)
    losses, hits = answer_losses(model, input_ids, labels, next(model.parameters()).device)
    owner = np.nonzero(labels[:, 1:] != IGNORED)[0]
    tokens = np.maximum(np.bincount(owner, minlength=len(rows)), 1)
    sums = (
        np.bincount(owner, values, len(rows))
        for values in (losses.detach().double().cpu().numpy(), hits.cpu().numpy())
    )
    loss, right = (one / tokens for one in sums)
    return losses.mean(), loss, right


def _of_peers(classes: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """For each pair another of its class, (n,): every pair is asked of once."""
    found = np.arange(len(classes))
    for one in np.unique(classes):
        rows = random.permutation(np.flatnonzero(classes == one))
        found[rows] = np.roll(rows, 1)
    return found


def _below_median(shares: np.ndarray, classes: np.ndarray) -> np.ndarray:
    below = np.zeros(len(shares), bool)
    for one in np.unique(classes):
        rows = classes == one
        below[rows] = shares[rows] < np.median(shares[rows])
    return below
