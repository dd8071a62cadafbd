"""Labelled questions and answers: Q and A, problem and solution, worked examples, posts."""

from __future__ import annotations

from tests.extract.extracted import extract, found, reasons


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
