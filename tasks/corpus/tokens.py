"""How many tokens a text costs, without a tokenizer."""

from __future__ import annotations

BYTES_PER_TOKEN = 4  # the usual rule of thumb for English and byte-level vocabularies


def count_tokens(text: str) -> int:
    """Estimate of the tokens of a text: a quarter of its UTF-8 bytes, rounded up.

    It is an estimate: code and mathematics take more
    tokens than it says, and each model counts differently. It is used for budgets and for splitting, where what
    matters is that every strategy is charged by the same measure.
    """
    return -(-count_bytes(text) // BYTES_PER_TOKEN)


def count_bytes(text: str) -> int:
    """Bytes of a text in UTF-8; unlike its tokens they add up over pieces."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
