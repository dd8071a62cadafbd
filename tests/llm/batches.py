"""A batch API: it answers the files of requests in a folder, and puts its results beside them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.llm.fake_server import Body, Content, judge

Line = Callable[[str, Body], Any]


def answered(key: str, body: Body, answer: Callable[[Body], Content] = judge) -> Any:
    """A line of results as a dictionary."""
    content = answer(body)
    text, cut = content if isinstance(content, tuple) else (content, False)
    reply = {
        "choices": [{"message": {"content": text}, "finish_reason": "length" if cut else "stop"}],
        "usage": {"prompt_tokens": 100, "completion_tokens": 10},
    }
    return {"custom_id": key, "response": {"status_code": 200, "body": reply}, "error": None}


def refused(key: str, status: int, message: str) -> Any:
    body = {"error": {"message": message}}
    return {"custom_id": key, "response": {"status_code": status, "body": body}, "error": None}


def requests_in(path: Path) -> list[tuple[str, Body]]:
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [(line["custom_id"], line["body"]) for line in lines]


def answer_files(folder: Path, line: Line = answered) -> list[str]:
    """Answer every file that has no results yet. Returns the keys of its requests, file by file."""
    keys = []
    for path in sorted(folder.glob("*.requests.jsonl")):
        results = folder / f"batch_{path.stem}_output.jsonl"
        if results.exists():
            continue
        asked = requests_in(path)
        keys += [key for key, _ in asked]
        results.write_text("".join(json.dumps(line(*one)) + "\n" for one in asked), encoding="utf-8")
    return keys
