"""Documents that are files: .txt, .md and .html, alone or in a folder."""

from __future__ import annotations

from collections.abc import Iterator

from upath import UPath

from tasks.corpus.formats import Broken, opened, reader_of

_HTML = (".html", ".htm", ".xhtml")
_TEXT = (".txt", ".md", ".markdown", *_HTML)


def is_text_file(path: UPath) -> bool:
    return path.name.lower().endswith(_TEXT)


def files_below(folder: UPath) -> list[UPath]:
    """The documents of a folder and of the folders below it, sorted; if there is none, its files of records.

    Hidden files and folders are left out. A folder of text with a stray table keeps the text alone; a folder of
    shards (a downloaded data set) is read as records.
    """
    below: list[UPath] = sorted(_visible(folder), key=lambda path: tuple(path.parts))
    return [path for path in below if is_text_file(path)] or [
        path for path in below if reader_of(path) is not None
    ]


def _visible(folder: UPath) -> Iterator[UPath]:
    for entry in folder.iterdir():
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            if not entry.is_symlink():  # a link to a parent would never end
                yield from _visible(entry)
        else:
            yield entry


def read_text_file(path: UPath) -> str | Broken:
    """The text of a file; HTML as Markdown, so that headings and code stay visible.

    Raises:
        BadInput: the storage fails.
    """
    with opened(path) as file:
        data = file.read()
    if b"\0" in data[:65536] and not data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return Broken("binary", "the file holds NUL bytes")
    if path.name.lower().endswith(_HTML):
        return _markdown(data)
    try:
        return data.decode("utf-16" if data.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig")
    except UnicodeDecodeError as error:
        return Broken("binary", f"not UTF-8: {error.reason} at byte {error.start}")


def _markdown(data: bytes) -> str | Broken:
    from bs4 import BeautifulSoup
    from markdownify import MarkdownConverter

    try:
        page = BeautifulSoup(data, "html.parser")
        for element in page(["script", "style", "noscript", "template"]):
            element.decompose()
        title = page.title.get_text(" ", strip=True) if page.title else ""
        if page.title:
            page.title.decompose()
        # Underscores and asterisks of code and formulas stay as they are: this is text to learn from, not to render.
        converter = MarkdownConverter(heading_style="ATX", escape_asterisks=False, escape_underscores=False)
        text = str(converter.convert_soup(page)).strip()
    except (RecursionError, ValueError, AssertionError) as error:
        return Broken("broken HTML", str(error) or type(error).__name__)
    return f"# {title}\n\n{text}" if title and text and page.h1 is None else text
