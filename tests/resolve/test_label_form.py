"""The form in which a person labels demonstrations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tasks.records import BadInput
from tasks.resolve import form, prepare
from tasks.resolve.label import LABELS
from tasks.resolve.records import records_of
from tasks.resolve.settings import BatcherSettings
from tasks.storage.tables import write_json


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
    assert [box["description"] for box in boxes.values()] == [
        form.as_markdown(text) for text in (texts[0], texts[2])
    ]


def test_a_record_is_shown_as_it_is_written() -> None:
    """The UI shows Markdown: a record's own would load pictures, and lose its marks."""
    assert form.as_markdown("A: 2*3*4\nB: ![x](http://e.x) <b> 1") == (
        r"A\: 2\*3\*4" + "\n\n" + r"B\: \!\[x\]\(http\:\/\/e\.x\) \<b\> 1"
    )


def test_more_pairs_than_anybody_fills_in_are_bad_input(
    settings: BatcherSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(form, "wanted_rows", lambda run: list(range(form.MOST + 1)))
    with pytest.raises(BadInput, match="--label-budget"):
        form.ask(tmp_path, settings)


def test_a_run_that_is_tried_again_has_another_form_until_there_are_labels(
    settings: BatcherSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prefect refuses a second form under the key of the first."""
    keys = []

    def fills_in(wait_for_input: Any, timeout: int, key: str) -> Any:
        keys.append(key)
        return wait_for_input(pair_2=True)

    monkeypatch.setattr("prefect.flow_runs.pause_flow_run", fills_in)
    monkeypatch.setattr(form, "wanted_rows", lambda run: [0, 2])
    prepare.pairs(tmp_path, settings, source={})
    for count in ("1", "2"):
        monkeypatch.setenv("PREFECT__RUNTIME__FLOW_RUN__RUN_COUNT", count)
        assert form.ask(tmp_path, settings) == {"0": False, "2": True}
    write_json(tmp_path / LABELS, {"0": 0, "2": 1})
    assert form.ask(tmp_path, settings) == {"0": False, "2": True}
    assert keys == ["labels-1", "labels-2"]


@pytest.mark.parametrize(
    ("changes", "wanted"), [({}, True), ({"labels": ["l.csv"]}, False), ({"label_by": "file"}, False)]
)
def test_a_person_is_asked_in_a_form_only_without_labels(
    settings: BatcherSettings, changes: dict[str, object], wanted: bool
) -> None:
    assert form.wanted(settings.model_copy(update=changes)) is wanted


def test_without_a_ui_nobody_is_waited_for(settings: BatcherSettings) -> None:
    """Prefect's temporary server has none: the run would wait for days, and say nothing."""
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with temporary_settings(restore_defaults={PREFECT_API_URL}):
        with pytest.raises(BadInput, match="make ui and set PREFECT_API_URL"):
            form.check(settings)
        form.check(settings.model_copy(update={"label_by": "file"}))
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:4200/api"}):
        form.check(settings)
