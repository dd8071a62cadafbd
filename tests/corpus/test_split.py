from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.corpus.split import split_document
from tasks.corpus.tokens import count_tokens
from tasks.records import Document


def cut(text: str, max_tokens: int) -> list[Document]:
    return split_document(Document("doc", text, "here", {"a": 1}, "f:1"), max_tokens)


def test_a_document_that_fits_is_returned_as_it_is() -> None:
    document = Document("doc", "# Short\n\nText.")
    assert split_document(document, 64) == [document]


def test_parts_begin_at_headings_and_repeat_the_title() -> None:
    sections = [f"## Part {n}\n\n" + f"Words of part {n}. " * 9 for n in range(4)]
    parts = cut("# Title\n\n" + "\n\n".join(sections), 80)
    assert [part.id for part in parts] == [f"doc#{n}" for n in range(1, len(parts) + 1)]
    assert len(parts) == 4
    assert all(part.parent == "doc" and part.source == "here" and part.metadata == {"a": 1} for part in parts)
    assert all(part.text.startswith(f"# Title\n\n## Part {n}\n") for n, part in enumerate(parts))


def test_fenced_code_stays_whole_where_it_fits() -> None:
    code = "```python\n" + "x = 1\n\n# not a heading\n\n" * 6 + "```"
    parts = cut("Intro. " * 30 + "\n\n" + code + "\n\n" + "Outro. " * 30, 80)
    assert len(parts) > 2
    assert sum(code in part.text for part in parts) == 1


def test_a_paragraph_is_cut_at_lines_before_words_before_characters() -> None:
    lines = "\n".join(f"line {n} " + "word " * 8 for n in range(40))
    assert all(
        line.startswith(("line", "word")) for part in cut(lines, 64) for line in part.text.split("\n") if line
    )
    long_word = "x" * 5000
    parts = cut(long_word, 64)
    assert all(count_tokens(part.text) <= 64 for part in parts)
    assert "".join(part.text for part in parts) == long_word


@settings(max_examples=200)
@given(
    st.lists(
        st.sampled_from(
            ["# Head", "## Sub", "", "```", "some words of text here", "é" * 90, "a, b; c", "    code()"]
        ),
        min_size=20,
        max_size=200,
    ),
    st.integers(64, 128),
)
def test_no_part_is_too_long_and_no_word_is_lost(lines: list[str], max_tokens: int) -> None:
    text = "\n".join(["A plain first line", *lines])
    parts = cut(text, max_tokens)
    assert all(count_tokens(part.text) <= max_tokens for part in parts)
    if len(parts) > 1:
        first, *rest = (part.text for part in parts)
        assert all(part.startswith("A plain first line\n\n") for part in rest)
        bodies = [first, *(part.removeprefix("A plain first line\n\n") for part in rest)]
        assert "".join("".join(bodies).split()) == "".join(text.split())


def test_a_heading_goes_with_the_long_section_below_it() -> None:
    parts = cut("# Manual\n\n## Install\n\n" + "Words to install by. " * 60, 80)
    assert parts[0].text.startswith("# Manual\n\n## Install\n\nWords to install by.")
    assert all(len(part.text) > 100 for part in parts[:-1])


def test_code_that_fits_alone_is_not_cut_for_its_heading() -> None:
    code = "```\n" + "x = 1\n" * 45 + "```"
    parts = cut(
        "plain\n"
        + "## One\n\n## A heading that leaves too little room for the code\n\n"
        + code
        + "\n\nafter\n" * 30,
        80,
    )
    assert sum(code in part.text for part in parts) == 1


def test_headings_that_hold_nothing_are_cut_like_any_text() -> None:
    parts = cut("# one of many heads\n\n" * 200, 64)
    assert all(count_tokens(part.text) <= 64 for part in parts)


def test_a_row_of_marks_that_is_never_closed_does_not_hide_the_code_below_it() -> None:
    code = "```python\n" + "x = 1\n\n# not a heading\n\n" * 6 + "```"
    parts = cut("````\nstray\n\n" + "Intro. " * 30 + "\n\n" + code + "\n\n" + "Outro. " * 30, 80)
    assert sum(code in part.text for part in parts) == 1
