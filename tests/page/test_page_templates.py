"""What all pages are made with."""

from __future__ import annotations

from tasks.page.templates import templates


def rendered(template: str, **content: object) -> str:
    text: str = templates("tasks.page").from_string(template).render(content)
    return text


def test_sentences_that_stand_on_lines_of_their_own_are_parted() -> None:
    template = """<p>{% if a %}One.{% endif %}
    {% if a %}Two.{% endif %}
    {% set b = a %}
    Three.</p>"""
    assert " ".join(rendered(template, a=True).split()) == "<p>One. Two. Three.</p>"


def test_a_long_name_may_break_at_its_joints_and_stays_text() -> None:
    assert rendered("{{ name|breakable }}", name="docs/user_guide<b>") == "docs/<wbr>user_<wbr>guide&lt;b&gt;"
