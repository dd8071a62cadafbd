"""What the machinery of a run costs: its stages, two workers against one, and memory against the size of the corpus.

    python -m tests.bench.stages RUN

RUN is the folder of a finished run of `sluice equal`; its corpus is encoded and extracted again. Run it alone on the
machine, or the figures are of the other work.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections.abc import Callable, Sequence
from multiprocessing import get_context
from pathlib import Path
from statistics import mean, stdev
from tempfile import TemporaryDirectory
from typing import Any

from distributed import default_client

from tasks.corpus.prepare import prepare_corpus
from tasks.corpus.read import Fields
from tasks.extract.batch import extract_documents
from tasks.extract.extractor import make_extractor
from tasks.run.parallel import Mapper, current_mapper, workers
from tasks.run.tables import iterate_rows
from tasks.select.encode import EncoderSpec, encode_table, encode_texts
from tasks.select.lsa import LSAEncoder
from tests.bench.cells import MIXED
from tests.bench.tables import table

REPEATS = 3
SIZES = (1_000, 17_980)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.stages", description=__doc__.split("\n")[0])
    parser.add_argument("run", type=Path)
    options = parser.parse_args(arguments)
    print(stages(json.loads((options.run / "summary.json").read_text())["seconds"]), flush=True)
    print("\n" + speedup(options.run), flush=True)
    if MIXED.exists():
        print("\n" + memory())


def stages(seconds: dict[str, float]) -> str:
    """Seconds by stage, and what is left of the run's time: Prefect, Dask and the display."""
    whole = seconds["all"]
    work = {name: value for name, value in seconds.items() if name != "all"}
    rows = [[name, f"{value:.1f}", f"{value / whole:.1%}"] for name, value in work.items()]
    left = whole - sum(work.values())
    rows += [["orchestration", f"{left:.1f}", f"{left / whole:.1%}"], ["all", f"{whole:.1f}", ""]]
    return table(["stage", "seconds", "share"], rows)


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
    """Peak memory of reading and encoding, in a process of its own for each size and part."""
    rows = []
    for size in SIZES:
        with TemporaryDirectory() as folder:
            found: list[Any] = [_in_process(work, folder, size) for work in (_import, _read, _fit)]
        rows.append([f"{found[1][0]:,}", *(f"{peak:,.0f}" for _, peak in found)])
    return table(["documents", "imports, MiB", "reading, MiB", "encoding, MiB"], rows)


def _in_process(work: Callable[[str, int], int], folder: str, size: int) -> tuple[int, float]:
    context = get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=_peak, args=(sender, work, folder, size))
    child.start()
    sender.close()
    found: tuple[int, float] = receiver.recv()
    child.join()
    return found


def _peak(sender: Any, work: Callable[[str, int], int], folder: str, size: int) -> None:
    sender.send((work(folder, size), peak_memory()))


def peak_memory() -> float:
    """Largest resident set of this process so far, MiB."""
    status = Path("/proc/self/status")
    if status.exists():  # Linux's ru_maxrss remembers the process that started this one
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _import(folder: str, size: int) -> int:
    """What the libraries take before there is a document."""
    import datasketch  # noqa: F401
    import sklearn.decomposition
    import sklearn.feature_extraction.text  # noqa: F401

    return 0


def _read(folder: str, size: int) -> int:
    at = Path(folder)
    share = min(1.0, size / max(SIZES))
    summary = prepare_corpus(
        [str(MIXED)], Fields(), [], at / "corpus.parquet", at / "rejected.parquet", corpus_share=share, seed=0
    )
    return summary.documents


def _fit(folder: str, size: int) -> int:
    at = Path(folder)
    texts = (row["text"] for row in iterate_rows(at / "corpus.parquet", ["text"]))
    LSAEncoder.fit(texts, 256, 0).save(at / "encoder")
    rows, _ = encode_table(EncoderSpec(str(at / "encoder")), at / "corpus.parquet", at / "vectors.npy")
    return rows


def _spread(values: Sequence[float]) -> str:
    return f"{mean(values):.2f} ± {stdev(values):.2f}"


if __name__ == "__main__":
    main()
