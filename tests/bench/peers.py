"""Asking a model beside peers on the same requests: time, what is asked again after kill -9, and what faults lose.

    python -m tests.bench.peers --peer-python PEERS/bin/python [speed|kills|faults]

The peers are bespokelabs-curator and distilabel. They run in an environment of their own, which these commands make:

    python3.11 -m venv PEERS
    PEERS/bin/pip install bespokelabs-curator==0.1.31 litellm==1.83.7 'distilabel[openai]==1.5.3'

litellm is what this curator asks for, of April 2026: versions of the month before it were malicious. All ask
tests/llm/fake_server.py the requests of tests/bench/llm.py, 32 at once, each measurement in a process, a folder and with a
server of its own.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil

from tests.bench.llm import CONCURRENCY, FAULTS, LATENCY, MOMENT, REQUESTS, ROOT, Fake, fake, requests
from tests.bench.markdown import table
from tests.llm.fake_server import judge

ROUNDS, KILLS = 3, 5
TIMEOUT, SHORT = 30, 1  # seconds; the second where requests hang, the least that curator takes
PATIENCE = 90.0  # seconds from a start to an answer, imports included, after which it is taken to stand still
SCRIPTS = {"bespokelabs-curator": "peer_curator.py", "distilabel": "peer_distilabel.py"}
QUIET = {
    "TELEMETRY_ENABLED": "false",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_OFFLINE": "1",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # or it fetches prices as it is imported
    "DISTILABEL_LOG_LEVEL": "ERROR",  # its log goes where its answers go
}


@dataclass(frozen=True)
class Client:
    """Who asks: a command that takes URL, folder and time-out, and prints "ready", then the answers in a line of JSON."""

    name: str
    command: Sequence[str]
    more: Sequence[str] = ()  # what it takes besides, at the end

    def start(self, url: str, folder: Path, timeout: int = TIMEOUT) -> subprocess.Popen[str]:
        folder.mkdir(parents=True, exist_ok=True)
        command = [*self.command, url, str(folder / "cache"), str(timeout), *self.more]
        # Some keep files in the home folder. What they say goes to a file that is read when something is amiss.
        with (folder / "log").open("a") as log:
            return subprocess.Popen(
                command,
                cwd=ROOT,
                env=os.environ | QUIET | {"HOME": str(folder)},
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
            )

    def ask(self, url: str, folder: Path, timeout: int = TIMEOUT) -> Outcome:
        began = time.perf_counter()
        process = self.start(url, folder, timeout)
        assert process.stdout
        next(line for line in process.stdout if line == "ready\n")
        ready, used = time.perf_counter(), cpu(process)
        answers = answers_of(process)
        done, used_in_all = time.perf_counter(), cpu(process)
        process.wait()
        return Outcome(done - began, done - ready, used_in_all, used_in_all - used, answers)


@dataclass(frozen=True)
class Outcome:
    """What a run took and gave.

    Args:
        whole, asking: seconds from the process's start, and from when all is imported, until the answers are there.
        cpu, cpu_asking: CPU seconds of the process and its children in that time.
        answers: by prompt, or by the request's key.
    """

    whole: float
    asking: float
    cpu: float
    cpu_asking: float
    answers: dict[str, Any]


def right(answers: dict[str, Any]) -> int:
    """Requests that ended with the server's answer."""
    return sum(
        judge({"messages": [{"content": prompt}]}) in (answers.get(prompt), answers.get(key))
        for key, prompt in ((one.key, one.messages[0][1]) for one in requests())
    )


def answers_of(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdout
    return dict(json.loads(next(line for line in process.stdout if line.startswith("{"))))


def cpu(process: subprocess.Popen[str]) -> float:
    times = psutil.Process(process.pid).cpu_times()
    return float(times.user + times.system + times.children_user + times.children_system)


def clients(python: Path, folder: Path) -> list[Client]:
    """Sluice first. The peers get the requests as a file of prompts: they cannot import ours."""
    asked = requests()
    prompts = folder / "prompts.json"
    prompts.write_text(json.dumps([one.messages[0][1] for one in asked]))
    more = [str(prompts), str(CONCURRENCY), str(asked[0].parameters["max_tokens"])]
    found = [Client("Sluice", [sys.executable, "-m", "tests.bench.llm", "ask"])]
    for name, script in SCRIPTS.items():
        asking = [str(python), "-c", f"import importlib.metadata as m; print(m.version('{name}'))"]
        version = subprocess.run(asking, check=True, capture_output=True, text=True).stdout.strip()
        found.append(Client(f"{name} {version}", [str(python), f"tests/bench/{script}"], more))
    return found


def head(what: str, all_clients: Sequence[Client]) -> list[str]:
    return [what, "", *(client.name for client in all_clients)]


def load() -> None:
    print(f"\nLoad of the machine: {psutil.getloadavg()[0]:.1f} on {psutil.cpu_count()} cores.\n", flush=True)


def speed(folder: Path, all_clients: Sequence[Client]) -> bool:
    """Rounds in which each asks once, another first in each; seconds are compared within a round."""
    rounds: list[dict[str, Outcome]] = []
    for number in range(ROUNDS):
        start = number % len(all_clients)
        found = {}
        for client in [*all_clients[start:], *all_clients[:start]]:
            with fake(latency=LATENCY) as server:
                found[client.name] = client.ask(server.url, folder / f"{number} {client.name}")
        rounds.append(found)

    def row(what: str, how: str, name: str, ratio: bool) -> list[str]:
        cells = []
        for client in all_clients:
            figures = [
                getattr(one[client.name], name) / (getattr(one["Sluice"], name) if ratio else 1.0)
                for one in rounds
            ]
            mean, low, high = statistics.mean(figures), min(figures), max(figures)
            cells.append(f"{mean:.2f} ({low:.2f} to {high:.2f})")
        return [what, how, *cells]

    rows = [
        row("seconds, of Sluice's", "asking", "asking", True),
        row("", "with start and imports", "whole", True),
        row("CPU seconds", "asking", "cpu_asking", False),
        row("", "with start and imports", "cpu", False),
        [
            "answers",
            "right, in all rounds the least",
            *(f"{min(right(one[client.name].answers) for one in rounds):,}" for client in all_clients),
        ],
    ]
    print(table(head(f"{ROUNDS} rounds of {REQUESTS:,}", all_clients), rows), flush=True)
    load()
    return all(right(one["Sluice"].answers) == REQUESTS for one in rounds)


def answered(server: Fake) -> int:
    return sum(map(len, server.counts()["answered"].values()))


def goes_on(process: subprocess.Popen[str], server: Fake, before: int) -> bool:
    """Wait until more is answered than before, or the process ends well. Returns whether that came within PATIENCE."""
    began = time.monotonic()
    while answered(server) == before and process.poll() is None:
        if time.monotonic() - began > PATIENCE:
            return False
        time.sleep(0.05)
    return process.poll() in (None, 0)


def end(process: subprocess.Popen[str]) -> None:
    """With all that it started."""
    with contextlib.suppress(ProcessLookupError):  # it ended by itself
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    time.sleep(10 * LATENCY)  # what was under way is answered, though nobody listens


def last_line(log: Path) -> str:
    return log.read_text().strip().splitlines()[-1][:80]


def killed_and_resumed(folder: Path, client: Client) -> list[str]:
    draw = random.Random(0)  # the same moments for each
    resumed, found = -1, ""
    with fake(latency=LATENCY) as server:
        for kill in range(KILLS + 1):
            known = answered(server)
            process = client.start(server.url, folder)
            if not goes_on(process, server, known):
                found = (
                    "it stood still" if process.poll() is None else "it failed: " + last_line(folder / "log")
                )
                end(process)
                break
            resumed = kill
            if kill < KILLS:
                time.sleep(draw.uniform(0.0, MOMENT))
                end(process)
            else:
                found = f"{right(answers_of(process)):,}"
                process.wait()
        counts = server.counts()
    late = [sum(at > min(times) for at in counts["asked"][key]) for key, times in counts["answered"].items()]
    figures = (resumed, known, sum(map(bool, late)), sum(late), sum(map(len, counts["asked"].values())))
    return [*(f"{figure:,}" for figure in figures), found]


def kills(folder: Path, all_clients: Sequence[Client]) -> bool:
    """Kill each at the same moments after its first answer, start it again with its cache, and let the last end."""
    columns = [killed_and_resumed(folder / f"kills {client.name}", client) for client in all_clients]
    names = [
        ("went on", f"after so many of {KILLS} kills"),
        ("answered", "until the last kill, by the server's count"),
        ("answered, then asked again", "requests"),
        ("", "times"),
        ("asked", "in all"),
        ("answers", "right"),
    ]
    rows = [[*name, *cells] for name, cells in zip(names, zip(*columns, strict=True), strict=True)]
    print(table(head("kill -9", all_clients), rows))
    print(f"\nUnder way at the kills: at most {CONCURRENCY} each time.", end="")
    load()
    return columns[0][-1] == f"{REQUESTS:,}"


def faults(folder: Path, all_clients: Sequence[Client]) -> bool:
    """Each asks once while the server fails often."""
    outcomes, seen = [], []
    for client in all_clients:
        with fake(latency=LATENCY, **FAULTS) as server:
            outcomes.append(client.ask(server.url, folder / f"faults {client.name}", SHORT))
            seen.append(server.counts())
    rows = [
        ["answers", "right", *(f"{right(one.answers):,}" for one in outcomes)],
        ["asked", "in all", *(f"{sum(map(len, one['asked'].values())):,}" for one in seen)],
        *(["faults met", name, *(f"{one['faults'].get(name, 0):,}" for one in seen)] for name in FAULTS),
        ["seconds, of Sluice's", "asking", *(f"{one.asking / outcomes[0].asking:.2f}" for one in outcomes)],
    ]
    print(table(head("faults", all_clients), rows), flush=True)
    load()
    return right(outcomes[0].answers) == REQUESTS


def main() -> int:
    parts = {part.__name__: part for part in (speed, kills, faults)}
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--peer-python", type=Path, required=True)
    parser.add_argument("part", nargs="?", choices=list(parts))
    options = parser.parse_args()
    with TemporaryDirectory() as folder:
        found = clients(options.peer_python, Path(folder))
        wanted = [options.part] if options.part else list(parts)
        sound = [parts[name](Path(folder), found) for name in wanted]
    return 0 if all(sound) else 1


if __name__ == "__main__":
    sys.exit(main())
