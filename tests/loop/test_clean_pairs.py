"""Pairs that are too few to be cleaned."""

from __future__ import annotations

import numpy as np

from tasks.loop import clean
from tasks.storage.tables import read_rows


def test_too_few_pairs_are_not_said_to_be_clean(tmp_path, monkeypatch):
    pairs = [("Why?", "Because.")] * 59
    monkeypatch.setattr(clean, "extracted_pairs", lambda *_: iter(pairs))
    monkeypatch.setattr(clean, "kept_mask", lambda *_: None)
    monkeypatch.setattr(clean, "_ids", lambda *_: [str(row) for row in range(len(pairs))])
    found = clean.clean.__wrapped__(tmp_path, None, rounds=1, student={}, rewarded={})
    assert read_rows(tmp_path / clean.TABLE) == []
    assert np.load(tmp_path / found["files"][0]).tolist() == [1] * 59
    assert clean.said(found) == "pairs are not cleaned: 59 are kept, and 60 at least can be compared"


def test_what_is_left_out_is_said():
    found = {"kept": 1200, "looked_at": 1200, "doubted": 7}
    assert clean.said(found) == "7 of 1,200 pairs are left out: its answer is likely wrong"
