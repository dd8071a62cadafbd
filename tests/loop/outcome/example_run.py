"""A made-up run folder, of the shape and size a small run leaves, to develop and test what reads it."""

import json
from pathlib import Path

import numpy as np
import yaml

from tasks.run.costs import Ledger
from tasks.storage.tables import ARMS, DOCUMENTS, PAIRS, REJECTED, write_json, write_table

TOPICS = [
    ("prime factor divisor integer modulo sieve", "number_theory", 0.86, 5.1),
    ("fraction percent word problem price total", "arithmetic_book", 0.79, 4.4),
    ("polynomial root coefficient degree quadratic", "arithmetic_book", 0.74, 3.8),
    ("matrix eigenvalue decomposition linear solve", "numerics", 0.58, 2.6),
    ("integral derivative limit series taylor", "calculus_notes", 0.61, 3.0),
    ("probability random sample distribution mean", "statistics", 0.52, 2.2),
    ("infection symptom treatment dose patient", "health_faq", 0.18, 2.3),
    ("flour butter oven minutes stir bowl", "recipes", 0.07, 0.1),
]
PRICE = 2.0


def write_run(
    run: Path,
    *,
    documents: int = 600,
    clusters: int = 24,
    rounds: int = 8,
    planted: str = "",
    train: bool = True,
    seed: int = 7,
) -> Path:
    """Fill `run` with the tables of a run. `planted` is put wherever a stranger's text can reach the report."""
    rng = np.random.default_rng(seed)
    run.mkdir(parents=True, exist_ok=True)
    topic_of_cluster = np.arange(clusters) % len(TOPICS)
    centre = rng.normal(0, 3.2, (len(TOPICS), 2))[topic_of_cluster] + rng.normal(0, 1.1, (clusters, 2))
    cluster_of = rng.choice(clusters, documents, p=rng.dirichlet(np.full(clusters, 3.0)))
    sizes = np.bincount(cluster_of, minlength=clusters)
    order = rng.permutation(documents)
    budget = max(rounds + 2, documents // 10)
    warmup = max(1, budget // 10)

    rows = []
    for number in range(documents):
        words, source, _, _ = TOPICS[topic_of_cluster[cluster_of[number]]]
        text = _text(number, words.split(), rng, planted)
        x, y = centre[cluster_of[number]] + rng.normal(0, 0.55, 2)
        rows.append(
            {
                "id": f"{source}:{number:05d}{planted}",
                "text": text,
                "source": source + planted,
                "tokens": -(-len(text.encode()) // 4),
                "parent": None,
                "origin": f"corpus.jsonl:{number + 1}",
                "metadata": json.dumps({"license": "CC BY 4.0" if number % 3 else "MIT"}),
                "cluster": int(cluster_of[number]),
                "x": float(x),
                "y": float(y),
                "extracted": False,
                "round": None,
                "pairs": None,
            }
        )

    quality = np.array([TOPICS[topic][2] for topic in topic_of_cluster])
    pairs, arms = [], []
    pulls = np.zeros(clusters, int)
    arm_pairs = np.zeros(clusters, int)
    unread = {cluster: [n for n in order if cluster_of[n] == cluster] for cluster in range(clusters)}

    def pull(cluster: int, round: int, count: int, exploit: float | None, bonus: float | None) -> None:
        taken = [unread[cluster].pop(0) for _ in range(min(count, len(unread[cluster])))]
        kept = 0
        pulls[cluster] += 1
        reward = float(quality[cluster] + rng.normal(0, 0.02))
        for number in taken:
            document = rows[number]
            found = _pairs(
                document, cluster, round, len(arms), reward, rng, TOPICS[topic_of_cluster[cluster]][3]
            )
            document.update(extracted=True, round=round, pairs=len(found))
            pairs.extend(found)
            kept += len(found)
        arm_pairs[cluster] += kept
        tokens = sum(rows[number]["tokens"] for number in taken)
        arms.append(
            {
                "pull": len(arms),
                "round": round,
                "arm": cluster,
                "terms": TOPICS[topic_of_cluster[cluster]][0] + planted,
                "size": int(sizes[cluster]),
                "remaining": len(unread[cluster]),
                "pulls": int(pulls[cluster]),
                "documents": len(taken),
                "tokens": tokens,
                "cost": tokens * PRICE / 1e6,
                "pairs": kept,
                "arm_pairs": int(arm_pairs[cluster]),
                "reward": reward if arm_pairs[cluster] else 0.0,
                "exploit": exploit,
                "bonus": bonus,
            }
        )

    ledger = Ledger(run / "costs.jsonl")
    for cluster in sorted({int(cluster_of[number]) for number in order[:warmup]}):
        pull(cluster, 0, int(np.sum(cluster_of[order[:warmup]] == cluster)), None, None)
    per_round = (budget - warmup) // rounds
    told = []
    for round in range(rounds + 1):
        before = len(arms)
        spent = 0
        while round and spent < per_round:
            score = (
                quality
                + rng.gumbel(0, 0.08, clusters)
                - 9.0 * np.array([not unread[c] for c in range(clusters)])
            )
            best = int(np.argmax(score))
            count = min(2, per_round - spent)
            pull(best, round, count, float(quality[best]), float(0.05 / (1 + pulls[best]) ** 0.5))
            spent += count
        mine = arms[before:] if round else arms
        tokens = sum(arm["tokens"] for arm in mine)
        read = sum(arm["documents"] for arm in mine)
        kept = sum(arm["pairs"] for arm in mine)
        cost = tokens * PRICE / 1e6
        ledger.append(
            round,
            "extract",
            documents=read,
            tokens=tokens,
            pairs=kept,
            cost=cost,
            cost_paid=0.0,
        )
        so_far = round / rounds
        told.append(
            {
                "round": round,
                "documents": sum(arm["documents"] for arm in arms),
                "tokens": sum(arm["tokens"] for arm in arms),
                "cost": sum(arm["cost"] for arm in arms),
                "pairs": len(pairs),
                "reward_best": max(arm["reward"] for arm in arms),
                "transport_heldout": 0.71 - 0.24 * so_far**0.6 + float(rng.normal(0, 0.004)),
                "nll": 4.79 - 0.21 * so_far**0.7 if train else None,
                "exact_match": 0.02 * so_far if train else None,
            }
        )

    write_json(
        run / "stages" / "terms.json", [(TOPICS[topic][0] + planted).split() for topic in topic_of_cluster]
    )
    write_table(run / "documents.parquet", rows, DOCUMENTS)
    write_table(run / "pairs.parquet", pairs, PAIRS)
    write_table(run / "arms.parquet", arms, ARMS)
    write_table(run / "rejected.parquet", _rejects(rng, planted), REJECTED)
    vectors = rng.normal(size=(documents, 16)).astype(np.float32)
    np.save(run / "vectors.npy", vectors / np.linalg.norm(vectors, axis=1, keepdims=True))
    strategy = "ucb-prior" + planted
    (run / "settings.yaml").write_text(
        "# python 3.11, sluice 0.1.0\n"
        + yaml.safe_dump(
            {
                "run": run.name,
                "strategy": strategy,
                "seed": seed,
                "budget": 0.1,
                "corpus": ["corpus.jsonl" + planted],
            }
        )
    )
    write_json(run / "summary.json", _summary(rows, pairs, told, strategy, seed, clusters, train))
    return run


def _text(number: int, words: list[str], rng: np.random.Generator, planted: str) -> str:
    prose = " ".join(rng.choice(words, 30))
    blocks = [f"# {words[0].title()} {number}{planted}", f"A page about {words[1]}. {prose}."]
    for index in range(8):
        a, b = (int(value) for value in rng.integers(2, 90, 2))
        blocks.append(f"Question: What is the {words[index % len(words)]} of {a} and {b}?{planted}")
        blocks.append(
            f"Answer: Take {a} and add {b}.\nThat gives {a + b}, the {rng.choice(words)} asked for.{planted}"
        )
    return "\n\n".join(blocks) + "\n"


def _pairs(
    document: dict, cluster: int, round: int, pull: int, reward: float, rng: np.random.Generator, mean: float
) -> list[dict]:
    text, found, at = document["text"], [], 0
    for index in range(int(min(8, rng.poisson(mean)))):
        asked = text.index("Question: ", at) + len("Question: ")
        start = text.index("Answer: ", asked) + len("Answer: ")
        at = end = text.index("\n\n", start) if "\n\n" in text[start:] else len(text) - 1
        found.append(
            {
                "id": f"{document['id']}#{index}",
                "document_id": document["id"],
                "start": start,
                "end": end,
                "question": text[asked : text.index("\n", asked)],
                "answer": text[start:end],
                "extractor": "rules/2",
                "rule": "question-answer",
                "prompt_hash": "",
                "source": document["source"],
                "cluster": cluster,
                "round": round,
                "pull": pull,
                "similarity": float(np.clip(reward + rng.normal(0, 0.05), -1, 1)),
                "arm_reward": reward,
                "decision": "kept",
                "reason": "",
            }
        )
    return found


def _rejects(rng: np.random.Generator, planted: str) -> list[dict]:
    counts = {
        ("read", "broken JSON"): 3, ("read", "too short"): 21, ("duplicates", "near duplicate"): 38,
        ("duplicates", "duplicate"): 9, ("decontaminate", "contaminated"): 4, ("extract", "no answer"): 17,
    }  # fmt: skip
    return [
        {
            "stage": stage,
            "reason": reason + planted,
            "id": f"corpus:{int(rng.integers(1e5)):05d}{planted}",
            "detail": f"line {number + 1}{planted}",
        }
        for (stage, reason), count in counts.items()
        for number in range(count)
    ]


def _summary(
    rows: list, pairs: list, told: list, strategy: str, seed: int, clusters: int, train: bool
) -> dict:
    tokens, last = sum(row["tokens"] for row in rows), told[-1]

    def other(name: str, cost: float, transport: float, nll: float, kept: int, steps: int = 8) -> dict:
        return {
            "strategy": name,
            "documents": len(rows) if name == "everything" else last["documents"],
            "tokens": round(last["tokens"] * cost),
            "cost": last["cost"] * cost,
            "pairs": kept,
            "transport_heldout": transport,
            "nll": nll if train else None,
            "exact_match": 0.005 if train else None,
            "rounds": [
                {
                    "cost": last["cost"] * cost * step / steps,
                    "transport_heldout": transport + 0.06 * (1 - step / steps),
                }
                for step in range(1, steps + 1)
            ],
        }

    return {
        "documents": len(rows),
        "extracted_documents": last["documents"],
        "tokens_total": tokens,
        "tokens_read": last["tokens"],
        "cost": last["cost"],
        "cost_everything": tokens * PRICE / 1e6,
        "price": PRICE,
        "extractor": "rules",
        "pairs": len(pairs),
        "amounts": [
            {
                "round": 8,
                "pairs": 1024,
                "kept": 256,
                "tried": [
                    {"pairs": kept, "loss": loss} for kept, loss in ((128, 4.61), (256, 4.55), (512, 4.63))
                ],
            }
        ]
        if train
        else [],
        "rejected": {"near duplicate": 38, "too short": 21},
        "transport": 0.44,
        "transport_heldout": last["transport_heldout"],
        "nll_before": 4.79 if train else None,
        "nll_after": last["nll"],
        "exact_match_before": 0.0 if train else None,
        "exact_match_after": last["exact_match"],
        "strategy": strategy,
        "seed": seed,
        "clusters": clusters,
        "rounds": told,
        "comparison": [
            other("random", 0.97, 0.664, 4.742, 128),
            other("mean-similarity", 1.04, 0.515, 4.66, 231),
            other("nearest-cluster", 1.01, 0.492, 4.604, 240),
            other("everything", 10.2, 0.601, 4.69, 1402, steps=1),
        ],
        "reference": {"nll_reference": 4.21, "nll_reference_selection": 4.08} if train else None,
        "seconds": {"read": 1.9, "encode": 3.4, "extract": 3.6, "reward": 1.1, "train": 23.4},
        "versions": {"sluice": "0.1.0", "python": "3.11"},
    }
