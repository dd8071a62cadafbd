"""Templates of the crowd's reports."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tasks.page.templates import templates

CROWD = Path(__file__).resolve().parents[2] / "tasks/crowd"
TEMPLATES = sorted(CROWD.rglob("*.html.j2"))
_TAG = re.compile(r"\{% *(\w+).*?%\}", re.DOTALL)


def sentences(source: str) -> str:
    """The paragraphs of a template as they read when every condition holds: tags gone, with the blanks that go with them."""
    environment = templates("tasks.crowd.discover")
    paragraphs = re.findall(r"<p\b.*?</p>", source, re.DOTALL)
    plain = [re.sub(r"\{\{.*?\}\}", "3", text, flags=re.DOTALL) for text in paragraphs]
    return "\n".join(environment.from_string(_TAG.sub(_always, text)).render() for text in plain)


def _always(tag: re.Match[str]) -> str:
    return " " if tag[1] == "else" else "{% if true %}{% endif %}"


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_sentences_have_blanks_between_them(path: Path):
    text = re.sub(r"<[^>]*>", "", sentences(path.read_text()))
    assert re.findall(r"\S+[a-z3%)][.:?][A-Z3]\S*", text) == []
