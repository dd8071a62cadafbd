"""Students at rest: looked at, loaded and saved. Weights are safetensors; no code comes with a model."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from pathlib import Path
from typing import Any

from tasks.records import BadInput
from tasks.run import hub
from tasks.run.seeds import integer
from tasks.storage.tables import atomic_folder

ADAPTER = "adapter_config.json"


def check_student(
    name_or_path: str | Path,
    *,
    lora: bool | None = None,
    flag: str = "--student",
    sequence_tokens: int = 0,
) -> None:
    """What can be said about a student before a run starts, without loading it.

    A hub name that is not in the local cache costs one request to the hub.

    Args:
        lora: whether adapters are trained; None where a flow cannot.
        flag: that names it, for messages.
        name_or_path: "tiny", the folder of a causal language model or of LoRA adapters, or a name on a model hub.
        sequence_tokens: that it is to read at once.

    Raises:
        BadInput: it is none of these, it is a folder of a model that has fewer positions, it is adapters and `lora` is not
            set, or LoRA is asked for and peft is not installed.
    """
    if lora and importlib.util.find_spec("peft") is None:
        raise BadInput("--lora: the package peft is not installed; install sluice[lora]")
    name, path = str(name_or_path), Path(name_or_path).expanduser()
    if name == "tiny":
        return
    if not (path / ADAPTER).is_file():
        _check_model(name, f"{flag} {name}")
        _check_positions(name, f"{flag} {name}", sequence_tokens)
        return
    if not lora:
        instead = (
            "merge them into their model, and give that" if lora is None else "give --lora to train them on"
        )
        raise BadInput(f"{flag} {name}: a folder of LoRA adapters; {instead}")
    _check_weights(path, f"{flag} {name}")
    base = _adapted(path, flag)
    _check_model(base, f"{flag} {name}: the model it adapts, {base}")
    _check_positions(base, f"{flag} {name}", sequence_tokens)


def _check_model(name: str, subject: str) -> None:
    """The folder of a model, or its name on a hub; `subject` is what a message begins with."""
    path = Path(name).expanduser()
    if path.exists():
        if not (path / "config.json").is_file():
            raise BadInput(f"{subject}: not a model: no config.json in it; give the folder of a saved model")
        _check_weights(path, subject)
    elif hub.is_name(name):
        hub.check_model(name, subject, "the folder of a saved model, or 'tiny'")
    else:
        raise BadInput(f"{subject}: no such folder, and not a model's name; give 'tiny' or one of them")


def _check_positions(name: str, subject: str, sequence_tokens: int) -> None:
    """Whether a model in a folder reads so many tokens at once; of one on a hub it is not known yet."""
    try:
        facts = json.loads((Path(name).expanduser() / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):  # on a hub, or broken, which loading it will tell
        return
    if not isinstance(facts, dict):
        return
    most = facts.get("max_position_embeddings") or facts.get("n_positions")  # the latter is GPT-2's
    if isinstance(most, int) and most < sequence_tokens:
        raise BadInput(
            f"{subject}: reads {most} tokens at most, and --sequence-tokens is {sequence_tokens}; give --sequence-tokens {most}"
        )


def _check_weights(path: Path, subject: str) -> None:
    if not any(path.glob("*.safetensors")):
        raise BadInput(f"{subject}: no *.safetensors in it; save the model's weights as safetensors")


def _adapted(adapters: Path, flag: str) -> str:
    """The folder or hub name of the model that a folder of adapters belongs to."""
    try:
        base = json.loads((adapters / ADAPTER).read_text(encoding="utf-8"))["base_model_name_or_path"]
    except (ValueError, KeyError, TypeError):
        base = None
    if not isinstance(base, str) or not base:
        raise BadInput(f"{flag} {adapters}: its {ADAPTER} names no base model; save the adapters anew")
    return base


def model_fingerprint(name_or_path: str) -> str:
    """Of the names, sizes and times of a model's files; "" for a name on a hub."""
    folder = Path(name_or_path).expanduser()
    if not folder.is_dir():
        return ""
    files = [(file, file.stat()) for file in sorted(folder.rglob("*")) if file.is_file()]
    marks = [(str(file.relative_to(folder)), status.st_size, status.st_mtime_ns) for file, status in files]
    return hashlib.sha256(repr(marks).encode()).hexdigest()


def source_of(name_or_path: str | Path) -> str:
    """What transformers loads a student from: its folder, with the home of a ~ written out, or its name on a hub."""
    path = Path(name_or_path).expanduser()
    return str(path) if path.exists() else str(name_or_path)


def load_student(
    name_or_path: str | Path, *, lora: bool = False, seed: int = 0, flag: str = "--student"
) -> tuple[Any, Any]:
    """A causal language model and its tokenizer, on the GPU if there is one.

    Args:
        name_or_path: folder of a model or of LoRA adapters, or a name on a model hub.
        lora: leave the model's weights alone and train adapters, those of the folder or new ones on all linear layers.
        seed: of new adapters.
        flag: that names it, for messages.

    Returns:
        The model, in evaluation mode, and the tokenizer.

    Raises:
        BadInput: it is not a model, cannot be fetched, or peft is missing.
    """
    check_student(name_or_path, lora=lora, flag=flag)
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    quiet()
    source = source_of(name_or_path)
    adapters = (Path(source) / ADAPTER).is_file()
    base = _adapted(Path(source), flag) if adapters else source
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    # Weights that train stay float32 (autocast computes in bfloat16); a frozen base on a GPU need not.
    half = device.type == "cuda" and lora
    try:
        tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=False)
        model, loaded = AutoModelForCausalLM.from_pretrained(
            base,
            trust_remote_code=False,
            use_safetensors=True,
            dtype=torch.bfloat16 if half else torch.float32,
            output_loading_info=True,
        )
        if adapters:
            from peft import PeftModel

            model = PeftModel.from_pretrained(model, source, is_trainable=True, use_safetensors=True)
    except Exception as error:  # the libraries raise whatever the broken file made them stumble over
        reason = str(error).strip().partition("\n")[0]
        raise BadInput(
            f"{flag} {name_or_path}: cannot be loaded as a causal language model: {reason}"
        ) from None
    model.eval()
    if missing := sorted(
        loaded["missing_keys"]
    ):  # transformers fills them with random numbers, others at each loading
        raise BadInput(
            f"{flag} {name_or_path}: {len(missing)} of its weights are not in its files ({missing[0]}, ...); save it anew, with its "
            "output layer"
        )
    # Added tokens are left out: no text writes those, and some models do not embed all of them.
    known, embedded = tokenizer.vocab_size, model.get_input_embeddings().weight.shape[0]
    if known > embedded:
        raise BadInput(
            f"{flag} {name_or_path}: its tokenizer has {known:,} tokens and it embeds {embedded:,}; they are of different models"
        )
    if _looks_ahead(model, flag, name_or_path):
        raise BadInput(
            f"{flag} {name_or_path}: no causal language model: a token sees those after it; give another model"
        )
    if tokenizer.eos_token_id is None:
        raise BadInput(f"{flag} {name_or_path}: its tokenizer has no end-of-text token; give another model")
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


def _looks_ahead(model: Any, flag: str, name: str | Path) -> bool:
    """Whether what is foretold at a token depends on the next one, as in BERT: transformers loads encoders as causal models too.

    A mask makes that gradient exactly 0, in every precision.

    Raises:
        BadInput: the gradient is not finite.
    """
    import torch

    with torch.enable_grad():
        tokens = torch.zeros(1, 2, dtype=torch.long, device=next(model.parameters()).device)
        embedded = model.get_input_embeddings()(tokens).detach().requires_grad_()
        first = model(inputs_embeds=embedded).logits[0, 0].sum()
        (gradient,) = torch.autograd.grad(first, embedded)
    if not bool(torch.isfinite(gradient).all()):
        raise BadInput(f"{flag} {name}: it computes no finite numbers; its weights may be damaged")
    return bool(gradient[0, 1].any())


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
