import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.corpus.normalise import normalise
from tasks.corpus.tokens import count_tokens

AWKWARD = st.text(
    alphabet=st.sampled_from("aé\u0301 \t\n\r\x0b\u2028\u00a0\u200b\u200d\ufeff\x00\x1f\ud800#\u212b")
)


@given(st.text(alphabet=st.characters()) | AWKWARD)
def test_normalising_twice_changes_nothing(text: str) -> None:
    once = normalise(text)
    assert normalise(once) == once
    assert unicodedata.is_normalized("NFC", once)
    assert set(re.findall(r"\s", once)) <= {" ", "\t", "\n"}
    once.encode("utf-8")  # raises on a lone surrogate


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("cafe\u0301", "café"),
        ("a\r\nb\rc\u2028d", "a\nb\nc\nd"),
        ("a  \t\nb ", "a\nb"),
        ("a\n\n\n\n\n\nb", "a\n\n\nb"),
        ("pay\u200bload \u202eevil\u202c", "payload evil"),
        ("a\u00a0b", "a b"),
        ("\u200b\u1680 \u1680", ""),
        ("x\x00y\x1b", "xy"),
        ("half \ud83d", "half \ufffd"),
        ("\n\n  def f():\n      return 1\n\n", "  def f():\n      return 1"),
        (
            "\u0646\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
            "\u0646\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
        ),
    ],
)
def test_one_form_for_equal_texts(given: str, expected: str) -> None:
    assert normalise(given) == expected


@pytest.mark.parametrize(("text", "tokens"), [("", 0), ("abcd", 1), ("abcde", 2), ("éé", 1), ("日本語", 3)])
def test_a_token_is_four_bytes_rounded_up(text: str, tokens: int) -> None:
    assert count_tokens(text) == tokens
