"""The form in which a person labels demonstrations."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasks.records import BadInput
from tasks.resolve import form, prepare
from tasks.resolve.records import records_of
from tasks.resolve.settings import BatcherSettings


@pytest.fixture
def settings(tmp_path: Path) -> BatcherSettings:
    """One small table whose pairs are found, of which any can be labelled."""
    table = tmp_path / "table.csv"
    table.write_text("id,name\n" + "".join(f"{n},the old mill by the lake {n % 3}\n" for n in range(12)))
    return BatcherSettings(left=str(table), label_by="form", runs_dir=str(tmp_path), run="r")


def test_the_form_has_a_box_for_each_pair_and_shows_both_records(
    settings: BatcherSettings, tmp_path: Path
) -> None:
    prepare.pairs(tmp_path, settings, source={})
    boxes = form.form_of(tmp_path, settings, [0, 2]).model_json_schema()["properties"]
    assert [(box["type"], box["default"]) for box in boxes.values()] == [("boolean", False)] * 2
    pool = prepare.load_pairs(tmp_path / prepare.POOL)
    texts = records_of(settings).texts(pool)
    assert [box["description"] for box in boxes.values()] == [texts[0], texts[2]]


def test_more_pairs_than_anybody_fills_in_are_bad_input(
    settings: BatcherSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(form, "wanted_rows", lambda run: list(range(form.MOST + 1)))
    with pytest.raises(BadInput, match="--label-budget"):
        form.ask(tmp_path, settings)


@pytest.mark.parametrize(
    ("changes", "wanted"), [({}, True), ({"labels": ["l.csv"]}, False), ({"label_by": "file"}, False)]
)
def test_a_person_is_asked_in_a_form_only_without_labels(
    settings: BatcherSettings, changes: dict[str, object], wanted: bool
) -> None:
    assert form.wanted(settings.model_copy(update=changes)) is wanted
