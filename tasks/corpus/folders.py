"""Documents that are files: .txt, .md and .html, alone or in a folder."""

from __future__ import annotations

import re
import warnings
from functools import cache
from typing import Any

from upath import UPath

from tasks.corpus.formats import Broken, reader_of
from tasks.storage.encodings import UTF_16, encoding_of

_HTML = (".html", ".htm", ".xhtml")
_TEXT = (".txt", ".md", ".markdown", *_HTML)

# What lies beside the records of a downloaded data set and is none of them.
_COMPANION = re.compile(r"(readme|licen[cs]e).*|dataset_info\.json|(.*_)?infos\.json")
# Sluice's own runs: their logs and reports are no documents, and change while a run reads.
_MARKS_OF_A_RUN = {"settings.yaml", ".lock"}

_LONG_GAP = re.compile(r"[ \t]{40,}")


def is_text_file(path: UPath) -> bool:
    return path.name.lower().endswith(_TEXT)


def files_below(folder: UPath) -> list[tuple[UPath, Broken | None]]:
    """The documents of a folder and of the folders below it, sorted; if there is none, its files of records.

    Hidden files and folders, links to folders, runs of Sluice and what is neither text nor records are left out. A
    folder of text with a stray table keeps the text alone; a folder of shards (a downloaded data set) is read as
    records, whatever stands beside them to describe them.

    Returns:
        Paths, each with the reason why it is not read, if there is one: a file of the other kind, a folder that
        cannot be listed.
    """
    found, unlisted = _walk(folder)
    found = [path for path in found if is_text_file(path) or reader_of(path) is not None]
    found.sort(key=lambda path: tuple(path.parts))
    wanted = [path for path in found if not _COMPANION.fullmatch(path.name.lower())] or found
    text = [path for path in wanted if is_text_file(path)]
    if text:
        why = Broken("not read", "records among files of text; name this file itself to read it")
        chosen = {path for path in found if is_text_file(path)}
    else:
        why = Broken("not read", "describes the records beside it")
        chosen = set(wanted)
    return [(path, None if path in chosen else why) for path in found] + unlisted


def _walk(folder: UPath) -> tuple[list[UPath], list[tuple[UPath, Broken | None]]]:
    """All files below a folder, and the folders that cannot be listed."""
    found: list[UPath] = []
    unlisted: list[tuple[UPath, Broken | None]] = []
    waiting = [folder]
    while waiting:
        at = waiting.pop()
        try:
            entries = [(entry, entry.is_dir()) for entry in at.iterdir()]
        except OSError as error:
            unlisted.append((at, Broken("unreadable", f"cannot be listed: {error.strerror or error}")))
            continue
        if at != folder and {entry.name for entry, _ in entries} >= _MARKS_OF_A_RUN:
            continue
        seen = [pair for pair in entries if not pair[0].name.startswith(".")]
        found += [entry for entry, is_folder in seen if not is_folder]
        # A link to a parent would never end.
        waiting += [entry for entry, is_folder in seen if is_folder and not entry.is_symlink()]
    return found, sorted(unlisted, key=lambda one: tuple(one[0].parts))


def read_text_file(path: UPath) -> str | Broken:
    """The text of a file; HTML as Markdown, so that headings and code stay visible."""
    try:
        if path.is_fifo():  # to open it would wait for a writer
            return Broken("unreadable", "a pipe, not a file")
        data = path.read_bytes()
    except OSError as error:
        return Broken("unreadable", error.strerror or str(error))
    encoding = encoding_of(data)
    if b"\0" in data[:65536] and encoding != UTF_16:
        return Broken("binary", "the file holds NUL bytes")
    if path.name.lower().endswith(_HTML):
        return _markdown(data)
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        return Broken("binary", f"not UTF-8: {error.reason} at byte {error.start}")


def _markdown(data: bytes) -> str | Broken:
    from bs4 import BeautifulSoup
    from bs4.element import NavigableString
    from bs4.exceptions import ParserRejectedMarkup

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # XHTML is read as HTML on purpose
            page = BeautifulSoup(data, "lxml")
        for element in page(["script", "style", "noscript", "template"]):
            element.decompose()
        title = page.title.get_text(" ", strip=True) if page.title else ""
        if page.title:
            page.title.decompose()
        for gap in page.find_all(string=_LONG_GAP):
            if type(gap) is NavigableString and gap.find_parent("pre") is None:
                gap.replace_with(_LONG_GAP.sub(" ", gap))
        for ordered in page("ol"):
            start = str(ordered.get("start"))
            first = int(start) if start.isdecimal() else 1
            for number, item in enumerate(ordered("li", recursive=False), start=first):
                item["value"] = str(number)
        # Underscores and asterisks of code and formulas stay as they are: this is text to learn from, not to render.
        converter = _converter()(
            heading_style="ATX", escape_asterisks=False, escape_underscores=False, strip_pre=None
        )
        text = str(converter.convert_soup(page)).strip()
    except (RecursionError, ValueError, AssertionError, ParserRejectedMarkup) as error:
        return Broken("broken HTML", str(error) or type(error).__name__)
    return f"# {title}\n\n{text}" if title and text and page.h1 is None else text


@cache
def _converter() -> Any:
    """markdownify's converter without two steps that take time quadratic in the blank lines of code or in a list."""
    from markdownify import MarkdownConverter

    base: Any = MarkdownConverter  # its stub leaves out what is overridden

    class Converter(base):  # type: ignore[misc]
        def convert_pre(self, element: Any, text: str, parent_tags: Any) -> str:
            body = text.lstrip(" \n")
            indent = text[: len(text) - len(body)].rpartition("\n")[2]
            return str(super().convert_pre(element, (indent + body).rstrip(" \n"), parent_tags))

        def convert_li(self, element: Any, text: str, parent_tags: Any) -> str:
            if "value" not in element.attrs or not text.strip():
                return str(super().convert_li(element, text, parent_tags))
            bullet = f"{element['value']}. "
            lines = (" " * len(bullet) + line if line else "" for line in text.strip().split("\n"))
            return bullet + "\n".join(lines)[len(bullet) :] + "\n"

    return Converter
