"""What a student learns from examples that LEAD chooses while it trains, beside as many that are chosen otherwise.

    python -m tests.bench.lead [--seeds 0,1,2] [--budgets 0.025,0.1] [--strategies A,B] [--student 128x3x200000] [--choosing] [--garbled 0.3]
                               [--reference 50] [--task gsm8k] [--run RUN] [--out runs/bench-lead] [--table]

Pool: 2,600 problems of GSM8K's training part and 2,600 pairs that the rules extract from pages of the shared mixture. Judged on 300
problems of GSM8K's test part and 300 pairs of other pages, none of which any strategy sees. With --run the pairs are those of an EQUAL
run's folder, but for the documents that the judging ones are of, and problems make them at least 5,200. All train a copy of the same model (one
a seed) with LEAD's optimiser and decay, and but for "all one pass" on as many tokens as the flow's default:

random             as many examples as the budget has, again and again
highest loss       those with the highest loss before training
ifd                those with the highest ratio of the loss to that without the question (arXiv 2308.12032)
all equal steps    every example is another one
all one pass       the whole pool once
oracle             every example is another one, drawn with weights that know the judges: see lead_oracle
influence          the same with weights that know the reference
dsir               the same with the importance weights of DSIR (arXiv 2302.03169), of words and pairs of words of the reference
coverage           examples that cover the pool, or with the reference mostly its answers, without clusters and bandit
re-scored          in the flow's clusters, drawn in proportion to losses by a pass over the whole pool in every round
lead               the flow's default, with the reference if --reference gives one
paper              the settings of the paper, which have no reference

The reference has so many examples of each kind that judges, of neither the pool nor the judges; --task gsm8k has problems for both.

CPU seconds are those of choosing and training, on one core; the look at every example before training is in a line of its own.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np

from tasks.corpus.target import Target
from tasks.lead import difficulty, play, pool, rounds
from tasks.lead.checkpoint import discard_all, load_checkpoint
from tasks.lead.play import Learner
from tasks.lead.settings import LeadSettings
from tasks.lead.steps import PassCounter
from tasks.prepare.documents import CORPUS
from tasks.prepare.vectors import pair_text
from tasks.run.seeds import generator
from tasks.select.dsir import importance
from tasks.storage.arrays import load_array
from tasks.train.format import Examples, encode_pairs
from tests.bench import lead_oracle, lead_pool, results
from tests.bench.markdown import table
from tests.bench.measure import numbers, parser_of, run_on_mixture, shares, words
from tests.bench.prepared import add_student, place_of, student_of
from tests.bench.tables import difference, spread

Facts = dict[str, Any]

PAPER: Facts = {
    "arms": "difficulty",
    "tilt": 100,
    "visits": 4,
    "change": "mixture",
    "gamma": 0.1,
    "choice": "highest",
    "draws": 1,
    "start": "even",
    "reward": "fall",
}
STRATEGIES = (
    "random",
    "highest loss",
    "ifd",
    "all equal steps",
    "all one pass",
    "oracle",
    "influence",
    "dsir",
    "coverage",
    "re-scored",
    "paper",
    "lead",
)


def by_lead(made: Path, own: LeadSettings, facts: Facts) -> tuple[Learner, Facts]:
    """The rounds of the flow."""
    examples = {**facts["pool"], "budget": max(1, round(own.budget * facts["pool"]["examples"]))}
    so_far = rounds.nothing_yet(examples, facts["difficulty"])
    while plan := rounds.next_round(own, examples, so_far):
        so_far = rounds.train(made, own, plan, facts["clusters"], facts["model"], so_far)
    found = load_checkpoint(made, own, so_far["number"])
    discard_all(made)
    extra = so_far["forward_passes"] - so_far["steps"]
    return found, {name: so_far[name] for name in ("selected", "visits", "steps", "tokens")} | {
        "extra_passes": extra
    }


def by_rows(made: Path, own: LeadSettings, strategy: str, most: int) -> tuple[Learner, Facts]:
    """Rounds whose examples are chosen otherwise; a round has as many as one of the flow's. Ends with `most` tokens."""
    found, counter = load_checkpoint(made, own, 0), PassCounter()
    lengths = np.asarray(_examples(made, own, found).lengths)
    count = len(lengths)
    budget = max(1, round(own.budget * count))
    each = pool.examples_of_a_round(own, {"budget": budget})
    chosen: list[int] = []
    tokens = 0
    with counter.counting(found.trainer.model, found.trainer.optimizer):
        for number, rows in enumerate(rows_of(made, own, strategy, found, budget, each), start=1):
            if strategy != "all one pass":
                rows = rows[np.cumsum(lengths[rows]) <= most - tokens]
            if not len(rows):
                break
            pairs = pool.pairs_of(made, rows.tolist())
            examples = encode_pairs(found.tokenizer, pairs, own.sequence_tokens)
            _, steps = play.train_on(found, own, rows, examples, number)
            chosen += rows.tolist()
            tokens += sum(step["tokens"] for step in steps)
    return found, {
        "selected": len(set(chosen)),
        "visits": len(chosen),
        "steps": counter.steps,
        "tokens": tokens,
        "extra_passes": counter.extra,
    }


def rows_of(
    made: Path, own: LeadSettings, strategy: str, found: Learner, budget: int, each: int
) -> Iterator[np.ndarray]:
    """Rows of the pool for each round."""
    losses, ratios = (load_array(made / name) for name in (difficulty.LOSSES, difficulty.RATIOS))
    random = generator(own.seed, "bench", "lead", strategy)
    if strategy in ("all one pass", "oracle", "influence", "dsir", "coverage"):
        order = _once_each(made, own, strategy, found, random)
        yield from (order[at : at + each] for at in range(0, len(order), each))
        return
    if strategy == "re-scored":
        yield from _rescored(made, own, found, budget, each)
        return
    order = {
        "random": lambda: random.permutation(len(losses))[:budget],
        "highest loss": lambda: np.argsort(-losses, kind="stable")[:budget],
        "ifd": lambda: np.argsort(-ratios, kind="stable")[:budget],
    }.get(strategy, lambda: random.permutation(len(losses)))()
    while True:
        order = random.permutation(order)
        yield from (order[at : at + each] for at in range(0, len(order), each))


def _once_each(
    made: Path, own: LeadSettings, strategy: str, found: Learner, random: np.random.Generator
) -> np.ndarray:
    """All rows of the pool in the order in which a strategy takes them."""
    count = len(found.utilities.visits)
    if strategy == "all one pass":
        return random.permutation(count)
    known = Target.load(made / "target")
    if strategy == "coverage":
        every, helped = np.ones(count, dtype=bool), [(one.question, one.answer) for one in known.reference]
        coverage = difficulty.make_coverage(
            found.tokenizer, _examples(made, own, found), helped, own.sequence_tokens
        )
        return coverage.after(found.utilities.visits).choose(every, every, count, count)
    if strategy == "dsir":
        texts = [pair_text(example.question, example.answer) for example in known.reference]
        return np.argsort(-importance(made / CORPUS, texts) - random.gumbel(size=count), kind="stable")
    others = known.test if strategy == "oracle" else known.reference
    return lead_oracle.drawn(made, own, found, others, random)


def _rescored(made: Path, own: LeadSettings, found: Learner, budget: int, each: int) -> Iterator[np.ndarray]:
    from tasks.train.evaluate import pair_losses

    labels = load_array(made / difficulty.LABELS)
    pairs = pool.pairs_of(made, range(len(labels)))

    def measured() -> np.ndarray:
        found.trainer.model.eval()
        seen = pair_losses(
            found.trainer.model,
            found.tokenizer,
            pairs,
            batch_tokens=found.batch_tokens,
            sequence_tokens=own.sequence_tokens,
        )
        return np.asarray(seen.loss / seen.answered)

    utilities, number = found.utilities, 0
    while (room := budget - int((utilities.visits > 0).sum())) > 0:
        number += 1
        is_open = np.bincount(labels[utilities.visits < own.visits], minlength=len(found.bandit.weights)) > 0
        rows, drawn = play.draw_rows(found, own, labels, number, each, room, is_open)
        yield rows
        rows = rows[utilities.visits[rows] > 0]  # the last of them may have been too many tokens
        before, utilities.idu = utilities.idu[rows], measured()
        gained, weights = play.gains(utilities, own, rows, before)
        play.reward(found.bandit, labels[rows], gained, weights, drawn, is_open)


def _examples(made: Path, own: LeadSettings, found: Learner) -> Examples:
    """Tokens of every example of the pool."""
    pairs = pool.pairs_of(made, range(len(found.utilities.visits)))
    return encode_pairs(found.tokenizer, pairs, own.sequence_tokens)


def measure(given: argparse.Namespace) -> None:
    """Measure what is not in the results yet."""
    from tasks.train.threads import threads_for

    lead_pool.write_inputs(given)
    done = results.load(given.out)
    for seed, budget in product(given.seeds, given.budgets):
        lead = {**_cell(given), "budget": budget, "seed": seed, "strategy": "lead"}
        # First the flow's default, which says how many visits the others have.
        for strategy in sorted({*given.strategies, "lead"}, key=lambda name: name != "lead"):
            row = {**lead, "strategy": strategy}
            if results.key(row) in done:
                continue
            changes = {**lead_pool.reference_of(given), **variant(strategy)}
            if strategy == "re-scored":
                changes["choice"] = "drawn"
            if changes.get("reward", "gain") != "gain":
                changes.pop("reference", None)
                changes.setdefault("choice", "drawn")  # the coverage that was prepared knows the reference
            own = lead_pool.settings_of(given, seed, budget, **changes)
            with threads_for(given.model):
                at, facts = lead_pool.prepared(given, seed, own.choice if own.reference else None)
                made = place_of(at, f"{strategy}-{budget:g}")
                before = lead_pool.judged(made, own, load_checkpoint(made, own, 0))
                began = time.process_time()
                if strategy in ("lead", "paper") or "=" in strategy:
                    found, told = by_lead(made, own, lead_pool.with_clusters(made, own, facts))
                else:
                    most = done[results.key(lead)]["tokens"]
                    found, told = by_rows(made, own, strategy, most)
                seconds = time.process_time() - began
                after = lead_pool.judged(made, own, found)
            answered = int(found.utilities.visits @ _examples(made, own, found).loss_lengths)
            row |= {**told, **after, "answered": answered, "nll_before": before["nll"], "seconds": seconds}
            row["seconds_look"] = facts["seconds"]
            results.append(given.out, row)
            done[results.key(row)] = row
            print(f"seed {seed}, {budget:.1%}, {strategy}: {after['nll']:.3f}", flush=True)


def variant(strategy: str) -> Facts:
    """Changes of the settings: those of the paper, or as "gamma=0.5;choice=random"."""
    if strategy == "paper":
        return PAPER
    parts = [part.split("=") for part in strategy.split(";")] if "=" in strategy else []
    return {name: json.loads(value) if value[:1].isdigit() else value for name, value in parts}


def _cell(given: argparse.Namespace) -> Facts:
    return {
        "corpus": "gsm8k and extracted pairs",
        "target": given.task,
        "kind": f"student {student_of(given)}",
    }


def markdown(given: argparse.Namespace) -> str:
    """A table of what is measured."""
    values = results.by_seed(given.out, _cell(given), given.seeds)
    rows = []
    for budget, strategy in product(given.budgets, given.strategies):
        nll = values(budget, strategy, "nll")
        if not nll:
            continue
        random = values(budget, "random", "nll")
        counts = ("selected", "visits", "tokens", "answered", "extra_passes", "seconds")
        rows.append(
            [
                f"{budget:.1%}",
                strategy,
                *(
                    f"{mean(found.values()):,.0f}" if (found := values(budget, strategy, name)) else ""
                    for name in counts
                ),
                *(
                    spread(found) if (found := values(budget, strategy, name)) else ""
                    for name in ("nll_before", "nll", "nll_gsm8k", "nll_extracted")
                ),
                "" if strategy == "random" or not random else difference(nll, random),
            ]
        )
    head = [
        "budget",
        "strategy",
        "examples",
        "visits",
        "tokens",
        "of answers",
        "passes beside training",
        "CPU s",
    ]
    return table([*head, "NLL before", "NLL", "GSM8K", "extracted", "− random"], rows)


def main(arguments: Sequence[str] | None = None) -> int:
    own = parser_of("lead", (__doc__ or "").split("\n")[0], Path("runs/bench-lead"))
    own.add_argument("--seeds", type=numbers, default=[0, 1, 2])
    own.add_argument("--budgets", type=shares, default=[0.025, 0.1])
    add_student(own)
    own.add_argument("--lora", action="store_true", help="train adapters of the model")
    own.add_argument("--strategies", type=words, default=list(STRATEGIES))
    own.add_argument(
        "--choosing",
        action="store_true",
        help="judge by other examples than the test's, to choose settings by; own --out",
    )
    own.add_argument(
        "--reference",
        type=int,
        default=0,
        help="examples of each kind that judges to choose for; own --out",
    )
    own.add_argument("--task", choices=lead_pool.TASKS, default="both", help="what judges; own --out")
    own.add_argument("--run", type=Path, help="an EQUAL run, whose pairs the pool has; own --out")
    own.add_argument(
        "--garbled",
        type=float,
        default=0.0,
        help="share of the pool whose answers have their words in random order; own --out",
    )
    return run_on_mixture(own.parse_args(arguments), measure, markdown)


if __name__ == "__main__":
    sys.exit(main())
