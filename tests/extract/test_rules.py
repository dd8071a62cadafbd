"""Every rule: what it finds, what it leaves, and exactly which characters answer."""

from __future__ import annotations

from textwrap import dedent

import pytest

from tasks.extract.extractor import make_extractor
from tasks.records import Document, QAPair


def extract(text: str) -> list[QAPair]:
    text = dedent(text).strip("\n")
    pairs = make_extractor("rules").extract(Document("d", text)).pairs
    for pair in pairs:
        assert " ".join(text[pair.start : pair.end].split()) == " ".join(pair.answer.split())
    return pairs


def reasons(text: str) -> list[str]:
    rejects = make_extractor("rules").extract(Document("d", dedent(text).strip("\n"))).rejects
    return [reject.reason for reject in rejects]


def found(text: str) -> list[tuple[str, str, str]]:
    return [(pair.rule, pair.question, pair.answer) for pair in extract(text)]


def test_q_and_a_lines() -> None:
    assert found("""
        **Q: Why is the sky blue?**

        **A:** Short waves scatter more.

        So blue reaches us from all sides.

        Q2: Why is it red at dusk?
        A2: The path is longer.
    """) == [
        (
            "question-answer",
            "Why is the sky blue?",
            "Short waves scatter more.\n\nSo blue reaches us from all sides.",
        ),
        ("question-answer", "Why is it red at dusk?", "The path is longer."),
    ]


def test_answer_below_a_labelled_question_needs_no_label() -> None:
    assert found("**Q: What is EPEL?**\n\nA repository of extra packages.\n\n## Next") == [
        ("question-answer", "What is EPEL?", "A repository of extra packages.")
    ]


def test_question_under_headings_question_and_answer() -> None:
    assert found("""
        ## Question

        How many legs has a spider?

        ## Answer

        It has eight.

        ## See also
    """) == [("question-answer", "How many legs has a spider?", "It has eight.")]


def test_words_that_begin_like_labels_are_prose() -> None:
    assert (
        found("""
        A. Smith wrote the answer: it was short.
        Questions were asked. Answers were given.
        Problem solving is hard, a solution is not at hand.
    """)
        == []
    )


def test_problem_and_solution_end_at_the_blank_line() -> None:
    text = """
        Problem: What is 3 + 4?
        Solution: 7

        Numbers like these are added often.

        Problem: What is 8 - 6?
        Solution: Solution
        8 - 6 Take six away.
        2
    """
    assert found(text) == [
        ("problem-solution", "What is 3 + 4?", "7"),
        ("problem-solution", "What is 8 - 6?", "8 - 6 Take six away.\n2"),
    ]


def test_problem_takes_the_instruction_of_its_series() -> None:
    pairs = found("""
        ## Practice

        In the following exercises, solve the system by elimination.

        Problem: {x + y = 12 x - y = -10
        Solution: (1,11)

        ## More

        Problem: Simplify: 2x + 3x.
        Solution: 5x
    """)
    assert [question for _, question, _ in pairs] == [
        "Solve the system by elimination.\n{x + y = 12 x - y = -10",
        "Simplify: 2x + 3x.",
    ]


def test_problem_without_solution_is_a_reject() -> None:
    text = "Problem: What is 1 + 1?\n\nProblem: What is 2 + 2?\nSolution: 4"
    assert [pair.answer for pair in extract(text)] == ["4"]
    assert reasons(text) == ["no answer"]


def test_answers_that_vary_are_no_answers() -> None:
    assert extract("Problem: Explain the slope.\nSolution: Answers will vary.") == []
    assert reasons("Problem: Explain the slope.\nSolution: Answers will vary.") == ["no fixed answer"]


def test_worked_example_and_try_it() -> None:
    assert found("""
        ### Example 3.2

        Find the derivative of x squared.

        ### Solution

        By the power rule it is 2x.

        ### Try it

        Find the derivative of x cubed.

        ### Solution

        It is 3x squared.
    """) == [
        ("worked-example", "Find the derivative of x squared.", "By the power rule it is 2x."),
        ("worked-example", "Find the derivative of x cubed.", "It is 3x squared."),
    ]


def test_example_without_solution_is_prose() -> None:
    assert extract("Example:\n\nvi /home/file\n\nExample: another") == []
    assert reasons("Example:\n\nvi /home/file\n\nExample: another") == []


def test_post_prefers_the_accepted_answer() -> None:
    post = """
        Title: Reverse a list
        Question: How do I reverse a list in place?
        Answer: Loop over it.
        Accepted answer: Call its reverse method.
    """
    assert found(post) == [
        ("post-answer", "Reverse a list\n\nHow do I reverse a list in place?", "Call its reverse method.")
    ]
    first = post.replace("Accepted answer: Call its reverse method.", "")
    assert [answer for _, _, answer in found(first)] == ["Loop over it."]


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


def test_command_list() -> None:
    assert found("""
        # tar

        > Archive files.

        - Create an archive:

        `tar cf target.tar file`

        - See `man tar`:

        it explains all.

        1. Unpack an archive into a folder:

        ```bash
            tar xf target.tar -C folder
        ```
    """) == [
        ("command", "tar: Create an archive", "tar cf target.tar file"),
        ("command", "tar: Unpack an archive into a folder", "tar xf target.tar -C folder"),
    ]


def test_command_of_a_session_is_what_was_typed() -> None:
    assert found("""
        1. List the keys in your keyring. Type:

        ```
            [ying@server ~]$ gpg --list-keys
            pub 1024
        ```

        2. Look at both of these files, by running:

        ```
        $ cat one
        $ cat other
        ```

        3. Type:

        ```
        exit
        ```
    """) == [("command", "List the keys in your keyring", "gpg --list-keys")]


SOURCE = '''
"""Sums."""

def total(numbers: list[int],
          start: int = 0) -> int:
    """
    Add up numbers.

    :param numbers: what to add, in any
        order
    :return: their sum and the start
    >>> total([1, 2])
    3
    >>> many = [1] * 4
    >>> total(many)
    4
    """
    for number in numbers:

        start += number
    return start

def bare(x):
    return x
'''


def test_docstring_asks_for_the_body() -> None:
    pair = next(pair for pair in extract(SOURCE) if pair.rule == "docstring-code")
    assert pair.question.startswith("Complete the Python function.\n\ndef total(numbers: list[int],\n")
    assert pair.question.endswith('"""')
    assert pair.answer == "for number in numbers:\n\n    start += number\nreturn start"


def test_function_without_docstring_asks_nothing() -> None:
    assert extract("def bare(x):\n    return x + 1\n") == []


def test_doctests_carry_name_prose_and_setup() -> None:
    pairs = [pair for pair in extract(SOURCE) if pair.rule == "doctest"]
    assert [(pair.question, pair.answer) for pair in pairs] == [
        ("total: Add up numbers.\n>>> total([1, 2])", "3"),
        ("total: Add up numbers.\n>>> many = [1] * 4\n>>> total(many)", "4"),
    ]


DOCSTRING = """
# package.module.solve

`solve(a, b, *, check=True)`

Solve the equation for x.

Parameters
----------
a, b : array_like
    The two sides.

    They must have one shape.
check : bool
    Whether to check
    the input.
out
Returns
-------
x : array
    The solution of the equation.

Examples
--------
Import it first:

>>> from package import solve
>>> solve(1,
...       2)
2.0
>>> solve
<function solve at 0x7f3a5c0d>

>>> solve(0, 1)  # doctest: +ELLIPSIS
Traceback (most recent call last):
...
ValueError: no solution
"""


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


def test_sphinx_fields() -> None:
    pairs = [pair for pair in extract(SOURCE) if pair.rule == "field-list"]
    assert [(pair.question, " ".join(pair.answer.split())) for pair in pairs] == [
        ("What is the parameter `numbers` of `total`?", "what to add, in any order"),
        ("What does `total` return?", "their sum and the start"),
    ]


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


@pytest.mark.parametrize("text", ["", "\n\n", "Plain prose. It has no structure at all.", "# Title\n\nText."])
def test_text_without_structure_is_silent(text: str) -> None:
    extraction = make_extractor("rules").extract(Document("d", text))
    assert extraction.pairs == [] == extraction.rejects


def test_labels_inside_fenced_code_are_code() -> None:
    assert extract("```\nQ: What is this?\nA: a listing of a chat\n```\n\nText.") == []


def test_unbalanced_fence_hides_nothing() -> None:
    assert len(extract("```\nQ: What is this?\nA: The rest of a page.")) == 1


def test_span_belongs_to_the_more_specific_rule() -> None:
    pairs = extract("## What have we learned?\n\nProblem: What is 2 + 2?\nSolution: 4")
    assert [pair.rule for pair in pairs] == ["problem-solution"]


def test_same_question_twice_is_a_reject() -> None:
    text = "Q: What is it?\nA: A lamp.\n\nQ: What  is it?\nA: A chair."
    assert [pair.answer for pair in extract(text)] == ["A lamp."]
    assert reasons(text) == ["duplicate question"]


def test_lengths_out_of_bounds_are_rejects() -> None:
    assert reasons("Q: Why?\nA: Because it is so.") == ["question too short"]
    assert reasons("## How long is it?\n\nVery.") == ["answer too short"]
    assert reasons("Q: What is it like?\nA: " + "long " * 900) == ["answer too long"]
    assert reasons("Q: " + "long " * 900 + "\nA: No.") == ["question too long"]
