"""A set whose entities have many records: citations of DBLP as different hands would write them.

The public pairs at hand match a record of one table with at most a few of the other, so their candidates hold hardly a triangle. Here every
entity is a citation of DBLP-ACM's first table, and its records are that citation after errors of the kinds that citations have: typing
errors, words left out, authors' first names as initials or authors left out, venues abbreviated, a missing or wrong year. Sizes fall as a power
law up to 40, much as in Cora. Half of the entities are nearest neighbours of the others by title, so that some are hard to tell apart.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tasks.match.blocking import candidates
from tasks.match.read import Pairs, Table
from tests.bench.er import BENCHMARKS, load

ATTRIBUTES = ("title", "authors", "venue", "year")
_LARGEST = 40
_EXPONENT = 1.1  # of the sizes' power law


@dataclass(frozen=True)
class ManyRecords:
    """Records, which entity each is of (n,), and the pairs that blocking leaves with their labels."""

    table: Table
    entity: np.ndarray
    pairs: Pairs


def many_records(seed: int, records: int = 600, part: int = 0) -> ManyRecords | None:
    """A set of about so many records; None if the citations are not on this machine.

    Args:
        part: 0 or 1: of which half of the citations, so that a matcher can learn from others than it judges.
    """
    data = load(next(one for one in BENCHMARKS if one.name == "dblp-acm"))
    if data is None:
        return None
    random = np.random.default_rng([seed, part])
    source = data.left
    own = np.arange(part, len(source), 2)
    chosen = _with_neighbours(source, own, random, records)
    sizes = np.minimum(_LARGEST, np.floor(random.pareto(_EXPONENT, len(chosen)) + 1)).astype(int)
    within = np.searchsorted(np.cumsum(sizes), records) + 1
    entity = np.repeat(np.arange(within), sizes[:within])
    rows = [
        _written({name: source.columns[name][chosen[one]] for name in ATTRIBUTES}, random)
        for one in entity.tolist()
    ]
    order = random.permutation(len(rows))
    entity = entity[order]
    columns = {name: [rows[at][name] for at in order.tolist()] for name in ATTRIBUTES}
    table = Table("many records", [f"r{at}" for at in range(len(rows))], columns)
    found = candidates(table, None, ATTRIBUTES, neighbours=100, minimum=0.15)
    labels = (entity[found.left] == entity[found.right]).astype(np.int8)
    return ManyRecords(table, entity, Pairs(found.left, found.right, labels))


def _with_neighbours(source: Table, own: np.ndarray, random: np.random.Generator, count: int) -> np.ndarray:
    """Citations in random order, each followed by the one whose text is most like it."""
    texts = Table(
        source.name,
        [source.ids[at] for at in own],
        {name: [source.columns[name][at] for at in own] for name in ATTRIBUTES},
    )
    near = candidates(texts, None, ("title", "authors"), neighbours=1, minimum=0.01)
    partner = {**dict(zip(near.right.tolist(), near.left.tolist(), strict=True))}
    partner |= dict(zip(near.left.tolist(), near.right.tolist(), strict=True))
    found: dict[int, None] = {}
    for one in random.permutation(len(own)).tolist():
        found.setdefault(one)
        found.setdefault(partner.get(one, one))
        if len(found) >= count:
            break
    return own[np.array(list(found))]


def _written(citation: dict[str, str], random: np.random.Generator) -> dict[str, str]:
    """A citation as somebody else wrote it."""
    authors = citation["authors"].split(" , ")
    if random.random() < 0.5:
        authors = [_initial(name) for name in authors]
    if len(authors) > 2 and random.random() < 0.25:
        authors = [authors[0], "et al"]
    venue = citation["venue"]
    if random.random() < 0.4:
        venue = random.choice(["proceedings", "proc.", venue[:4], ""])
    year = citation["year"]
    if random.random() < 0.3:
        year = "" if random.random() < 0.7 else str(int(year) + int(random.choice([-1, 1])))
    return {
        "title": _mistyped(_shortened(citation["title"], random), random),
        "authors": _mistyped(" , ".join(authors), random),
        "venue": str(venue),
        "year": year,
    }


def _initial(name: str) -> str:
    first, _, rest = name.partition(" ")
    return f"{first[:1]}. {rest}" if rest else name


def _shortened(text: str, random: np.random.Generator) -> str:
    words = text.split()
    if len(words) < 4 or random.random() < 0.5:
        return text
    kept = random.random(len(words)) > 0.2
    return " ".join(word for word, stays in zip(words, kept, strict=True) if stays) or text


def _mistyped(text: str, random: np.random.Generator) -> str:
    """One letter in thirty left out, doubled or replaced."""
    letters = []
    for letter in text:
        draw = random.random()
        if draw < 1 / 90:
            continue
        letters.append(letter if draw >= 2 / 90 else letter * 2)
        if 2 / 90 <= draw < 3 / 90:
            letters[-1] = chr(int(random.integers(97, 123)))
    return "".join(letters)
