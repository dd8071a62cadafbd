"""Names folded to entities."""

from __future__ import annotations

import pytest

from tasks.crowd.discover.entities import alike, folded, mapping_of, shown_names
from tasks.records import BadInput


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("  Crème   Brûlée ", "creme brulee"),
        ("The  Beatles", "beatles"),
        ("the", "the"),
        ("O’Hara's", "oharas"),
        ("C++", "c++"),
        ("C#", "c#"),
        ("rock-n-roll!", "rock n roll"),
        ("Straße", "strasse"),
        ("日本", "日本"),
        ("ﬁg", "fig"),
        ("がっこう", "がっこう"),
        ("हिन्दी", "हिन्दी"),
        ("--- ?", ""),
        ("a\u200bb", "ab"),
    ],
)
def test_spelling_of_no_meaning_makes_no_difference(name, key):
    assert folded(name) == key
    assert folded(key) == key


def test_a_mapping_is_followed_to_its_end():
    folding = mapping_of(["Big Apple", "NYC", "LA"], ["NYC", "New York", "Los Angeles"])
    assert folding("the big apple") == folding("nyc") == "new york"
    assert folding("Boston") == "boston"


def test_a_mapping_that_says_two_things_is_refused():
    with pytest.raises(BadInput, match="both"):
        mapping_of(["a b", "A B"], ["c", "d"])
    with pytest.raises(BadInput, match="each other"):
        mapping_of(["x", "y"], ["y", "x"])


def test_an_entity_is_written_as_most_do():
    assert shown_names(["x", "x", "x", "y"], ["X!", "x", "x", "Y  y"]) == {"x": "x", "y": "Y y"}


def test_what_is_written_alike_is_shown_once_the_likest_first():
    pairs = alike(["strawberry", "vanilla", "strawbery", "berry straw", "stracciatella"])
    assert [pair[:2] for pair in pairs] == [(0, 2)]
    assert alike([]) == []
