"""What all tests share: no network, no analytics, and one server of each kind for the tests that need one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.llm.serving import Served

# Before anything imports these libraries.
os.environ["PREFECT_SERVER_ANALYTICS_ENABLED"] = "false"
os.environ["GX_ANALYTICS_ENABLED"] = "false"
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL"] = "CRITICAL"
if os.environ.get("PYTEST_XDIST_WORKER"):  # one of several on this machine, each with a core
    os.environ.setdefault("OMP_NUM_THREADS", "1")
# The tests compare with float32 on the CPU; those of the GPU are asked for by name (tests/train/test_gpu.py).
if not os.environ.get("SLUICE_TEST_GPU"):
    os.environ["CUDA_VISIBLE_DEVICES"] = ""

import pytest


@pytest.fixture(scope="session")
def prefect_server() -> Iterator[None]:
    """A server with a database of its own; entering takes some 20 s, so once for all tests."""
    from prefect.testing.utilities import prefect_test_harness

    from tasks.run.server import without_heartbeats

    with prefect_test_harness(server_startup_timeout=120), without_heartbeats():
        yield


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """`transformers serve` with a tiny model, which takes as long to start."""
    from tests.llm.serving import is_missing, serving

    if is_missing():
        pytest.skip("transformers serve: install transformers[serving]")
    with serving(tmp_path_factory.mktemp("served")) as server:
        yield server
