"""Definitions."""

from __future__ import annotations

from tests.extract.extracted import found


def test_definitions_only_where_they_say_so() -> None:
    assert found("""
        # Agreement

        **“Service”** means the hosted service
        and its documentation.

        **Languages** - English and French, spoken.

        ## Glossary

        **Token**: a piece of text that a model reads.
        - Vocabulary: the set of all tokens of a model.
    """) == [
        (
            "definition",
            "Agreement: What does “Service” mean?",
            "the hosted service\nand its documentation.",
        ),
        ("definition", "Agreement: What does “Token” mean?", "a piece of text that a model reads."),
        ("definition", "Agreement: What does “Vocabulary” mean?", "the set of all tokens of a model."),
    ]
