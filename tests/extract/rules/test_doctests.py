"""Doctests: what stands in the question, what is no answer, and what is no doctest."""

from __future__ import annotations

import pytest

from tests.extract.extracted import DOCSTRING, SOURCE, extract, reasons


def test_doctests_carry_name_prose_and_setup() -> None:
    pairs = [pair for pair in extract(SOURCE) if pair.rule == "doctest"]
    assert [(pair.question, pair.answer) for pair in pairs] == [
        ("total: Add up numbers.\n>>> total([1, 2])", "3"),
        ("total: Add up numbers.\n>>> many = [1] * 4\n>>> total(many)", "4"),
    ]


def test_doctests_of_a_docstring() -> None:
    pairs = [pair for pair in extract(DOCSTRING) if pair.rule == "doctest"]
    assert [pair.answer for pair in pairs] == ["2.0"]
    assert pairs[0].question == (
        "package.module.solve: Import it first\n>>> from package import solve\n>>> solve(1,\n...       2)"
    )
    assert reasons(DOCSTRING).count("no fixed answer") == 1
    assert reasons(DOCSTRING).count("raises an error") == 1


def test_imports_of_a_docstring_are_not_pushed_out_by_other_setup() -> None:
    setup = "".join(f">>> x{n} = {n}\n" for n in range(12))
    (pair,) = extract(f"# package.name\n\n>>> import package\n{setup}>>> x11\n11")
    asked = pair.question.splitlines()
    assert asked[:3] == ["package.name", ">>> import package", ">>> x4 = 4"]
    assert asked[-1] == ">>> x11"


@pytest.mark.parametrize(
    "mail",
    [
        ">>> Does anyone know how this is installed?\n>> Yes, from the archive.",
        ">>> Does anyone know?\n> Yes, I do.\nThanks!",
        "    >>> Does anyone know?\n    > > Yes, I do.",
    ],
)
def test_quoted_mail_is_no_doctest(mail: str) -> None:
    assert extract(mail) == []


def test_output_may_start_with_a_bracket_below_its_first_line() -> None:
    (pair,) = extract(">>> print(page)\n<p>\n> quoted\n</p>")
    assert pair.answer == "<p>\n> quoted\n</p>"
