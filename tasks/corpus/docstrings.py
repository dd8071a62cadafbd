"""Docstrings of installed Python packages, parsed and never imported."""

from __future__ import annotations

import ast
import importlib.util
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tasks.records import BadInput
from tasks.run.parallel import Mapper, serial

# Tests document nothing; vendored packages belong to others.
_SKIPPED_FOLDERS = {
    "tests",
    "test",
    "testing",
    "externals",
    "_external",
    "_vendor",
    "_vendored",
    "vendor",
    "vendored",
}
_SKIPPED_FILES = {"conftest.py", "setup.py"}

_BATCH_BYTES = 1 << 20

Definition = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Docstring:
    """A docstring and where it stands.

    Args:
        name: qualified name; a repeated one (a property's setter, a branch) gets "#2", "#3".
        kind: "module", "class" or "function".
        signature: one line of code, empty for a module.
        text: the docstring without its indentation.
        package: name of the top package.
        file: path of the file below the folder that holds the package.
        line: of the definition.
    """

    name: str
    kind: str
    signature: str
    text: str
    package: str
    file: str
    line: int


def find_files(module: str, scheme: str = "python") -> list[tuple[str, Path]]:
    """The Python files of an installed package, subpackage or module, as (qualified module name, path), in order.

    Private modules are among them: scipy and scikit-learn define their public functions there.

    Args:
        scheme: that a message puts before the module.

    Raises:
        BadInput: no such package is installed, or it has no Python source.
    """
    parts = module.split(".")
    if not all(part.isidentifier() for part in parts):
        raise BadInput(
            f"{scheme}:{module}: not the name of a Python package; write {scheme}:sympy,scipy.optimize"
        )
    # Only the top package is looked up: find_spec on a dotted name would import its parents.
    try:
        spec = importlib.util.find_spec(parts[0])
    except ValueError:  # a module that was never imported by its name, as __main__
        spec = None
    if spec is None:
        raise BadInput(
            f"{scheme}:{module}: the package {parts[0]} is not installed here; install it or leave it out"
        )
    if spec.submodule_search_locations is None:
        files = [Path(spec.origin)] if len(parts) == 1 and spec.origin and spec.origin.endswith(".py") else []
        found = [(module, path) for path in files if path.is_file()]
    else:
        found = []
        for location in sorted(spec.submodule_search_locations):
            place = Path(location, *parts[1:])
            root = Path(location).parent
            # The file beside wins only when there is no folder of that name, as in an import.
            paths = _walk(place) if place.is_dir() else [place.with_suffix(".py")]
            found += [(_module_name(path, root), path) for path in paths if path.is_file()]
    if not found:
        raise BadInput(
            f"{scheme}:{module}: {parts[0]} is installed, but no Python source was found for {module}"
        )
    return found


@dataclass(frozen=True, slots=True)
class Unparsed:
    """A module that is not Python which this interpreter can parse, and why."""

    name: str
    detail: str


def read_package(
    module: str, mapper: Mapper = serial, scheme: str = "python"
) -> Iterator[Docstring | Unparsed]:
    """The docstrings of the public definitions of a package and of all below it, in the order of its source.

    Args:
        module: an installed package, subpackage or module.
        mapper: runs the parser, which is what takes time. Source travels to it and not paths, so that workers may be
            machines that do not have the package.
        scheme: as for `find_files`.

    Raises:
        BadInput: as `find_files`.
    """
    for parsed in mapper(_parse_all, _batches(find_files(module, scheme))):
        yield from parsed


def _batches(files: list[tuple[str, Path]]) -> Iterator[list[tuple[str, str, bytes]]]:
    """(qualified name, file below the folder that holds the package, source), a good megabyte at a time."""
    held: list[tuple[str, str, bytes]] = []
    size = 0
    for name, path in files:
        depth = len(name.split(".")) - (0 if path.name == "__init__.py" else 1)
        held.append((name, path.relative_to(path.parents[depth]).as_posix(), path.read_bytes()))
        size += len(held[-1][2])
        if size >= _BATCH_BYTES:
            yield held
            held, size = [], 0
    if held:
        yield held


def _parse_all(files: list[tuple[str, str, bytes]]) -> list[Docstring | Unparsed]:
    found: list[Docstring | Unparsed] = []
    for name, file, source in files:
        try:
            found += _parse(name, file, source)
        # Of code that is nested too deeply the parser says RecursionError or MemoryError.
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            found.append(Unparsed(name, f"{file}: {str(error) or 'nested too deeply'}"))
    return found


def _parse(name: str, file: str, source: bytes) -> list[Docstring]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # invalid escapes in other people's sources
        tree = ast.parse(source)
    found = []
    seen: Counter[str] = Counter()
    for qualified, node in _definitions(tree, name):
        text = ast.get_docstring(node, clean=True)
        if not text or not text.strip():
            continue
        seen[qualified] += 1
        unique = qualified if seen[qualified] == 1 else f"{qualified}#{seen[qualified]}"
        kind, signature, line = _describe(node)
        found.append(Docstring(unique, kind, signature, text, name.split(".")[0], file, line))
    return found


def _definitions(node: ast.AST, name: str) -> Iterator[tuple[str, Definition]]:
    if isinstance(node, ast.Module):
        yield name, node
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            if child.name.startswith("_"):
                continue
            yield f"{name}.{child.name}", child
            if isinstance(child, ast.ClassDef):
                yield from _definitions(child, f"{name}.{child.name}")
        elif isinstance(child, ast.If | ast.Try | ast.ExceptHandler | ast.With):
            yield from _definitions(child, name)


def _describe(node: Definition) -> tuple[str, str, int]:
    if isinstance(node, ast.Module):
        return "module", "", 1
    if isinstance(node, ast.ClassDef):
        bases = ", ".join(ast.unparse(base) for base in node.bases)
        return "class", f"class {node.name}({bases})" if bases else f"class {node.name}", node.lineno
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    return "function", f"{node.name}({ast.unparse(node.args)}){returns}", node.lineno


def _module_name(path: Path, root: Path) -> str:
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _walk(folder: Path) -> list[Path]:
    """Python files below a folder in a stable order, tests and vendored packages left out."""
    paths = []
    for entry in sorted(folder.iterdir(), key=lambda entry: (entry.is_dir(), entry.name)):
        if entry.is_dir():
            if entry.name.isidentifier() and entry.name not in _SKIPPED_FOLDERS:
                paths += _walk(entry)
        elif entry.suffix == ".py" and entry.stem.isidentifier() and not _is_test(entry.name):
            paths.append(entry)
    return paths


def _is_test(name: str) -> bool:
    return name in _SKIPPED_FILES or name.startswith("test_")
