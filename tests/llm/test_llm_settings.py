"""Settings of flows that may ask a model: what of them is in a request, and so in its key."""

from __future__ import annotations

from tasks.llm.settings import ModelSettings


def test_a_continued_run_with_another_address_asks_the_same_requests() -> None:
    """--llm-url may be another when a run goes on: what was paid for is found all the same."""
    parameters = [
        ModelSettings(model="m", llm_url=url).parameters()
        for url in ("https://api.openai.com/v1", "http://127.0.0.1:8000/v1", "")
    ]
    assert parameters == [{"max_tokens": 4096, "temperature": 0.0}] * 3
