"""What the machinery of a run costs: its stages, two workers against one, and memory against the size of the corpus.

    python -m tests.bench.stages RUN

RUN is the folder of a finished run of `sluice equal` that was never continued; its corpus is encoded and extracted again.
Where the shared data is present, whole runs on 1,000 and on all of its documents are made for their memory. Run it alone
on the machine, or the figures are of the other work.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from multiprocessing import get_context
from pathlib import Path
from statistics import mean, stdev
from tempfile import TemporaryDirectory
from typing import Any

from distributed import default_client

from tasks.extract.batch import extract_documents
from tasks.extract.extractor import make_extractor
from tasks.records import BadInput
from tasks.run.parallel import Mapper, current_mapper, workers
from tasks.select.encode import EncoderSpec, encode_table, encode_texts
from tasks.storage.tables import iterate_rows
from tests.bench.cells import Cell, write_inputs
from tests.bench.markdown import table
from tests.bench.targets import MIXED, ROOT

REPEATS = 3
SIZES = (1_000, 17_980)
SAMPLE_SECONDS = 0.1


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print. Returns the exit code: 2 where RUN cannot be taken."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.stages", description=__doc__.split("\n")[0])
    parser.add_argument("run", type=Path)
    options = parser.parse_args(arguments)
    try:
        seconds = stage_seconds(options.run)
    except BadInput as problem:
        print(problem, file=sys.stderr)
        return 2
    print(stages(seconds, *before_the_flow()), flush=True)
    print("\n" + speedup(options.run), flush=True)
    if MIXED.exists():
        print("\n" + memory())
    return 0


def stage_seconds(run: Path) -> dict[str, float]:
    """Seconds of a run by stage, and of all of it.

    Raises:
        BadInput: the run is not finished, or was continued: then its stages took their time in one process and its clock
            ran in another, and the difference says nothing.
    """
    if not (run / "summary.json").is_file():
        raise BadInput(f"{run}: no finished run (no summary.json)")
    if "Cached(" in (run / "log.txt").read_text(encoding="utf-8"):
        raise BadInput(f"{run}: this run was continued with --resume; take one that was not")
    seconds: dict[str, float] = json.loads((run / "summary.json").read_text(encoding="utf-8"))["seconds"]
    return seconds


def stages(seconds: dict[str, float], imports: float, server: float) -> str:
    """Seconds by stage, and what is left of the flow's time.

    A stage's seconds are those of its function with the hashing of its files, so what Dask takes within it (sending,
    scheduling, waiting for the slower worker) counts as work. Left are Prefect's task and flow runs and stored results,
    start and end of the Dask workers, the display, and the flow's own lines between its stages. Imports and the start of
    Prefect's temporary server come before the flow's clock, so they are measured apart; `make ui` saves the latter.
    """
    whole = seconds["all"]
    work = {name: value for name, value in seconds.items() if name != "all"}
    left = whole - sum(work.values())
    everything = imports + server + whole

    def row(name: str, value: float, of: float) -> list[str]:
        return [name, f"{value:.1f}", f"{value / of:.1%}"]

    return table(
        ["", "seconds", "share"],
        [
            *(row(name, value, whole) for name, value in work.items()),
            row("orchestration (all - stages)", left, whole),
            row("all", whole, whole),
            row("imports, before it", imports, everything),
            row("server's start, before it", server, everything),
            row("orchestration and server's start", left + server, everything),
            row("imports, server's start and all", everything, everything),
        ],
    )


def before_the_flow() -> tuple[float, float]:
    """Seconds that `sluice equal` takes to import the flow, and to start a temporary server; in a fresh process."""
    context = get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=_start_prefect, args=(sender,))
    child.start()
    sender.close()
    found: tuple[float, float] = receiver.recv()
    child.join()
    return found


def _start_prefect(sender: Any) -> None:
    from flows.__main__ import _prefect_environment

    began = time.perf_counter()
    _prefect_environment(verbose=False)
    import flows.equal  # noqa: F401
    from tasks.run.server import own_server

    imported = time.perf_counter()
    with own_server():
        sender.send((imported - began, time.perf_counter() - imported))


def speedup(run: Path) -> str:
    """Encoding and extraction of a run's corpus on one Dask worker and on two, start-up of workers left out."""
    timed: dict[tuple[str, int], list[float]] = {}
    for count in (1, 2):
        with workers(count, ""):
            mapper = current_mapper()
            default_client().run(_start, run)  # on every worker: imports are not the work
            for name, work in (("encoding", _encode), ("extraction", _extract)):
                work(run, mapper)
                for _ in range(REPEATS):
                    began = time.perf_counter()
                    work(run, mapper)
                    timed.setdefault((name, count), []).append(time.perf_counter() - began)
    rows = []
    for name in ("encoding", "extraction"):
        one, two = timed[name, 1], timed[name, 2]
        rows.append([name, _spread(one), _spread(two), f"{mean(one) / mean(two):.2f}"])
    return table([f"{REPEATS} repeats", "1 worker, s", "2 workers, s", "ratio"], rows)


def _start(run: Path) -> None:
    encode_texts(EncoderSpec(str(run / "stages/encoder")), ["a text"])
    make_extractor("rules")


def _encode(run: Path, mapper: Mapper) -> None:
    with TemporaryDirectory() as folder:
        spec = EncoderSpec(str(run / "stages/encoder"))
        encode_table(spec, run / "stages/corpus.parquet", Path(folder) / "vectors.npy", mapper)


def _extract(run: Path, mapper: Mapper) -> None:
    rows = iterate_rows(run / "stages/corpus.parquet", ["id", "text"])
    with TemporaryDirectory() as folder:
        store = str(Path(folder) / "extractions.sqlite")  # a new one: nothing is remembered
        for _ in extract_documents(((row["id"], row["text"]) for row in rows), "rules", store, mapper):
            pass


def memory() -> str:
    """Peak memory of whole runs that train nothing and compare with nothing, by the number of documents."""
    rows = []
    for size in SIZES:
        with TemporaryDirectory() as folder:
            at = Path(folder)
            cell = Cell("mixed-17980", "gsm8k")
            write_inputs(at, [cell])
            given = {
                "corpus": MIXED,
                "corpus-share": min(1.0, size / max(SIZES)),
                "target": at / "inputs/gsm8k-reference.jsonl",
                "test": at / "inputs/gsm8k-test.jsonl",
                "train": "never",
                "runs-dir": at,
                "run": "memory",
            }
            flags = [word for name, value in given.items() for word in (f"--{name}", str(value))]
            peaks = peak_memory([sys.executable, "-m", "flows", "equal", *flags, "--compare"])
            documents = json.loads((at / "equal/memory/summary.json").read_text(encoding="utf-8"))[
                "documents"
            ]
        rows.append(
            [f"{documents:,}", *(f"{peaks[name]:,.0f}" for name in ("all", "flow", "worker", "server"))]
        )
    return table(
        [
            "documents",
            "all processes, MiB",
            "the flow's, MiB",
            "largest Dask worker, MiB",
            "Prefect server, MiB",
        ],
        rows,
    )


def peak_memory(command: Sequence[str]) -> dict[str, float]:
    """Largest resident sets (MiB) of a command and its children, sampled every 0.1 s: their sum, and by what they are.

    Pages that processes share count once for each, so the sum is an upper bound. A peak between two samples is missed.

    Raises:
        RuntimeError: the command failed.
    """
    import psutil

    peaks = dict.fromkeys(("all", "flow", "worker", "server"), 0.0)
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    own = psutil.Process(process.pid)
    while process.poll() is None:
        sizes = {"flow": [0.0], "worker": [0.0], "server": [0.0], "other": [0.0]}
        try:
            for one in (own, *own.children(recursive=True)):
                sizes["flow" if one == own else _role(one.cmdline())].append(one.memory_info().rss / 2**20)
        except psutil.NoSuchProcess:
            continue  # one ended while it was looked at
        found = {
            **{name: max(values) for name, values in sizes.items()},
            "all": sum(map(sum, sizes.values())),
        }
        peaks = {name: max(peak, found[name]) for name, peak in peaks.items()}
        time.sleep(SAMPLE_SECONDS)
    if process.returncode:
        raise RuntimeError(f"exit code {process.returncode}: {' '.join(command)}")
    return peaks


def _role(command: Sequence[str]) -> str:
    line = " ".join(command)
    if "prefect.server" in line:
        return "server"
    return "worker" if "multiprocessing.spawn" in line else "other"


def _spread(values: Sequence[float]) -> str:
    return f"{mean(values):.2f} ± {stdev(values):.2f}"


if __name__ == "__main__":
    sys.exit(main())
