"""Every benchmark can be started: what it imports of the project is there."""

from __future__ import annotations

import importlib
import pkgutil

import pytest

import tests.bench

OURS = ("flows", "tasks", "tests")
NAMES = [module.name for module in pkgutil.iter_modules(tests.bench.__path__, "tests.bench.")]


@pytest.mark.parametrize("name", NAMES)
def test_it_imports(name: str) -> None:
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        if str(error.name).partition(".")[0] in OURS:
            raise
        pytest.skip(f"{error.name} is a peer's package that is not installed")
