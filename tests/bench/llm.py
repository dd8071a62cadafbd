"""What it costs to ask: throughput beside the ideal, the same answers with faults, and nothing paid twice after kill -9.

    python -m tests.bench.llm [throughput|faults|kills]

A server that only waits stands in for a model (tests/llm/fake_server.py, a process of its own). What the client can reach does
not depend on what else the machine does: the CPU time of both for a request is printed beside the requests of a second.
"""

from __future__ import annotations

import asyncio
import json
import random
import resource
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import psutil

from tasks.llm.ask import Asker, Failure, Limits, each
from tasks.llm.endpoint import Endpoint, Server
from tasks.llm.prices import Prices
from tasks.llm.request import Request
from tasks.llm.store import RequestStore
from tests.bench.markdown import table

ROOT = Path(__file__).resolve().parents[2]
REQUESTS, LATENCY, CONCURRENCY = 2_000, 0.05, 32
FAULTS = {"errors": 0.1, "throttles": 0.05, "bodies": 0.05, "hangs": 0.02}
REPEATS = 7  # of the throughput
KILLS, MOMENT = 20, 1.0  # times, and seconds within which each comes
PRICES = Prices(input=0.5, output=1.5)
TEXT = " ".join(f"word{n}" for n in range(200))  # about as long as a document's part


@dataclass(frozen=True)
class Fake:
    """A fake server in a process of its own."""

    process: psutil.Process
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def counts(self) -> dict[str, Any]:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/counts", timeout=30) as answer:
            return dict(json.load(answer))

    def cpu(self) -> float:
        times = self.process.cpu_times()
        return times.user + times.system


@contextmanager
def fake(**settings: float) -> Iterator[Fake]:
    given = [word for name, value in settings.items() for word in (f"--{name}", str(value))]
    command = [sys.executable, "-m", "tests.llm.fake_server", *given]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        yield Fake(psutil.Process(process.pid), int(process.stdout.readline()))
    finally:
        process.kill()
        process.wait()


def requests(count: int = REQUESTS) -> list[Request]:
    return [Request("m", (("user", f"{n} {TEXT}"),), {"max_tokens": 100}) for n in range(count)]


class NoHttp:
    """An endpoint that waits as long as the fake server, to see what asking costs without HTTP."""

    name, at_once = "no HTTP", CONCURRENCY

    async def complete(self, request: Request) -> str:
        await asyncio.sleep(LATENCY)
        return '{"choices": [{"message": {"content": "plant"}}], "usage": {"prompt_tokens": 9, "completion_tokens": 2}}'

    async def close(self) -> None:
        pass


async def ask_all(
    url: str,
    path: Path,
    limits: Limits,
    asked: Sequence[Request] | None = None,
    endpoint: Endpoint | None = None,
) -> dict[str, str]:
    """Answers by key; a request that was given up is an error.

    Args:
        asked: by default all.
    """
    found: dict[str, str] = {}
    server = endpoint or Server(url, timeout=limits.timeout, connections=limits.concurrency)
    with RequestStore(path) as store:
        asker = Asker(server, store, payer="bench", stage="s", prices=PRICES, limits=limits)

        async def one(request: Request) -> None:
            reply = await asker.ask(request)
            if isinstance(reply, Failure):
                raise RuntimeError(reply.reason)
            found[request.key] = reply.text

        await each(asker, requests() if asked is None else asked, one)
    await server.close()
    return found


def cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def throughput(folder: Path) -> dict[str, str]:
    """Requests of a second beside the ideal, and what bounds them."""
    limits = Limits(concurrency=CONCURRENCY, timeout=30.0)
    ideal, asked = CONCURRENCY / LATENCY, requests()
    with fake(latency=LATENCY) as server:
        # Imports, connections and the server's threads are not what is measured.
        asyncio.run(ask_all(server.url, folder / "warm", limits, asked[: 2 * CONCURRENCY]))
        ours, theirs, took = cpu(), server.cpu(), []
        for number in range(REPEATS):
            began = time.perf_counter()
            answers = asyncio.run(ask_all(server.url, folder / f"s{number}", limits, asked))
            took.append(time.perf_counter() - began)
        ours, theirs = (cpu() - ours) / REPEATS, (server.cpu() - theirs) / REPEATS
        began_again = time.perf_counter()
        assert asyncio.run(ask_all(server.url, folder / "s0", limits, asked)) == answers
        again = time.perf_counter() - began_again
    without, began_without = cpu(), time.perf_counter()
    asyncio.run(ask_all("", folder / "without", limits, asked, NoHttp()))
    without, seconds_without = cpu() - without, time.perf_counter() - began_without

    def row(what: str, how: str, rate: float) -> list[str]:
        return [what, how, f"{rate:.0f}", f"{min(1.0, rate / ideal):.0%}"]

    rows = [
        row("ideal", f"{CONCURRENCY} at once, {LATENCY * 1000:.0f} ms each", ideal),
        row("achieved", f"{REQUESTS:,} requests, median of {REPEATS}", REQUESTS / median(took)),
        row("", "slowest", REQUESTS / max(took)),
        row("", "fastest", REQUESTS / min(took)),
        row("", "the same without HTTP", REQUESTS / seconds_without),
        row("bound by CPU, one core", f"client, {ours / REQUESTS * 1000:.2f} ms", REQUESTS / ours),
        row("", f"client without HTTP, {without / REQUESTS * 1000:.2f} ms", REQUESTS / without),
        row("", f"fake server, {theirs / REQUESTS * 1000:.2f} ms", REQUESTS / theirs),
        ["known", "all again, from the store", f"{REQUESTS / again:.0f}", "-"],
    ]
    print(table(["throughput", "how", "requests/s", "of the ideal"], rows))
    print(f"\nLoad of the machine: {psutil.getloadavg()[0]:.1f} on {psutil.cpu_count()} cores.\n", flush=True)
    return answers


def faults(folder: Path, wanted: dict[str, str]) -> bool:
    """The same requests of a server with faults: are the answers the same?"""
    limits = Limits(concurrency=CONCURRENCY, timeout=1.0, pause=0.05)
    began = time.perf_counter()
    with fake(latency=LATENCY, **FAULTS) as server:
        answers = asyncio.run(ask_all(server.url, folder / "faults", limits))
        counts = server.counts()
    seconds = time.perf_counter() - began
    with RequestStore(folder / "faults") as store:
        spending, lost = store.spending("bench"), store.lost("bench")
    seen = sum(map(len, counts["asked"].values()))
    rows = [
        [
            "answers",
            "the same as without faults",
            f"{sum(answers[key] == text for key, text in wanted.items()):,}",
        ],
        ["", "stored / paid", f"{spending.requests:,}"],
        ["asked", "in all", f"{seen:,}"],
        ["", "again (retries, as the account has them)", f"{spending.retries:,}"],
        *(["faults met", name, f"{counts['faults'].get(name, 0):,}"] for name in FAULTS),
        ["money", "for replies, $", f"{spending.cost:.4f}"],
        ["", "at most, for answers that were late or unreadable, $", f"{lost:.4f}"],
        ["seconds", "", f"{seconds:.1f}"],
    ]
    print(table(["faults", "what", ""], rows) + "\n", flush=True)
    return answers == wanted and spending.retries == seen - REQUESTS


def kills(folder: Path, wanted: dict[str, str]) -> bool:
    """Kill a run at random moments and resume it: is anything sent again whose reply was stored?"""
    draw, path = random.Random(0), folder / "kills"
    stored: set[str] = set()
    began = time.perf_counter()
    with fake(latency=LATENCY) as server:
        for _ in range(KILLS):
            process = asking(server.url, path)
            assert process.stdout
            process.stdout.readline()  # it begins to ask
            time.sleep(draw.uniform(0.0, MOMENT))
            process.send_signal(signal.SIGKILL)
            process.wait()
            with RequestStore(path) as store:
                known = set(store.calls())
            assert stored <= known
            stored = known
        last = asking(server.url, path)
        assert last.stdout
        last.stdout.readline()
        found = json.loads(last.stdout.readline())
        last.wait()
        with RequestStore(path) as store:
            calls, lost = store.calls(), store.lost("bench")
            paid_at = dict(store.connection.execute("SELECT key, min(created) FROM calls GROUP BY key"))
        asked = server.counts()["asked"]
    again = sum(any(at > paid_at[key] for at in times) for key, times in asked.items())
    doubled = sum(len(times) - 1 for times in asked.values())
    rows = [
        ["kill -9", "moments", f"{KILLS}"],
        ["", "replies stored at the last of them", f"{len(stored):,}"],
        ["sent again", "though the reply was stored", f"{again:,}"],
        ["", "because they were under way at a kill", f"{doubled:,}"],
        ["paid twice", "by the account", f"{sum(count > 1 for count in calls.values()):,}"],
        ["money", "at most, for what was under way, $", f"{lost:.4f}"],
        [
            "answers",
            "the same as without kills",
            f"{sum(found.get(key) == text for key, text in wanted.items()):,}",
        ],
        ["seconds", "", f"{time.perf_counter() - began:.1f}"],
    ]
    print(table(["kills", "what", ""], rows), flush=True)
    return again == 0 and found == wanted


def asking(url: str, path: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.bench.llm", "ask", url, str(path)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def main() -> int:
    what = sys.argv[1] if len(sys.argv) > 1 else ""
    if what == "ask":  # the run that is killed, or measured beside others'; with a time-out in seconds
        timeout = float(sys.argv[4]) if len(sys.argv) > 4 else 30.0
        limits = Limits(concurrency=CONCURRENCY, timeout=timeout, pause=0.05)
        import openai  # noqa: F401

        print("ready", flush=True)
        print(json.dumps(asyncio.run(ask_all(sys.argv[2], Path(sys.argv[3]), limits))), flush=True)
        return 0
    with TemporaryDirectory() as folder:
        answers = throughput(Path(folder))
        sound = [part(Path(folder), answers) for part in (faults, kills) if what in ("", part.__name__)]
    return 0 if all(sound) else 1


if __name__ == "__main__":
    sys.exit(main())
