"""What a worker process of ours does besides its tasks."""

from __future__ import annotations

import gc
from typing import Any

from distributed import WorkerPlugin


class QuickEnd(WorkerPlugin):  # type: ignore[misc]
    """A worker that ends does not look for garbage any more.

    The interpreter would do so several times on its way out, which takes it seconds of a core once PyTorch is loaded; after 4 s
    Dask kills the worker.
    """

    name = "quick end"

    def teardown(self, worker: Any) -> None:
        gc.freeze()
