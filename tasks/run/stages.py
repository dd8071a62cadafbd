"""From a plain function to a Prefect task: a name, retries, and a cache key made of what goes in.

A stage writes files below the run's folder and returns a small dict of facts. The key of its cached result is the hash
of the settings that change what is computed and of its other arguments, among which are the results (so the file hashes) of the stages
before it. So a continued run, or a retry in the Prefect UI, runs only what is missing.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from prefect import runtime, task
from prefect.context import TaskRunContext

from tasks.records import BadInput, Stopped
from tasks.run import terminal
from tasks.run.folder import digest, named
from tasks.run.services import is_lost
from tasks.storage.disk import is_full

Facts = dict[str, Any]


# A second try ends as the first: a file system that refuses, a fault in the program, Ctrl-C.
_LASTING = (
    OSError,
    TypeError,
    ValueError,
    LookupError,
    AttributeError,
    NameError,
    AssertionError,
    ImportError,
    NotImplementedError,  # torch's, of an operation that a device lacks
    KeyboardInterrupt,
)


def worth_retrying(task: Any, run: Any, state: Any) -> bool:
    """A retry helps against a passing fault: a lost connection or worker, or what is not known to last."""
    error = state.result(raise_on_failure=False)
    if isinstance(error, BadInput | Stopped) or is_full(error):
        return False
    return is_lost(error) or not isinstance(error, _LASTING)


def run_label(flow: str, shown: str = "") -> Callable[[], str]:
    """What a flow run is called in the UI: the flow and its run's name, as `@flow(flow_run_name=run_label("quad"))`.

    Args:
        flow: whose folder holds the runs.
        shown: the flow's name, where it is another.
    """

    def label() -> str:
        settings = runtime.flow_run.parameters["settings"]
        return f"{shown or flow} {named(flow, settings, runtime.flow_run).run}"

    return label


_timed: list[dict[str, float]] = []


@contextmanager
def timed() -> Iterator[dict[str, float]]:
    """Seconds of work by stage, of all stages that run (or are found in the cache) inside the block."""
    seconds: dict[str, float] = {}
    _timed.append(seconds)
    try:
        yield seconds
    finally:
        _timed[:] = [other for other in _timed if other is not seconds]  # equal ones are others' too


class Stage:
    """A stage of a flow.

    Args:
        function: called as function(run: Path, settings, **arguments) -> facts; the files it names under "files"
            (relative to the run's folder) are hashed into its result.
        name: shown in the UI; may use the arguments, as "extract in round {number}".
        works: whether it has anything to do with these settings; the terminal is not told of one that has not.
    """

    def __init__(
        self,
        function: Callable[..., Facts],
        name: str,
        retries: int = 2,
        works: Callable[[Any], bool] = lambda settings: True,
    ) -> None:
        self.function, self.name, self.works = function, name, works
        self.stage = name.split(" in round")[0].partition(" {")[0]
        self.task: Any = task(  # type: ignore[call-overload]
            self._run,
            name=self.stage,
            description=(function.__doc__ or "").strip(),
            retries=retries,
            retry_delay_seconds=[2.0**attempt for attempt in range(1, retries + 1)],
            retry_condition_fn=worth_retrying,
            retry_jitter_factor=0.5,
            cache_key_fn=self._key,
            persist_result=True,
            result_serializer="json",
        )

    def __call__(self, run: Path, settings: Any, **arguments: Any) -> Facts:
        if self.works(settings):
            terminal.current().stage(self.name.format(**arguments))
        step = self.task.with_options(
            task_run_name=self.name.format(**arguments), result_storage=run / ".results"
        )
        facts: Facts = step(run=str(run), settings=settings, arguments=arguments)
        if any(not (run / file).exists() for file in facts["files"]):
            # The cached result speaks of files that somebody removed.
            facts = step.with_options(refresh_cache=True)(
                run=str(run), settings=settings, arguments=arguments
            )
        for seconds in _timed[-1:]:
            seconds[self.stage] = round(seconds.get(self.stage, 0.0) + facts["seconds"], 3)
        return facts

    def _run(self, run: str, settings: Any, arguments: Facts) -> Facts:
        began = time.monotonic()
        facts = self.function(Path(run), settings, **arguments)
        files = {file: digest(Path(run) / file) for file in facts.get("files", ())}
        return {**facts, "files": files, "seconds": round(time.monotonic() - began, 3)}

    def _key(self, context: TaskRunContext, parameters: dict[str, Any]) -> str:
        settings, arguments = parameters["settings"], parameters["arguments"]
        what = {
            "stage": self.name,
            "settings": settings.model_dump(mode="json", exclude=set(settings.place)),
            "arguments": _without_seconds(arguments),
        }
        return hashlib.sha256(json.dumps(what, sort_keys=True, default=str).encode()).hexdigest()


def _without_seconds(value: Any) -> Any:
    """Equal work is equal however long it took."""
    if isinstance(value, dict):
        return {key: _without_seconds(inner) for key, inner in value.items() if key != "seconds"}
    return value
