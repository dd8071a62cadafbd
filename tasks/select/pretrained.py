"""A transformers encoder by name or path, pooled as sentence-transformers would."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tasks.records import BadInput
from tasks.select.lsa import unit_rows

POOLING = "1_Pooling/config.json"
_MODES = {
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_cls_token": "cls",
    "pooling_mode_lasttoken": "last",
}


class TransformersEncoder:
    """Hidden states of the last layer, pooled over a text's tokens, scaled to length 1.

    Args:
        name: folder or hub name; weights are read from safetensors only, and no code of the model's is run.
        max_tokens: tokens read of a text; capped by what the model was made for.
        batch_tokens: tokens of a batch, padding included.

    Raises:
        BadInput: it cannot be loaded, or its pooling is not mean, CLS or last token.
    """

    def __init__(self, name: str, max_tokens: int = 256, batch_tokens: int = 8192) -> None:
        import torch

        from tasks.train.precision import in_bfloat16

        self.name, self.batch_tokens = name, batch_tokens
        self.model, self.tokenizer = load_pretrained(name)
        self.pooling = pooling_mode(name)
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        kind = torch.bfloat16 if in_bfloat16(self.model, self.device) else torch.float32
        self.model.to(self.device, dtype=kind).eval()
        self.dimensions = int(self.model.config.hidden_size)
        self.max_tokens = min(max_tokens, position_limit(self.model, self.tokenizer))

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Unit rows, float32 (n, d). Texts of like length share a batch; rows come back in the texts' order."""
        import torch

        vectors = np.zeros((len(texts), self.dimensions), dtype=np.float32)
        if not len(texts):
            return vectors
        tokens = self.tokenizer(list(texts), truncation=True, max_length=self.max_tokens)["input_ids"]
        with torch.inference_mode():
            for rows in batches_by_length([len(ids) for ids in tokens], self.batch_tokens):
                ids, mask = pad([tokens[row] for row in rows], self.tokenizer.pad_token_id)
                ids, mask = ids.to(self.device), mask.to(self.device)
                states = self.model(input_ids=ids, attention_mask=mask).last_hidden_state
                vectors[rows] = pool(states.float(), mask, self.pooling).cpu().numpy()
        return unit_rows(vectors)


def load_pretrained(name: str) -> tuple[Any, Any]:
    """Model and tokenizer by folder or hub name, float32, safetensors only, without running code of theirs.

    Raises:
        BadInput: there is none, or it cannot be read.
    """
    import torch
    from transformers import AutoModel, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()
    path = str(Path(name).expanduser()) if Path(name).expanduser().is_dir() else name
    try:
        tokenizer = AutoTokenizer.from_pretrained(path, trust_remote_code=False)
        model = AutoModel.from_pretrained(
            path, trust_remote_code=False, use_safetensors=True, dtype=torch.float32
        )
    except Exception as error:  # the hub, the files and each model class fail in their own ways
        reason = " ".join(str(error).split())[:200]
        raise BadInput(f"--encoder {name}: cannot be loaded as a transformers encoder ({reason})") from None
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token
    return model, tokenizer


def pooling_mode(name: str) -> str:
    """'mean', 'cls' or 'last', as the model's 1_Pooling/config.json says; 'mean' if it has none."""
    from transformers.utils import cached_file

    folder = Path(name).expanduser()
    if folder.is_dir():
        found = str(folder / POOLING) if (folder / POOLING).is_file() else None
    else:
        found = cached_file(
            name,
            POOLING,
            _raise_exceptions_for_missing_entries=False,
            _raise_exceptions_for_connection_errors=False,
        )
    if found is None:
        return "mean"
    modes = [mode for mode, on in json.loads(Path(found).read_text(encoding="utf-8")).items() if on is True]
    chosen: list[str] = [_MODES.get(mode, mode) for mode in modes if mode.startswith("pooling_mode")]
    if len(chosen) != 1 or chosen[0] not in _MODES.values():
        raise BadInput(
            f"--encoder {name}: pooling {' + '.join(chosen) or 'none'} is not mean, CLS or last token"
        )
    return chosen[0]


def position_limit(model: Any, tokenizer: Any) -> int:
    """Tokens that the model takes, special ones included."""
    positions = int(getattr(model.config, "max_position_embeddings", 0) or 1_000_000)
    if model.config.model_type in {"roberta", "xlm-roberta", "camembert", "mpnet"}:
        positions -= 2  # these count positions from the padding index on
    return min(positions, int(tokenizer.model_max_length))


def batches_by_length(lengths: Sequence[int], batch_tokens: int) -> Iterator[list[int]]:
    """Indices in batches of texts of like length, padded size at most `batch_tokens`, the longest first."""
    batch: list[int] = []
    longest = 0
    for index in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        longest = longest or max(1, lengths[index])
        if batch and (len(batch) + 1) * longest > batch_tokens:
            yield batch
            batch, longest = [], max(1, lengths[index])
        batch.append(index)
    if batch:
        yield batch


def pad(tokens: Sequence[Sequence[int]], padding: int) -> tuple[Any, Any]:
    """Token ids and attention mask as tensors, padded on the right, each (n, longest)."""
    import torch

    ids = torch.full((len(tokens), max(1, max(map(len, tokens)))), padding, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, text in enumerate(tokens):
        ids[row, : len(text)] = torch.tensor(text, dtype=torch.long)
        mask[row, : len(text)] = 1
    return ids, mask


def pool(states: Any, mask: Any, mode: str) -> Any:
    """(n, tokens, d) hidden states to (n, d), padding left out."""
    if mode == "cls":
        return states[:, 0]
    if mode == "last":
        last = (mask.sum(1) - 1).clamp(min=0)
        return states[range(len(states)), last]
    weights = mask.unsqueeze(-1).to(states.dtype)
    return (states * weights).sum(1) / weights.sum(1).clamp(min=1)
