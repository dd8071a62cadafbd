"""The disputed few, decided in a form."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tasks.crowd.annotate import adjudicate
from tasks.crowd.annotate.adjudicate import LEAVE
from tasks.crowd.annotate.settings import AnnotateSettings
from tasks.records import BadInput
from tests.crowd.annotating import answer, campaign_of, settings_of


@pytest.fixture
def settings(tmp_path: Path) -> AnnotateSettings:
    """Items 0 to 3 are in dispute, 4 and 5 are not, 6 and 7 were not answered."""
    settings = settings_of(tmp_path, 8, adjudicate=3, max_answers=2, confidence=0.75)
    with campaign_of(tmp_path, settings) as campaign:
        answer(campaign, "ann", list(range(6)))
        answer(campaign, "bob", [4, 5])
        answer(campaign, "bob", [0, 1, 2, 3], right=False)
    return settings


def test_somebody_decides_what_annotators_do_not_agree_on(tmp_path, settings, monkeypatch):
    forms: list[Any] = []

    def fills_in(wait_for_input: Any, timeout: int, key: str) -> Any:
        forms.append(wait_for_input)
        return wait_for_input(item_1="cat", item_2="dog", item_3=LEAVE)

    monkeypatch.setattr(adjudicate, "check", lambda *_: None)
    monkeypatch.setattr("prefect.flow_runs.pause_flow_run", fills_in)
    with campaign_of(tmp_path, settings, round=2) as campaign:
        disputed = adjudicate.disputed(campaign)
        assert set(disputed) <= {0, 1, 2, 3}
        assert len(disputed) == 4
        ids = [campaign.items.ids[task] for task in disputed]
    decided = adjudicate.ask(tmp_path, settings)
    assert decided == {ids[0]: "cat", ids[1]: "dog"}
    box = forms[0].model_json_schema()["properties"]["item_1"]
    assert box["enum"] == ["cat", "dog", LEAVE]
    assert "\\<b\\>" in box["description"]  # Markdown of a stranger is no Markdown
    assert "Votes" in box["description"]
    assert adjudicate.ask(tmp_path, settings) == decided  # asked once
    assert len(forms) == 1
    with campaign_of(tmp_path, settings, round=3) as campaign:
        assert campaign.belief.posterior[disputed[0]].tolist() == [1, 0]
        assert campaign.belief.posterior[disputed[1]].tolist() == [0, 1]
        assert campaign.needs()[disputed[:2]].tolist() == [0, 0]


def test_without_a_ui_nobody_is_waited_for(settings):
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with temporary_settings(restore_defaults={PREFECT_API_URL}):
        with pytest.raises(BadInput, match="--adjudicate needs a Prefect server with a UI"):
            adjudicate.check(settings)
        adjudicate.check(settings.model_copy(update={"adjudicate": 0}))
