"""The networks: a small one for vectors, any transformers encoder for texts."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import torch
from torch import nn

from tasks.classify.inputs import WEAK, Inputs
from tasks.records import BadInput
from tasks.run.seeds import integer
from tasks.train.checkpoint import quiet, source_of

WIDTH = 128
DROPOUT = 0.2


def small_network(features: int, classes: int, seed: int, width: int = WIDTH) -> nn.Module:
    """Two hidden layers with dropout, for vectors (n, features)."""
    with torch.random.fork_rng():
        torch.manual_seed(integer(seed, "network"))
        network = nn.Sequential(
            nn.Linear(features, width),
            nn.ReLU(),
            nn.Dropout(DROPOUT),
            nn.Linear(width, width),
            nn.ReLU(),
            nn.Dropout(DROPOUT),
            nn.Linear(width, classes),
        )
    return network.to(device())


def encoder_network(name: str, classes: int, seed: int, flag: str = "--encoder") -> tuple[nn.Module, Any]:
    """A transformers encoder with a new classification layer, and its tokenizer.

    Raises:
        BadInput: it cannot be loaded.
    """
    from transformers import AutoModelForSequenceClassification, AutoTokenizer
    from transformers.utils import logging

    quiet()
    before = logging.get_verbosity()
    logging.set_verbosity_error()  # it warns of the new layer, which is meant
    try:
        with torch.random.fork_rng():
            torch.manual_seed(integer(seed, "network"))
            tokenizer = AutoTokenizer.from_pretrained(source_of(name), trust_remote_code=False)
            network = AutoModelForSequenceClassification.from_pretrained(
                source_of(name),
                num_labels=classes,
                trust_remote_code=False,
                use_safetensors=True,
                dtype=torch.float32,
            )
    except Exception as error:  # the hub, the files and each model class fail in their own ways
        reason = " ".join(str(error).split())[:200]
        raise BadInput(f"{flag} {name}: cannot be loaded as a text classifier ({reason})") from None
    finally:
        logging.set_verbosity(before)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token
    network.config.pad_token_id = tokenizer.pad_token_id
    return cast(nn.Module, network.to(device())), tokenizer


def logits_of(network: nn.Module, view: Any) -> torch.Tensor:
    """(b, classes), float32."""
    if isinstance(view, torch.Tensor):
        return cast(torch.Tensor, network(view))
    with torch.autocast(device().type, dtype=torch.bfloat16, enabled=device().type == "cuda"):
        found = network(**view)
    return cast(torch.Tensor, found.logits).float()


def probabilities(network: nn.Module, inputs: Inputs, batch: int = 256) -> np.ndarray:
    """Softmax of a network in evaluation mode over all rows, float32 (n, classes)."""
    network.eval()
    random = np.random.default_rng(0)  # nothing is hidden
    parts = []
    with torch.inference_mode():
        for first in range(0, len(inputs), batch):
            rows = np.arange(first, min(first + batch, len(inputs)))
            parts.append(logits_of(network, inputs.view(rows, WEAK, random)).softmax(dim=1).cpu().numpy())
    return np.concatenate(parts)


def device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
