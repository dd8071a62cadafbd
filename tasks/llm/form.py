"""Questions as prompts, and answers as records: by a schema, as plain JSON, or as numbered text.

A server may accept a schema and ignore it, so every answer is checked here, whatever was asked for; and since a model may
answer in another form than it was asked in, every form is tried on every answer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import from_json

from tasks.llm.request import Request
from tasks.llm.untrusted import WARNING, mark_off

SCHEMA, OBJECT, JSON, TEXT = RUNGS = (0, 1, 2, 3)
_BRACKETED = re.compile(r"^[ \t]*\[(\d{1,6})\][ \t]*", re.MULTILINE)  # as asked for
# As models write it, and as lists in an answer look.
_DOTTED = re.compile(r"^[ \t]*(\d{1,6})[.):][ \t]*", re.MULTILINE)
_OBJECT = re.compile(r'\{\s*["}]')  # a brace of prose or mathematics has no quote behind it
_THOUGHT = (
    "</think>"  # ends what a reasoning model says to itself, where its server leaves that in the answer
)

Answer = TypeVar("Answer", bound=BaseModel)


@dataclass(frozen=True)
class Form(Generic[Answer]):
    """A kind of question that can be asked about several texts at once.

    Args:
        name: letters and dashes, for the server's log.
        task: what to do with each text; the same for every request, so that a server can cache it as a prefix.
        answer: the record of one text's answer.
        example: of an answer, which the plain rungs show.
        as_text: how an answer is written as text.
        from_text: reads an answer so written; None where it is none.
        to_text: writes one so.
        model: the model's name at the server.
        parameters: of every request, with the bound of an answer's tokens.
        shown: texts with their right answers, before the questions: requests that show the same begin with the same words.
    """

    name: str
    task: str
    answer: type[Answer]
    example: Answer
    as_text: str
    from_text: Callable[[str], Answer | None]
    to_text: Callable[[Answer], str]
    model: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    shown: Sequence[tuple[str, Answer]] = ()

    def request(self, texts: Sequence[str], rung: int = SCHEMA) -> Request:
        """One request about several texts.

        Args:
            rung: SCHEMA has the server hold to a JSON schema, OBJECT too, in the form that llama-cpp-python and others know
                instead; JSON only asks for it; TEXT asks for numbered text.
        """
        mark, marked = mark_off(texts)
        system = f"{self.task}\n\n{WARNING}\n\n{self._format(rung)}"
        numbers = "text 1" if len(texts) == 1 else f"each of the texts 1 to {len(texts)}"
        user = (
            self._demonstrations(rung)
            + f"The marks are <{mark}> and </{mark}>.\n\n"
            + "".join(f"{block}\n\n" for block in marked)
            + f"Now answer for {numbers}, in the form described."
        )
        parameters = dict(self.parameters)
        schema = self.schema(len(texts))
        if rung == SCHEMA:
            named = {"name": self.name, "strict": True, "schema": schema}
            parameters["response_format"] = {"type": "json_schema", "json_schema": named}
        elif rung == OBJECT:
            parameters["response_format"] = {"type": "json_object", "schema": schema}
        return Request(self.model, (("system", system), ("user", user)), parameters)

    def schema(self, count: int) -> dict[str, Any]:
        """JSON schema of an object with a required key for each text, so that none can be left out."""
        item = self.answer.model_json_schema()
        shared = item.pop("$defs", {})
        numbers = [str(number) for number in range(1, count + 1)]
        return {
            "type": "object",
            "properties": {number: {"$ref": "#/$defs/answer"} for number in numbers},
            "required": numbers,
            "additionalProperties": False,
            "$defs": {**{name: _strict(one) for name, one in shared.items()}, "answer": _strict(item)},
        }

    def read(self, text: str, count: int, cut: bool = False) -> dict[int, Answer]:
        """What there is of answers for texts 0..count-1; what does not parse, or is not valid, is missing.

        Args:
            cut: the answer ended at its bound, so its last record may be half of one.
        """
        text = _without_thoughts(text)
        found = self._from_json(text) or self._from_numbered(text, count, cut)
        if not found and count == 1 and (answer := self._alone(text, cut)) is not None:
            found = {1: answer}
        return {number - 1: answer for number, answer in found.items() if 1 <= number <= count}

    def _demonstrations(self, rung: int) -> str:
        if not self.shown:
            return ""
        mark, marked = mark_off([text for text, _ in self.shown])
        blocks = [
            f"{block}\nRight answer: {self._as_shown(answer, rung)}"
            for block, (_, answer) in zip(marked, self.shown, strict=True)
        ]
        return (
            f"First examples, each between the marks <{mark}> and </{mark}> and followed by its right answer.\n\n"
            + "".join(f"{block}\n\n" for block in blocks)
        )

    def _as_shown(self, answer: Answer, rung: int) -> str:
        if rung == TEXT:
            return self.to_text(answer)
        return json.dumps(answer.model_dump(mode="json"), ensure_ascii=False)

    def _format(self, rung: int) -> str:
        if rung == TEXT:
            return (
                "Answer in plain text. Begin the answer for each text with its number in square brackets, on a line "
                f"of its own, as [1]; then: {self.as_text}"
            )
        example = json.dumps({"1": self.example.model_dump(mode="json")}, ensure_ascii=False)
        return (
            "Answer with one JSON object and nothing else. It has a key for the number of each text; for one text it "
            f"could be {example}"
        )

    def _from_json(self, text: str) -> dict[int, Answer]:
        value, whole = _first_object(text)
        if not isinstance(value, dict):
            return {}
        entries = list(value.items())
        if not whole:
            entries = entries[:-1]
        found: dict[int, Answer] = {}
        for key, one in entries:
            number = key.strip()
            if number.isdecimal() and len(number) <= 6 and (answer := self._valid(one)) is not None:
                found[int(number)] = answer
        return found

    def _from_numbered(self, text: str, count: int, cut: bool) -> dict[int, Answer]:
        """Only numbers of texts, each once and in order, are marks; else one of them may be a quotation or a list."""
        for pattern in (_BRACKETED, _DOTTED):
            marks = [mark for mark in pattern.finditer(text) if 1 <= int(mark[1]) <= count]
            if marks:
                break
        numbers = [int(mark[1]) for mark in marks]
        if not numbers or numbers != sorted(set(numbers)):
            return {}
        ends = [*(mark.start() for mark in marks[1:]), len(text)]
        found: dict[int, Answer] = {}
        for number, mark, end in list(zip(numbers, marks, ends, strict=True))[: -1 if cut else None]:
            if (answer := self._written(text[mark.end() : end])) is not None:
                found[number] = answer
        return found

    def _alone(self, text: str, cut: bool) -> Answer | None:
        """The answer for a single text, without its number."""
        value, whole = _first_object(text)
        if whole and isinstance(value, dict) and (answer := self._valid(value)) is not None:
            return answer
        return None if cut else self._written(text)

    def _written(self, text: str) -> Answer | None:
        try:
            return self.from_text(text.strip())
        except ValueError:  # among them pydantic's
            return None

    def _valid(self, value: Any) -> Answer | None:
        """A record that says something: one of defaults alone would make an answer of any object."""
        try:
            answer = self.answer.model_validate(value)
        except ValidationError:
            return None
        return answer if answer.model_fields_set else None


def _first_object(text: str) -> tuple[Any, bool]:
    """The first JSON object in a text, and whether it is whole; (None, False) where there is none."""
    found = _OBJECT.search(text)
    if not found:
        return None, False
    try:
        return _DECODER.raw_decode(text, found.start())[0], True
    except (ValueError, RecursionError):
        pass
    try:
        return from_json(text[found.start() :], allow_partial=True, allow_inf_nan=False), False
    except (ValueError, TypeError):  # this for half a surrogate pair
        return None, False


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is no number")


# Line ends within a string are as often written as escaped.
_DECODER = json.JSONDecoder(strict=False, parse_constant=_no_number)


def _without_thoughts(text: str) -> str:
    """What is said after thinking aloud: drafts are no answers. An answer may hold the mark as a quotation."""
    thoughts, ended, answer = text.partition(_THOUGHT)
    if ended and not thoughts.lstrip().startswith(("{", "[", "`")):
        return answer
    return "" if text.lstrip().startswith("<think>") else text


def _strict(schema: dict[str, Any]) -> dict[str, Any]:
    """As servers that hold to a schema want it: no other keys, all of them required, and no defaults."""
    schema = {name: value for name, value in schema.items() if name != "default"}
    if schema.get("type") == "object" and "properties" in schema:
        schema["properties"] = {name: _strict(one) for name, one in schema["properties"].items()}
        schema["required"] = list(schema["properties"])
        schema["additionalProperties"] = False
    if isinstance(schema.get("items"), dict):
        schema["items"] = _strict(schema["items"])
    if "anyOf" in schema:
        schema["anyOf"] = [_strict(one) for one in schema["anyOf"]]
    return schema
