"""Described parameters and return values, in numpydoc sections and in fields."""

from __future__ import annotations

from tests.extract.extracted import DOCSTRING, SOURCE, extract, reasons


def test_numpydoc_parameters_and_returns() -> None:
    pairs = [pair for pair in extract(DOCSTRING) if pair.rule != "doctest"]
    assert [(pair.rule, pair.question, pair.answer) for pair in pairs] == [
        (
            "parameter",
            "What is the parameter `a, b` of `package.module.solve`?",
            "The two sides.\n\nThey must have one shape.",
        ),
        (
            "parameter",
            "What is the parameter `check` of `package.module.solve`?",
            "Whether to check\nthe input.",
        ),
        ("returns", "What does `package.module.solve` return?", "The solution of the equation."),
    ]
    assert reasons(DOCSTRING).count("no answer") == 1  # `out` is not described


def test_sphinx_fields() -> None:
    pairs = [pair for pair in extract(SOURCE) if pair.rule == "field-list"]
    assert [(pair.question, pair.answer) for pair in pairs] == [
        ("What is the parameter `numbers` of `total`?", "what to add, in any\norder"),
        ("What does `total` return?", "their sum and the start"),
    ]


def test_field_keeps_the_indentation_of_its_lines_to_each_other() -> None:
    (pair,) = extract("""
        def f(x):
            \"\"\"Do it.

            :param x: one of these:
                - all,
                  or none
                - some
            \"\"\"
    """)
    assert pair.answer == "one of these:\n- all,\n  or none\n- some"
