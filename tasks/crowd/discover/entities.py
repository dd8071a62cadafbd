"""Names that people write, folded to entities: spelling of no meaning, and a file that says which names are the same."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tasks.corpus.normalise import normalise
from tasks.records import BadInput

_MEANT = "+#&"  # C++, C#, R&B
_ACCENTS = {
    202,
    220,
    230,
    232,
}  # combining classes: cedilla, below and above; other marks are part of a letter, as in Kana and Devanagari
_APOSTROPHES = re.compile(r"(?<=\w)['’](?=\w)")  # O'Hara is ohara
_ARTICLE = re.compile(r"^(the|a|an) (?=\S)")
_ALIKE = 88  # of 100, from where on two names are shown as perhaps the same


def folded(name: str) -> str:
    """A name without case, accents, punctuation, an English article before it, and spaces that mean nothing; empty if no letter is left."""
    text = unicodedata.normalize("NFKD", normalise(name)).casefold()
    text = "".join(one for one in text if unicodedata.combining(one) not in _ACCENTS)
    text = "".join(one if one in _MEANT or _is_letter(one) else " " for one in _APOSTROPHES.sub("", text))
    return unicodedata.normalize("NFC", _ARTICLE.sub("", " ".join(text.split())))


def _is_letter(character: str) -> bool:
    """A letter, a digit, or a mark on one."""
    return unicodedata.category(character)[0] in "LNM"


@dataclass(frozen=True, slots=True)
class Folding:
    """Folded names that stand for another, by folded name."""

    same: Mapping[str, str]

    def __call__(self, name: str) -> str:
        key = folded(name)
        return self.same.get(key, key)


def mapping_of(names: Sequence[str], entities: Sequence[str]) -> Folding:
    """A mapping out of two columns: each name, and the entity that it is.

    Raises:
        BadInput: a name is two entities, or names go round in a circle.
    """
    same: dict[str, str] = {}
    for name, entity in zip(map(folded, names), map(folded, entities), strict=True):
        if name and entity and name != entity and same.setdefault(name, entity) != entity:
            raise BadInput(f"--mapping: {name[:60]} is both {same[name][:60]} and {entity[:60]}")
    ends = {}
    for name in same:
        end, steps = same[name], 0
        while end in same:
            end, steps = same[end], steps + 1
            if steps > len(same):
                raise BadInput(f"--mapping: {name[:60]} and {end[:60]} stand for each other")
        ends[name] = end
    return Folding(ends)


def shown_names(keys: Sequence[str], names: Sequence[str]) -> dict[str, str]:
    """How an entity is written: as most people write it, ties by the first.

    Args:
        keys: the entity of each name.
    """
    written: dict[str, Counter[str]] = {}
    for key, name in zip(keys, names, strict=True):
        written.setdefault(key, Counter())[" ".join(normalise(name).split())] += 1
    return {key: counts.most_common(1)[0][0] for key, counts in written.items()}


def alike(keys: Sequence[str], most: int = 3000) -> list[tuple[int, int, float]]:
    """Pairs of entities that are written alike and may be the same: their places and the similarity in percent, the likest first.

    Args:
        most: entities that are compared with each other; the others are left out.
    """
    from rapidfuzz import fuzz, process

    used = list(keys[:most])
    scores = process.cdist(used, used, scorer=fuzz.token_sort_ratio, score_cutoff=_ALIKE, dtype=np.uint8)
    first, second = np.nonzero(np.triu(scores, 1))
    pairs = [
        (int(one), int(other), float(scores[one, other])) for one, other in zip(first, second, strict=True)
    ]
    return sorted(pairs, key=lambda pair: (-pair[2], pair[0], pair[1]))
