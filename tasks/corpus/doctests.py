"""Examples of use in docstrings as examples of a task: predict what the statement prints."""

from __future__ import annotations

import doctest
from collections.abc import Callable, Iterator

from tasks.corpus.docstrings import Docstring, Unparsed, read_package
from tasks.records import Example, Reject

_LONGEST_ANSWER = 200  # characters
_STATEMENTS_BEFORE = 5  # besides imports; what a statement needs stands close to it


def read_doctests(modules: str, reject: Callable[[Reject], None]) -> Iterator[Example]:
    """The doctests of installed modules, parsed and never imported or run.

    A question is the qualified name and signature of what the docstring documents, the docstring's first paragraph, the
    statements before (all imports, the last five others), and the statement asked; the answer is the expected output.
    Statements without output, and those that raise, have no answer to learn.

    Args:
        modules: "sympy.ntheory,sympy.functions"; packages with all below them.
        reject: called for docstrings that cannot be parsed and outputs too long to be an answer, with stage "target".

    Yields:
        Examples in the order of the source; the group is the qualified name.

    Raises:
        BadInput: a package that is not installed.
    """
    for module in [name.strip() for name in modules.split(",") if name.strip()]:
        for docstring in read_package(module, scheme="doctest"):
            if isinstance(docstring, Unparsed):
                reject(Reject("target", "broken Python", docstring.name, docstring.detail))
            else:
                yield from _examples(docstring, reject)


def _examples(docstring: Docstring, reject: Callable[[Reject], None]) -> Iterator[Example]:
    try:
        parsed = doctest.DocTestParser().get_examples(docstring.text, docstring.name)
    except ValueError as error:
        reject(Reject("target", "broken doctest", docstring.name, str(error)))
        return
    head = f"{docstring.name.split('#')[0]}\n\n{_signature(docstring)}{_first_paragraph(docstring.text)}"
    imports: list[str] = []
    others: list[str] = []
    for number, example in enumerate(parsed, start=1):
        statement = _prompted(example.source)
        answer = example.want.strip()
        id = f"{docstring.name}:{number}"
        if answer and example.exc_msg is None:
            if len(answer) > _LONGEST_ANSWER:
                reject(Reject("target", "long answer", id, f"{len(answer)} characters"))
            else:
                before = [*imports, *others[-_STATEMENTS_BEFORE:], statement]
                yield Example(id, f"{head}\n\n" + "\n".join(before), answer, docstring.name)
        is_import = example.source.startswith(("import ", "from "))
        (imports if is_import else others).append(statement)


def _prompted(source: str) -> str:
    first, *rest = source.rstrip("\n").split("\n")
    return "\n".join([f">>> {first}", *(f"... {line}" for line in rest)])


def _signature(docstring: Docstring) -> str:
    return f"{docstring.signature}\n\n" if docstring.signature else ""


def _first_paragraph(text: str) -> str:
    paragraph = text.strip().split("\n\n", 1)[0]
    return "" if paragraph.startswith(">>>") else paragraph
