"""Instruction data in the forms that trainers exchange, as a question and its answer each."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from tasks.corpus.formats import JSON, Record
from tasks.corpus.normalise import normalise

Asked = Callable[[Record], tuple[str, str]]
"""Question and answer of a record; empty where it has none."""

_ANSWERS = ("assistant", "gpt", "model")  # roles whose turn is an answer


def form_of(fields: Collection[str]) -> Asked | None:
    """How records with these fields are read: messages (OpenAI), conversations (ShareGPT), instruction and output (Alpaca).

    Returns:
        None where the fields are of no such form.
    """
    if "messages" in fields:
        return lambda record: _turns(record.get("messages"), "role", "content")
    if "conversations" in fields:
        return lambda record: _turns(record.get("conversations"), "from", "value")
    if "instruction" in fields and "output" in fields:
        return _alpaca
    return None


def _alpaca(record: Record) -> tuple[str, str]:
    asked = (_text(record.get(name)) for name in ("system", "instruction", "input"))
    return "\n\n".join(filter(None, asked)), _text(record.get("output"))


def _turns(turns: Any, role: str, content: str) -> tuple[str, str]:
    """The last answer, and everything said before it."""
    if isinstance(turns, str):  # as a table of plain columns has to hold it
        try:
            turns = JSON.decode(turns.strip())
        except (ValueError, RecursionError):
            return "", ""
    said = [
        (turn.get(role), _text(turn.get(content)))
        for turn in (turns if isinstance(turns, list) else [])
        if isinstance(turn, dict)
    ]
    answers = [place for place, (who, text) in enumerate(said) if who in _ANSWERS and text]
    if not answers:
        return "\n\n".join(text for _, text in said if text), ""
    before = "\n\n".join(text for _, text in said[: answers[-1]] if text)
    return before, said[answers[-1]][1]


def _text(value: Any) -> str:
    """A text, or the texts of a message in parts."""
    if isinstance(value, list):
        value = "\n".join(part["text"] for part in value if isinstance(part, dict) and _is_text(part))
    return normalise(value).strip() if isinstance(value, str) else ""


def _is_text(part: Record) -> bool:
    return isinstance(part.get("text"), str)
