"""Students at rest: looked at, loaded and saved. Weights are safetensors; no code comes with a model."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tasks.records import BadInput
from tasks.run.seeds import integer

ADAPTER = "adapter_config.json"
_HUB_NAME = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?")


def check_student(name_or_path: str | Path, *, lora: bool = False) -> None:
    """What can be said about a student before a run starts, without loading it.

    Args:
        name_or_path: "tiny", the folder of a causal language model, or its name on a model hub.

    Raises:
        BadInput: it is none of these, or LoRA is asked for and peft is not installed.
    """
    if lora and importlib.util.find_spec("peft") is None:
        raise BadInput("--lora: the package peft is not installed; install sluice[lora]")
    path = Path(name_or_path).expanduser()
    if str(name_or_path) == "tiny" or (not path.exists() and _HUB_NAME.fullmatch(str(name_or_path))):
        return
    if not path.exists():
        raise BadInput(
            f"--student {name_or_path}: no such folder, and not a model's name; give 'tiny' or one of them"
        )
    if not any((path / name).is_file() for name in ("config.json", ADAPTER)):
        raise BadInput(
            f"--student {name_or_path}: not a model: no config.json in it; give the folder of a saved model"
        )
    if not any(path.glob("*.safetensors")):
        raise BadInput(
            f"--student {name_or_path}: no *.safetensors in it; save the model's weights as safetensors"
        )


def load_student(name_or_path: str | Path, *, lora: bool = False, seed: int = 0) -> tuple[Any, Any]:
    """A causal language model and its tokenizer, on the GPU if there is one.

    Args:
        name_or_path: folder of a model or of LoRA adapters, or a name on a model hub.
        lora: leave the model's weights alone and train adapters on all its linear layers; a folder of adapters is
            loaded so that its adapters train.
        seed: of new adapters.

    Returns:
        The model, in evaluation mode, and the tokenizer.

    Raises:
        BadInput: it is not a model, cannot be fetched, or peft is missing.
    """
    check_student(name_or_path, lora=lora)
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    quiet()
    path = Path(name_or_path).expanduser()
    source = str(path) if path.exists() else str(name_or_path)
    base, adapters = source, (path / ADAPTER).is_file()
    if adapters:
        base = json.loads((path / ADAPTER).read_text(encoding="utf-8"))["base_model_name_or_path"]
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    # Weights that train stay float32 (autocast computes in bfloat16); a frozen base on a GPU need not.
    half = device.type == "cuda" and (lora or adapters)
    try:
        tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=False)
        model = AutoModelForCausalLM.from_pretrained(
            base,
            trust_remote_code=False,
            use_safetensors=True,
            dtype=torch.bfloat16 if half else torch.float32,
        )
        if adapters:
            from peft import PeftModel

            model = PeftModel.from_pretrained(model, source, is_trainable=lora, use_safetensors=True)
    except Exception as error:  # the libraries raise whatever the broken file made them stumble over
        reason = str(error).strip().partition("\n")[0]
        raise BadInput(
            f"--student {name_or_path}: cannot be loaded as a causal language model: {reason}"
        ) from None
    if tokenizer.eos_token_id is None:
        raise BadInput(
            f"--student {name_or_path}: its tokenizer has no end-of-text token; give another model"
        )
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    if lora and not adapters:
        from peft import LoraConfig, get_peft_model

        with torch.random.fork_rng():
            torch.manual_seed(integer(seed, "lora"))
            model = get_peft_model(
                model, LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM")
            )
    return model.to(device).eval(), tokenizer


def save_student(model: Any, tokenizer: Any, path: Path) -> None:
    """Save a model (or, of a model with LoRA, its adapters) and its tokenizer; the folder is whole or absent."""
    quiet()
    with atomic_folder(path) as temporary:
        model.save_pretrained(temporary)
        tokenizer.save_pretrained(temporary)
        (temporary / "README.md").unlink(missing_ok=True)  # peft's model card, a form left blank


def quiet() -> None:
    """Turn off transformers' progress bars for files, which would tear a run's own display."""
    from transformers.utils import logging

    logging.disable_progress_bar()


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """A temporary folder beside `path` that takes its place when the block ends, and goes when it raises.

    A folder that stood at `path` is moved aside first and removed last, so no moment leaves a mixture of both.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    old = path.with_name(f".{path.name}.{os.getpid()}.old")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    try:
        yield temporary
        if path.exists():
            os.replace(path, old)
        os.replace(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)
