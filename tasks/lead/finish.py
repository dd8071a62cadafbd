"""What a run leaves: the selection, the trained model and its judgement, the tables, the figures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tasks.corpus.target import Target
from tasks.lead.difficulty import CLUSTERS, WEIGHTS, coverage_of
from tasks.lead.pool import pairs_of
from tasks.lead.rounds import ARMS, STEPS, VISITS, all_rows, arms_of_round
from tasks.lead.settings import LeadSettings
from tasks.run.folder import versions
from tasks.run.seeds import generator
from tasks.storage.tables import read_json, write_json, write_table
from tasks.train.threads import threads_for

Facts = dict[str, Any]

SELECTED = pa.schema(
    [
        ("id", pa.string()),
        ("round", pa.int32()),  # that trained on it first
        ("idu", pa.float64()),  # when that round chose it
        ("cluster", pa.int32()),
        ("visits", pa.int32()),  # steps that trained on it
        ("question", pa.string()),
        ("answer", pa.string()),
    ]
)
STUDENT = "student"
_ORDERS = 5  # of random examples that a selection is compared with


def select(run: Path, settings: LeadSettings, pool: Facts, last: Facts) -> Facts:
    """Put the rounds' tables together; what was trained on, in the order it was, is what was selected."""
    visits = all_rows(run, last["number"], "visits")
    first: dict[int, Facts] = {}
    for visit in visits:
        known = first.setdefault(visit["row"], {**visit, "idu": visit["idu_before"]})
        known["visits"] = visit["visits"]
    texts = pairs_of(run, list(first))
    rows = [
        {**row, "question": question, "answer": answer}
        for row, (question, answer) in zip(first.values(), texts, strict=True)
    ]
    names = SELECTED.names
    write_table(run / "selected.parquet", [{name: row[name] for name in names} for row in rows], SELECTED)
    write_table(run / "visits.parquet", visits, VISITS)
    write_table(run / "steps.parquet", all_rows(run, last["number"], "steps"), STEPS)
    write_table(run / "arms.parquet", all_rows(run, last["number"], "arms"), ARMS)
    return {
        "files": ["selected.parquet", "visits.parquet", "steps.parquet", "arms.parquet"],
        "examples": len(rows),
        "covered": covered(run, settings, list(first.values()), last["number"]),
    }


def covered(run: Path, settings: LeadSettings, selected: Sequence[Facts], rounds: int) -> list[Facts]:
    """How well the answers wanted are foretold by the pairs of tokens of those trained on; none where they are not chosen by it.

    Args:
        selected: row, and round that trained on it first, of every example.

    Returns:
        Of each round its number, tokens of the examples until then, the cross entropy, nats a pair of tokens, and by_chance the mean
        of that with random examples of no more tokens.
    """
    coverage = coverage_of(run, settings)
    if coverage is None:
        return []
    rows, first = (np.array([one[name] for one in selected], dtype=np.int64) for name in ("row", "round"))
    parts = [rows[first == number] for number in range(1, rounds + 1)]
    tokens = np.cumsum([coverage.tokens[part].sum() for part in parts])
    chances = []
    for number in range(_ORDERS):
        order = generator(settings.seed, "by chance", number).permutation(len(coverage.tokens))
        ends = np.searchsorted(np.cumsum(coverage.tokens[order]), tokens, side="right")
        chances.append(list(coverage.cross_entropies(np.split(order, ends)[:-1])))
    return [
        {"round": number, "tokens": int(used), "cross_entropy": own, "by_chance": float(by_chance)}
        for number, used, own, by_chance in zip(
            range(1, rounds + 1),
            tokens,
            coverage.cross_entropies(parts),
            np.mean(chances, axis=0),
            strict=True,
        )
    ]


def judge(run: Path, settings: LeadSettings, pool: Facts, last: Facts) -> Facts:
    """Score the model before and after the rounds on the test part, and save it."""
    from tasks.lead.checkpoint import load_model
    from tasks.train.checkpoint import save_student
    from tasks.train.evaluate import evaluate
    from tasks.train.training import Training

    test = [(example.question, example.answer) for example in Target.load(run / "target").test]
    scores = []
    with threads_for(settings.model):
        for number in (0, last["number"]):
            model, tokenizer = load_model(run, settings, number)
            scores.append(
                evaluate(
                    model,
                    tokenizer,
                    test,
                    batch_tokens=Training(batch_tokens=settings.batch_tokens).rates(model)[1],
                    sequence_tokens=settings.sequence_tokens,
                )
            )
        save_student(model, tokenizer, run / STUDENT)
    before, after = scores
    return {
        "files": [STUDENT],
        "nll_before": before.nll,
        "nll_after": after.nll,
        "exact_match_before": before.exact_match,
        "exact_match_after": after.exact_match,
    }


def summarise(
    settings: LeadSettings,
    *,
    pool: Facts,
    difficulty: Facts,
    clusters: Facts,
    last: Facts,
    selected: Facts,
    judged: Facts,
) -> Facts:
    """The figures of a run, machine-readable."""
    return {
        "seed": settings.seed,
        "choice": "coverage" if selected["covered"] else settings.choice or "drawn",
        "reward": settings.reward,
        "pool": pool["examples"],
        "rejected": pool["rejected"],
        "test_examples": pool["test"],
        "reference_examples": pool["reference"],
        "weighed": WEIGHTS in difficulty["files"],
        "budget": pool["budget"],
        "selected": selected["examples"],
        "covered": selected["covered"],
        "visits": last["visits"],
        "rounds": last["number"],
        "arms": settings.arms,
        "levels": clusters["levels"],
        "clusters": clusters["clusters"],
        "steps": last["steps"],
        "forward_passes": last["forward_passes"],
        "extra_forward_passes": last["forward_passes"] - last["steps"],
        "forward_passes_before": difficulty["forward_passes"],
        "train_tokens": last["tokens"],
        **{
            name: judged[name]
            for name in ("nll_before", "nll_after", "exact_match_before", "exact_match_after")
        },
        "versions": versions(),
    }


def save_summary(run: Path, summary: Facts) -> None:
    write_json(run / "summary.json", summary)


def shown(summary: Facts) -> list[list[str]]:
    """The end of a run on the terminal: a heading and the figures."""
    columns = [
        ("examples", f"{summary['pool']:,}"),
        ("selected", f"{summary['selected']:,}"),
        ("visits", f"{summary['visits']:,}"),
        ("rounds", f"{summary['rounds']:,}"),
        ("extra forward passes", f"{summary['extra_forward_passes']:,}"),
        ("held-out NLL before", f"{summary['nll_before']:.3f}"),
        ("after", f"{summary['nll_after']:.3f}"),
    ]
    return [[name for name, _ in columns], [value for _, value in columns]]


def told(run: Path, so_far: Facts, pool: Facts) -> Facts:
    """A round on the terminal."""
    described = read_json(run / CLUSTERS)
    return {
        "pairs": so_far["selected"],
        "budget_pairs": pool["budget"],
        "loss": so_far["loss"],
        "clusters": [
            {
                "cluster": arm["cluster"],
                "terms": described[arm["cluster"]]["terms"],
                "pulls": arm["draws"],
                "pairs": arm["examples"],
                "reward": arm["reward"],
            }
            for arm in arms_of_round(run, so_far["number"])
        ],
    }


def arms_table(run: Path, so_far: Facts) -> list[list[str]]:
    """The clusters of a round, the likeliest first, a heading before them."""
    described = read_json(run / CLUSTERS)
    arms = sorted(arms_of_round(run, so_far["number"]), key=lambda arm: -arm["probability"])
    head = ["cluster", "about", "level", "trained on", "probability", "draws", "mean IDU", "reward", "loss"]
    return [head] + [
        [
            str(arm["cluster"]),
            described[arm["cluster"]]["terms"],
            str(arm["level"]),
            f"{arm['examples']} of {arm['size']}",
            f"{arm['probability']:.3f}",
            str(arm["draws"]),
            f"{arm['idu']:.3f}",
            "" if arm["reward"] is None else f"{arm['reward']:.4f}",
            f"{so_far['loss']:.3f}" if arm["drawn"] else "",
        ]
        for arm in arms
    ]
