"""Sources: what the words after --corpus mean, their labels and fingerprints, and what they cannot mean."""

import os
import subprocess
import sys
from itertools import islice
from pathlib import Path
from types import ModuleType

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from upath import UPath

from tasks.corpus.formats import PATIENCE
from tasks.corpus.read import Fields, check_sources, fingerprint, read_documents
from tasks.corpus.sources import _labels, resolve
from tasks.records import BadInput
from tasks.run.log import LOG
from tests.corpus.reading import lines, read


def test_files_of_one_name_get_ids_of_their_own(tmp_path: Path) -> None:
    for name in ("x", "y"):
        (tmp_path / name).mkdir()
        lines(tmp_path / name / "c.jsonl", {"text": name})
    documents, _ = read(tmp_path / "x" / "c.jsonl", tmp_path / "y" / "c.jsonl")
    assert [document.id for document in documents] == ["x/c.jsonl:1", "y/c.jsonl:1"]


def test_a_password_in_an_address_is_refused_and_not_repeated() -> None:
    with pytest.raises(BadInput, match=r"memory://\.\.\.@host/x.jsonl: a password in an address") as refused:
        resolve(["memory://me:secret@host/x.jsonl"])
    assert "secret" not in str(refused.value)


def test_ids_do_not_hold_the_signature_of_an_address() -> None:
    found = _labels(["https://host/a/x.jsonl?signature=s", "https://host/b/x.jsonl?signature=t"])
    assert list(found.values()) == ["a/x.jsonl", "b/x.jsonl"]


def test_data_sets_of_one_name_get_labels_of_their_own() -> None:
    sources = resolve(["hf:org/data:en", "hf:org/data:de", "hf:other/data", "hf:one/more", "hf:org/data:en"])
    labels = [source.label for source in sources]
    assert labels == ["data:en", "data:de", "data", "more", "data:en"]
    assert [source.label for source in resolve(["hf:org/data", "hf:other/data"])] == [
        "org/data",
        "other/data",
    ]


def test_a_saved_dataset_and_its_split(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    rows = datasets.Dataset.from_list([{"text": f"t{n}", "id": f"i{n}"} for n in range(300)])
    rows.save_to_disk(str(tmp_path / "one"))
    datasets.DatasetDict({"train": rows, "dev": rows.select([0])}).save_to_disk(str(tmp_path / "many"))
    assert [document.id for document in read(tmp_path / "one")[0]] == [f"i{n}" for n in range(300)]
    assert len(read(tmp_path / "many", fields=Fields(hf_split="dev"))[0]) == 1
    with pytest.raises(BadInput, match="no split named test; it has train, dev"):
        read(tmp_path / "many", fields=Fields(hf_split="test"))


def test_a_saved_dataset_that_is_damaged_is_named(tmp_path: Path) -> None:
    pytest.importorskip("datasets")
    for name in ("state.json", "dataset_info.json"):
        (tmp_path / name).write_text("[]")
    with pytest.raises(BadInput, match="a saved data set that cannot be loaded"):
        read(tmp_path)


def test_a_dataset_is_streamed_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    (tmp_path / "set").mkdir()
    lines(tmp_path / "set" / "train.jsonl", {"text": "one"}, {"text": "two"})
    documents, _ = read(f"hf:{tmp_path / 'set'}")
    assert [document.text for document in documents] == ["one", "two"]
    with pytest.raises(BadInput, match="hf:"):
        read(f"hf:{tmp_path / 'set'}", fields=Fields(hf_split="nothing"))


def test_a_hub_that_cannot_be_asked_is_one_line_and_its_retries_are_in_the_log(tmp_path: Path) -> None:
    """In a process of its own, where nothing is silenced yet; nobody listens at the address it takes for the hub's."""
    code = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from tasks.corpus.huggingface import stream_dataset\n"
        "from tasks.run.log import logged\n"
        "time.sleep = lambda seconds: None\n"
        "with logged(Path(sys.argv[1])):\n"
        "    next(stream_dataset('nobody/nothing', 'train'))\n"
    )
    away = {**os.environ, "HF_HUB_OFFLINE": "0", "HF_ENDPOINT": "http://127.0.0.1:9"}
    command = [sys.executable, "-c", code, str(tmp_path)]
    said = subprocess.run(command, env=away, capture_output=True, text=True, check=False).stderr
    assert "BadInput: hf:nobody/nothing: the hub cannot be asked: " in said.splitlines()[-1]
    assert "Retry" not in said
    assert "Retry 1/5" in (tmp_path / LOG).read_text()


def test_paths_may_lie_in_an_object_store() -> None:
    UPath("memory://bucket/c.jsonl").write_text('{"text": "from afar"}\n')
    assert [document.text for document in read("memory://bucket/c.jsonl")[0]] == ["from afar"]


def test_one_clear_line_for_a_source_that_cannot_be_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "module_without_spec", ModuleType("module_without_spec"))
    (tmp_path / "empty").mkdir()
    (tmp_path / "c.docx").write_text("x")
    lines(tmp_path / "c.jsonl", {"body": "x", "id": "1"})
    pq.write_table(pa.table({"body": ["x"]}), tmp_path / "c.parquet")
    for source, message in {
        str(tmp_path / "none.jsonl"): "no such file or folder",
        str(tmp_path / "empty"): "no documents in this folder",
        str(tmp_path / "c.docx"): "unknown kind of file",
        str(tmp_path / "c.jsonl"): "no record has the field text; it has: body, id; set --text-field",
        str(tmp_path / "c.parquet"): "no record has the field text; it has: body",
        "": "no source given",
        "python:no_such_package_here": "not installed",
        "python:module_without_spec": "not installed",
        "python:json.nothing": "no Python source was found",
        "python:": "name the packages",
        "hf:": "name the data set",
        "zzz://x/c.jsonl": "not available",
        "zzz://me:secret@[x/c.jsonl": r"^--corpus zzz://\.\.\.: not an address; write scheme://host/path$",
    }.items():
        for look in (lambda one: check_sources([one], Fields()), lambda one: read(one)):
            with pytest.raises(BadInput, match=message) as caught:
                look(source)
            assert "\n" not in str(caught.value)
            assert str(caught.value).startswith("--corpus")


@pytest.mark.parametrize(("flag", "name"), [("--id-field", "id"), ("--source-field", "source")])
def test_a_field_of_ids_or_sources_that_no_record_has_is_refused(
    tmp_path: Path, flag: str, name: str
) -> None:
    (tmp_path / "more").mkdir()
    for number in range(3):
        lines(
            tmp_path / "more" / f"{number}.jsonl", {"text": "b", "uid": "2"} if number == 2 else {"text": "a"}
        )
    plain = lines(tmp_path / "c.jsonl", *[{"text": f"a{number}", "id": str(number)} for number in range(9)])
    (tmp_path / "d.txt").write_text("no record")
    named = Fields(**{name: "uid"})
    message = rf"^--corpus: no record has the field uid; it has: text, id; set {flag}$"
    for sources in ([plain], [plain, tmp_path / "d.txt", "python:json"]):
        with pytest.raises(BadInput, match=message):
            check_sources([str(source) for source in sources], named)
        with pytest.raises(BadInput, match=message):
            read(*sources, fields=named)
    for sources in ([plain, tmp_path / "more"], [tmp_path / "d.txt"]):
        check_sources([str(source) for source in sources], named)
        read(*sources, fields=named)


def test_a_wrong_field_of_ids_ends_the_reading_of_a_data_set_soon(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    rows = datasets.Dataset.from_list([{"text": f"t{number}"} for number in range(PATIENCE + 100)])
    rows.save_to_disk(str(tmp_path / "one"))
    check_sources([str(tmp_path / "one")], Fields(id="uid"))
    documents = read_documents([str(tmp_path / "one")], Fields(id="uid"), print)
    assert len(list(islice(documents, PATIENCE))) == PATIENCE
    with pytest.raises(BadInput, match="no record has the field uid; it has: text; set --id-field"):
        next(documents)


def test_the_fingerprint_changes_with_a_file(tmp_path: Path) -> None:
    path = lines(tmp_path / "c.jsonl", {"text": "a"})
    sources = [str(path), "python:json", "doctest:json.decoder"]
    before = fingerprint(sources)
    assert fingerprint(sources) == before
    lines(path, {"text": "ab"})
    assert fingerprint(sources) != before
