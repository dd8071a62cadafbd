from __future__ import annotations

from typing import Any

import huggingface_hub
import pytest

from tasks.records import BadInput
from tasks.run import hub


def test_a_model_that_is_there_is_asked_for_once_and_one_that_failed_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = []

    def model_info(self: Any, name: str, **options: Any) -> None:
        asked.append(name)
        if name == "nobody/unreachable":
            raise ConnectionError

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", model_info)
    for _ in range(2):
        hub.check_model("nobody/there", "--encoder nobody/there", "a folder")
        with pytest.raises(BadInput, match=r"--encoder x: .*ConnectionError"):
            hub.check_model("nobody/unreachable", "--encoder x", "a folder")
    assert asked == ["nobody/there", "nobody/unreachable", "nobody/unreachable"]
    hub.check_model.cache_clear()


@pytest.mark.parametrize("files", [["adapter_config.json", "adapter_model.safetensors"], []])
def test_a_repository_that_is_no_whole_model_is_refused_and_a_model_is_not(
    monkeypatch: pytest.MonkeyPatch, files: list[str]
) -> None:
    def model_info(self: Any, name: str, **options: Any) -> huggingface_hub.ModelInfo:
        found = ["config.json", "model.safetensors"] if name == "ann/whole" else files
        return huggingface_hub.ModelInfo(id=name, siblings=[{"rfilename": file} for file in found])

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", model_info)
    with pytest.raises(BadInput, match=r"--student ann/lora: no config\.json in its repository"):
        hub.check_model("ann/lora", "--student ann/lora", "a folder")
    hub.check_model("ann/whole", "--student ann/whole", "a folder")
    hub.check_model.cache_clear()
