"""A small corpus with known topics, and a target for it; made afresh by the tests that need documents."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

NAMES = ("Ada", "Ben", "Chloe", "Dev", "Emma", "Farid", "Gita", "Hugo", "Ines", "Jonas")
THINGS = ("apples", "marbles", "books", "tickets", "stamps", "coins", "pencils", "shells")
PLACES = (
    "the market",
    "the old harbour",
    "a village in the hills",
    "the river bank",
    "the museum",
    "the station",
)
DISHES = ("soup", "bread", "salad", "stew", "cake", "curry", "omelette", "pancakes")
SPICES = ("salt", "pepper", "cumin", "paprika", "thyme", "basil", "ginger", "saffron")


def sums(random: np.random.Generator) -> tuple[str, str]:
    """A word problem and its solution."""
    a, b, c = (int(number) for number in random.integers(2, 90, 3))
    name, thing = random.choice(NAMES), random.choice(THINGS)
    question = (
        f"{name} has {a} {thing}, finds {b} more and gives {c} away. How many {thing} does {name} have now?"
    )
    return question, f"{name} has {a} + {b} - {c} = {a + b - c} {thing}. The answer is {a + b - c}."


def document(topic: str, number: int, random: np.random.Generator) -> dict[str, Any]:
    """A document of a topic: sums and kitchen hold pairs, travel holds none."""
    if topic == "sums":
        parts = [f"# Word problems, sheet {number}"]
        for _ in range(3):
            question, answer = sums(random)
            parts.append(f"Problem: {question}\nSolution: {answer}")
    elif topic == "kitchen":
        parts = [f"# Kitchen notes {number}"]
        for _ in range(2):
            dish, spice = random.choice(DISHES), random.choice(SPICES)
            minutes = int(random.integers(5, 60))
            parts.append(
                f"Q: How long does {dish} number {number} with {spice} cook?\nA: Cook the {dish} for {minutes} minutes, then add {spice}."
            )
    else:
        place, name = random.choice(PLACES), random.choice(NAMES)
        parts = [f"# A day at {place}, part {number}"]
        words = random.choice(
            [*PLACES, *SPICES, "evening", "stone", "boat", "wind", "letter", "window", "music"], 40
        )
        parts.append(f"{name} walked to {place}. " + " ".join(f"Then came the {word}." for word in words))
    return {"id": f"{topic}-{number}", "text": "\n\n".join(parts), "source": topic}


def documents(per_topic: int = 40, seed: int = 0) -> Iterator[dict[str, Any]]:
    """Documents of the three topics in turn."""
    random = np.random.default_rng(seed)
    for number in range(per_topic):
        for topic in ("sums", "kitchen", "travel"):
            yield document(topic, number, random)


def write_lines(path: Path, rows: Iterator[dict[str, Any]] | list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def write_corpus(folder: Path, per_topic: int = 40, examples: int = 24) -> tuple[Path, Path]:
    """corpus.jsonl and target.jsonl in a folder; the target's task is the topic 'sums'."""
    random = np.random.default_rng(99)
    target = [dict(zip(("question", "answer"), sums(random), strict=True)) for _ in range(examples)]
    return (
        write_lines(folder / "corpus.jsonl", documents(per_topic)),
        write_lines(folder / "target.jsonl", target),
    )
