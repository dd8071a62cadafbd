"""Contrastive alignment of a whole transformers encoder: the same loss as the linear head, through every weight."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tasks.run import seeds
from tasks.select.align import Alignment, split_groups
from tasks.select.pretrained import POOLING, load_pretrained, pad, pool, pooling_mode, position_limit
from tasks.storage.tables import atomic_folder, write_json


def finetune_encoder(
    name: str,
    documents: Sequence[str],
    pairs: Sequence[str],
    output: Path,
    *,
    groups: Sequence[int] | np.ndarray | None = None,
    temperature: float = 1.0,
    epochs: int = 2,
    batch: int = 32,
    max_tokens: int = 256,
    learning_rate: float = 2e-5,
    seed: int = 0,
) -> Alignment:
    """Trains the encoder on (document, pair) and saves the best epoch's weights, the original ones if none helps.

    A fifth of the documents is held out to judge by. `output` becomes a folder that `EncoderSpec` can name:
    safetensors weights, tokenizer and pooling; it appears when it is complete.

    Args:
        name: folder or hub name of a transformers encoder.
        documents: text of each pair's document, one per pair.
        pairs: text of each pair.
        groups: document of each pair; by default pairs with equal document texts are of one document.

    Raises:
        BadInput: the encoder cannot be loaded.
    """
    import torch

    model, tokenizer = load_pretrained(name)
    mode = pooling_mode(name)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model.to(device)
    limit = min(max_tokens, position_limit(model, tokenizer))
    numbered = np.unique(np.asarray(documents if groups is None else groups), return_inverse=True)[1].ravel()
    train, held = split_groups(numbered, seed)
    report = {"documents": int(numbered.max(initial=-1)) + 1, "pairs": len(pairs)}

    def loss_of(rows: np.ndarray) -> Any:
        left = _vectors(model, tokenizer, [documents[row] for row in rows], mode, limit, device)
        right = _vectors(model, tokenizer, [pairs[row] for row in rows], mode, limit, device)
        logits = left @ right.T / temperature
        same = torch.as_tensor(numbered[rows], device=device)
        others = (same[:, None] == same) & ~torch.eye(len(rows), dtype=torch.bool, device=device)
        return torch.nn.functional.cross_entropy(
            logits.masked_fill(others, float("-inf")), torch.arange(len(rows), device=device)
        )

    def held_out() -> float:
        model.eval()
        with torch.inference_mode():
            parts = [(len(rows), float(loss_of(rows))) for rows in _cut(held, batch)]
        return sum(count * loss for count, loss in parts) / max(1, len(held))

    if not len(held):
        _save(model, tokenizer, mode, output)
        return Alignment(float("nan"), float("nan"), 0, **report)
    before = best = held_out()
    best_epoch, best_weights = 0, _copy(model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate, weight_decay=0.01)
    random = seeds.generator(seed, "finetune", "batches")
    with torch.random.fork_rng():  # dropout draws from the global generator, which is put back
        torch.manual_seed(seeds.integer(seed, "finetune", "dropout"))
        for epoch in range(1, epochs + 1):
            model.train()
            for rows in _cut(random.permutation(train), batch):
                loss = loss_of(rows)
                optimizer.zero_grad()
                loss.backward()
                torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()
            after = held_out()
            if after < best:
                best, best_epoch, best_weights = after, epoch, _copy(model)
    model.load_state_dict(best_weights)
    _save(model, tokenizer, mode, output)
    return Alignment(before, best, best_epoch, **report)


def _vectors(model: Any, tokenizer: Any, texts: list[str], mode: str, limit: int, device: Any) -> Any:
    import torch

    ids, mask = pad(tokenizer(texts, truncation=True, max_length=limit)["input_ids"], tokenizer.pad_token_id)
    ids, mask = ids.to(device), mask.to(device)
    states = model(input_ids=ids, attention_mask=mask).last_hidden_state
    return torch.nn.functional.normalize(pool(states, mask, mode), dim=1)


def _cut(rows: np.ndarray, size: int) -> list[np.ndarray]:
    """Batches of rows; a last one of a single row, which has no negatives, joins the one before."""
    cuts = list(range(size, len(rows), size))
    if cuts and len(rows) - cuts[-1] == 1:
        cuts.pop()
    return np.split(rows, cuts)


def _copy(model: Any) -> dict[str, Any]:
    return {key: value.detach().cpu().clone() for key, value in model.state_dict().items()}


def _save(model: Any, tokenizer: Any, mode: str, output: Path) -> None:
    keys = {
        "mean": "pooling_mode_mean_tokens",
        "cls": "pooling_mode_cls_token",
        "last": "pooling_mode_lasttoken",
    }
    with atomic_folder(output) as folder:
        model.to("cpu").save_pretrained(folder, safe_serialization=True)
        tokenizer.save_pretrained(folder)
        write_json(
            folder / POOLING, {"word_embedding_dimension": int(model.config.hidden_size), keys[mode]: True}
        )
