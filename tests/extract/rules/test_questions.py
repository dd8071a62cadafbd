"""Questions without a label: headings, bold lines, lines of an FAQ, yes or no."""

from __future__ import annotations

from tests.extract.extracted import extract, found, reasons


def test_heading_question_goes_to_the_next_heading_of_its_level() -> None:
    assert found("""
        # Widgets

        ## How are they made?

        They are pressed from sheets.

        ### Steel

        Steel takes a second pass.

        ## History
    """) == [
        (
            "heading-question",
            "Widgets: How are they made?",
            "They are pressed from sheets.\n\n### Steel\n\nSteel takes a second pass.",
        )
    ]


def test_heading_question_keeps_out_the_title_it_names() -> None:
    assert found("# Widgets\n\n## How are widgets made?\n\nThey are pressed from sheets.")[0][1] == (
        "How are widgets made?"
    )


def test_exclamations_and_short_headings_are_no_questions() -> None:
    assert extract("## Interested?\n\nWrite to us at any time of the day.") == []
    assert extract("## What a day!\n\nWrite to us at any time of the day.") == []


def test_heading_question_without_text_is_a_reject() -> None:
    assert reasons("## How is it made?\n\n## History\n\nLong ago.") == ["no answer"]


def test_bold_question() -> None:
    assert found("""
        **1. What is Asterisk?**

        A framework for communications applications.

        **And now something else**

        More text follows here.
    """) == [("bold-question", "What is Asterisk?", "A framework for communications applications.")]


def test_question_lines_of_a_faq() -> None:
    assert found("""
        Rickets

        What is (are) Rickets?
        Rickets softens the bones of children.

        It comes from a lack of vitamin D.

        what are the treatments for Rickets?
        Vitamin D and calcium by mouth.
    """) == [
        (
            "question-line",
            "What is (are) Rickets?",
            "Rickets softens the bones of children.\n\nIt comes from a lack of vitamin D.",
        ),
        ("question-line", "what are the treatments for Rickets?", "Vitamin D and calcium by mouth."),
    ]


def test_dialogue_is_no_faq() -> None:
    assert extract("“Shall I show her to you?”\n\n“I can't say.”\n\nWill you come?\n\nHe waited long.") == []


def test_yes_or_no_in_the_next_paragraph() -> None:
    assert found("""
        Do all linear functions have y-intercepts?

        Yes. All linear functions cross the y-axis.

        Access these online resources.
    """) == [
        (
            "yes-no-question",
            "Do all linear functions have y-intercepts?",
            "Yes. All linear functions cross the y-axis.",
        )
    ]
