import sys
from pathlib import Path

import pytest

from tasks.corpus.docstrings import Docstring, find_files, read_package
from tasks.corpus.read import Fields, read_documents
from tasks.records import Reject

LONG = "A sentence long enough to be worth reading, about what the thing does and how it is used."
CODE = f'''
"""{LONG}"""
raise RuntimeError("imported")

class Shape(Base):
    """{LONG}"""

    @property
    def area(self) -> float:
        """{LONG}

            >>> Shape().area
            1.0
        """

    @area.setter
    def area(self, value):
        """{LONG}"""

    def _hidden(self):
        """{LONG}"""

if True:
    async def fetch(url, *, retries: int = 3, **options): "{LONG}"

def short():
    """Too short."""
'''


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    root = tmp_path / "shapes_of_test"
    (root / "tests").mkdir(parents=True)
    (root / "__init__.py").write_text("")
    (root / "_core.py").write_text(CODE)
    (root / "broken.py").write_text("def (:")
    (root / "deep.py").write_text("-" * 100_000 + "1")
    (root / "tests" / "test_core.py").write_text(CODE)
    monkeypatch.syspath_prepend(str(tmp_path))
    return root.name


def test_docstrings_are_parsed_and_never_imported(package: str) -> None:
    rejects: list[Reject] = []
    documents = list(read_documents([f"python:{package}"], Fields(), rejects.append))
    name = f"{package}._core"
    assert [document.id for document in documents] == [
        name,
        f"{name}.Shape",
        f"{name}.Shape.area",
        f"{name}.Shape.area#2",
        f"{name}.fetch",
    ]
    assert documents[4].text == f"# {name}.fetch\n\n`fetch(url, *, retries: int=3, **options)`\n\n{LONG}"
    assert documents[1].text.startswith(f"# {name}.Shape\n\n`class Shape(Base)`\n\n")
    assert documents[2].metadata == {"kind": "function", "file": f"{package}/_core.py", "line": 9}
    assert documents[2].source == package
    assert [(reject.reason, reject.id) for reject in rejects] == [
        ("too short", f"{name}.short"),
        ("broken Python", f"{package}.broken"),
        ("broken Python", f"{package}.deep"),
    ]
    assert package not in sys.modules


def test_a_subpackage_or_module_is_found_without_importing_its_parents(package: str) -> None:
    assert [name for name, _ in find_files(f"{package}._core")] == [f"{package}._core"]
    assert package not in sys.modules


def test_ids_of_an_installed_package_are_unique() -> None:
    names = [item.name for item in read_package("networkx.algorithms") if isinstance(item, Docstring)]
    assert len(names) > 500
    assert len(set(names)) == len(names)
    assert "networkx.algorithms.shortest_paths.generic.shortest_path" in names
    assert not any(".tests." in name for name in names)
