"""Kill a run at many moments, resume it each time, and compare with a run that nobody interrupted.

    python -m tests.bench.kill --moments 10

Shows that no document is extracted twice and that the tables are the same byte for byte.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from example_corpus import write_corpus  # noqa: E402

TABLES = ("documents.parquet", "pairs.parquet", "arms.parquet", "rejected.parquet")
NAME = "run"
SETTINGS = {
    "budget": 0.3,
    "rounds": 3,
    "documents-per-pull": 4,
    "workers": 2,
    "compare": "nearest-cluster",
    "student-vocabulary": 400,
    "student-width": 32,
    "student-layers": 1,
    "pretrain-tokens": 2000,
}
PATIENCE = 300.0  # seconds that one part of a run may take

Ready = Callable[[Path, float], bool]


@dataclass(frozen=True)
class Moment:
    """When to kill: `ready(folder of runs, seconds since the start)`."""

    name: str
    ready: Ready


def file(name: str) -> Moment:
    """As soon as a file of the run appears."""
    return Moment(name, lambda runs, _: (runs / "equal" / NAME / name).exists())


def extracted(documents: int) -> Moment:
    """In the middle of an extraction: as soon as so many documents are in the store."""
    return Moment(f"{documents} documents extracted", lambda runs, _: sum(calls(runs).values()) >= documents)


MOMENTS = (
    extracted(6),
    file("rounds/02/pulls.json"),
    file("settings.yaml"),
    extracted(25),
    file("stages/corpus.parquet"),
    file("rounds/01/pairs.parquet"),
    file("students/taught"),
    file("rounds/02/reductions.npy"),
    file("students/round-02"),
    file("compare/nearest-cluster/rounds/01/pulls.json"),
    file("pairs.parquet"),
    file("export/messages.jsonl"),
    file("vectors.npy"),
    file("students/base"),
    file("rounds/00/reads.parquet"),
    file("rounds/03/extracted.parquet"),
    file("documents.parquet"),
)


@dataclass(frozen=True)
class Outcome:
    """What became of a run that was killed.

    Args:
        killed: whether the kill came before the run was done.
        same: tables that are the same as those of the reference run.
        twice: documents extracted more than once.
        seconds: of the resumed part.
    """

    moment: str
    killed: bool
    same: tuple[str, ...]
    twice: int
    seconds: float

    @property
    def sound(self) -> bool:
        return self.same == TABLES and self.twice == 0


def calls(runs: Path) -> dict[str, int]:
    """How often each document was extracted, from the store that the runs share."""
    path = runs / "extractions.sqlite"
    if not path.exists():
        return {}
    try:
        store = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5)
        try:
            return dict(store.execute("SELECT key, count(*) FROM calls GROUP BY key"))
        finally:
            store.close()
    except sqlite3.OperationalError:
        return {}  # it is being made


def hashes(runs: Path) -> dict[str, str]:
    run = runs / "equal" / NAME
    return {name: hashlib.sha256((run / name).read_bytes()).hexdigest() for name in TABLES}


def start(arguments: Sequence[str], log: Path) -> subprocess.Popen[bytes]:
    """`sluice equal` in a process group of its own."""
    with log.open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "flows", "equal", *arguments],
            cwd=ROOT,
            stdout=output,
            stderr=output,
            start_new_session=True,
            # A shell that runs this in the background has Ctrl-C ignored, which a child would inherit.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )


def finish(process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait for a run that has to end well."""
    try:
        code = process.wait(PATIENCE)
    finally:
        stop(process)
    if code != 0:
        raise RuntimeError(f"exit code {code}:\n{log.read_text()}")


def stop(process: subprocess.Popen[bytes]) -> None:
    """kill -9 for the whole group, the Dask workers too."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait_for(process: subprocess.Popen[bytes], runs: Path, moment: Moment, log: Path) -> bool:
    """Wait for a moment of a run. Returns whether the run still works."""
    began = time.monotonic()
    while process.poll() is None and not moment.ready(runs, time.monotonic() - began):
        if time.monotonic() - began > PATIENCE:
            raise RuntimeError(f"'{moment.name}' did not come:\n{log.read_text()}")
        time.sleep(0.002)
    return process.poll() is None


def kill_and_resume(corpus: Path, target: Path, runs: Path, moment: Moment, want: dict[str, str]) -> Outcome:
    """Kill a run at a moment, resume it, and compare its tables with those wanted."""
    runs.mkdir(parents=True)
    log = runs / "output.txt"
    process = start(first_arguments(corpus, target, runs), log)
    try:
        killed = wait_for(process, runs, moment, log)
    finally:
        stop(process)
    began = time.monotonic()
    finish(start(resume_arguments(runs), log), log)
    found = hashes(runs)
    return Outcome(
        moment.name,
        killed,
        tuple(name for name in TABLES if found[name] == want[name]),
        sum(count > 1 for count in calls(runs).values()),
        time.monotonic() - began,
    )


def first_arguments(corpus: Path, target: Path, runs: Path) -> list[str]:
    given = {"corpus": corpus, "target": target, "runs-dir": runs, "run": NAME, **SETTINGS}
    return [word for name, value in given.items() for word in (f"--{name}", str(value))]


def resume_arguments(runs: Path) -> list[str]:
    return ["--resume", NAME, "--runs-dir", str(runs)]


def spread(count: int, seconds: float) -> list[Moment]:
    """`count` moments: those of files and documents first, then moments by the clock."""
    by_clock = max(0, count - len(MOMENTS))
    return [
        *MOMENTS[:count],
        *(after(seconds * (number + 1) / (by_clock + 1)) for number in range(by_clock)),
    ]


def after(seconds: float) -> Moment:
    return Moment(f"after {seconds:.1f} s", lambda _, since: since >= seconds)


def main() -> int:
    from prefect.settings import PREFECT_API_URL
    from prefect.testing.utilities import prefect_test_harness

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--moments", type=int, default=10, help="how many kills [10]")
    wanted = parser.parse_args().moments
    with tempfile.TemporaryDirectory() as folder, prefect_test_harness(server_startup_timeout=120):
        os.environ["PREFECT_API_URL"] = str(PREFECT_API_URL.value())
        work = Path(folder)
        corpus, target = write_corpus(work)
        reference = work / "reference"
        reference.mkdir()
        began = time.monotonic()
        finish(start(first_arguments(corpus, target, reference), reference / "log"), reference / "log")
        seconds = time.monotonic() - began
        want = hashes(reference)
        print(f"uninterrupted: {seconds:.0f} s, {len(calls(reference))} documents extracted", flush=True)
        print(
            f"{'killed at':48} {'killed':6} {'tables the same':15} {'extracted twice':15} {'resumed, s':>10}"
        )
        outcomes = []
        for number, moment in enumerate(spread(wanted, seconds)):
            outcome = kill_and_resume(corpus, target, work / f"runs-{number}", moment, want)
            outcomes.append(outcome)
            print(
                f"{outcome.moment:48} {'yes' if outcome.killed else 'no':6} "
                f"{f'{len(outcome.same)} of {len(TABLES)}':15} {outcome.twice:<15} {outcome.seconds:10.0f}",
                flush=True,
            )
    return 0 if all(outcome.sound and outcome.killed for outcome in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
