"""Where a quoted passage stands, though a model copies it not quite exactly."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.extract.llm.ground import locate

TEXT = (
    "Le Café de Flore – opened in 1887 –\nserves coffee.\n\nIt closes at 2 a.m.; it's “famous” for ﬁne cakes."
)


@pytest.mark.parametrize(
    ("quote", "found"),
    [
        ("opened in 1887", "opened in 1887"),
        ("opened in 1887 - serves coffee", "opened in 1887 –\nserves coffee"),
        ("LE CAFÉ DE FLORE", "Le Café de Flore"),
        ("Le Cafe\u0301 de Flore", "Le Café de Flore"),
        ('it\'s "famous" for fine cakes', "it's “famous” for ﬁne cakes"),
        ('"serves coffee."', "serves coffee"),
        ("opened in 1887 ... serves coffee", "opened in 1887 –\nserves coffee"),
        (
            "Le Café … closes at 2 a.m",
            "Le Café de Flore – opened in 1887 –\nserves coffee.\n\nIt closes at 2 a.m",
        ),
    ],
)
def test_a_quote_is_found_though_it_is_written_a_little_otherwise(quote: str, found: str) -> None:
    span = locate(quote, TEXT)
    assert span is not None
    assert TEXT[slice(*span)] == found


@pytest.mark.parametrize(
    "quote",
    ["opened in 1889", "", "  ", "...", "serves coffee ... opened in 1887", "serves tea", "closed at 2"],
)
def test_what_the_text_does_not_say_is_not_found(quote: str) -> None:
    assert locate(quote, TEXT) is None


@given(st.text(max_size=60), st.integers(0, 60), st.integers(1, 20))
def test_every_passage_of_a_text_is_found_in_it(text: str, start: int, length: int) -> None:
    quote = text[start : start + length]
    span = locate(quote, text)
    if quote.strip():
        assert span is not None
        assert text[slice(*span)] == quote
    else:
        assert span is None


@given(st.text(max_size=40), st.text(max_size=40))
def test_a_span_lies_in_the_text(quote: str, text: str) -> None:
    span = locate(quote, text)
    if span is not None:
        assert 0 <= span[0] < span[1] <= len(text)
