import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tasks.corpus.intake import Intake, RejectLog
from tasks.corpus.normalise import normalise
from tasks.corpus.prepare import CorpusSummary, prepare_corpus
from tasks.corpus.read import Fields
from tasks.corpus.tokens import count_tokens
from tasks.records import BadInput, Document, Example
from tasks.storage.tables import CORPUS, REJECTED, TableWriter, read_rows

TEST = [Example("t", "one two three four five six seven eight nine ten eleven twelve thirteen fourteen", "x")]


def text(seed: int, count: int = 100) -> str:
    return " ".join(f"w{number}" for number in np.random.default_rng(seed).integers(0, 50_000, count))


def prepare(
    folder: Path, records: Iterable[Any], **settings: Any
) -> tuple[CorpusSummary, list[Any], list[Any]]:
    lines = [record if isinstance(record, str) else json.dumps(record) for record in records]
    (folder / "c.jsonl").write_text("\n".join(lines) + "\n")
    output, rejected = folder / "out" / "corpus.parquet", folder / "out" / "rejected.parquet"
    summary = prepare_corpus([str(folder / "c.jsonl")], Fields(), TEST, output, rejected, **settings)
    return summary, read_rows(output), read_rows(rejected)


def test_everything_dropped_is_written_with_its_reason(tmp_path: Path) -> None:
    copy = text(1).split()
    copy[50] = "edited"
    records = [
        {"id": "a", "text": text(1), "source": "s", "year": 1999},
        {"id": "b", "text": text(1).upper() + "\r\n"},
        {"id": "c", "text": " ".join(copy)},
        {"id": "d", "text": "too short"},
        {"id": "e", "text": f"{text(3)} {TEST[0].question} {text(4)}"},
        {"id": "out.1", "text": text(5)},
        '{"id": "f", "text": "cut',
        {"id": "g", "text": text(6)},
    ]
    summary, corpus, rejected = prepare(tmp_path, records, exclude=["out.*"], max_broken=0.2)
    assert [row["id"] for row in corpus] == ["a", "g"]
    assert [(row["reason"], row["id"]) for row in rejected] == [
        ("duplicate", "b"),
        ("too short", "d"),
        ("excluded", "out.1"),
        ("broken JSON", "c.jsonl:7"),
        ("near duplicate", "c"),
        ("contaminated", "e"),
    ]
    details = {row["reason"]: row["detail"] for row in rejected}
    assert details["duplicate"] == "same as a"
    assert re.fullmatch(r"like a, similarity 0\.\d\d", details["near duplicate"])
    assert (
        details["contaminated"] == "one two three four five six seven eight nine ten eleven twelve thirteen"
    )
    assert summary.rejected == Counter(row["reason"] for row in rejected)
    assert summary.documents == 2
    assert summary.untestable == 0
    assert (
        summary.tokens
        == sum(count_tokens(row["text"]) for row in corpus)
        == sum(row["tokens"] for row in corpus)
    )
    assert corpus[0] == {
        "id": "a",
        "text": text(1),
        "source": "s",
        "tokens": count_tokens(text(1)),
        "parent": None,
        "origin": f"{tmp_path / 'c.jsonl'}:1",
        "metadata": '{"year": 1999}',
    }
    assert list(corpus[0]) == CORPUS.names
    assert [path.name for path in sorted((tmp_path / "out").iterdir())] == [
        "corpus.parquet",
        "rejected.parquet",
    ]


def test_only_the_contaminated_part_of_a_long_document_is_dropped(tmp_path: Path) -> None:
    sections = [f"## Section {n}\n\n{text(n, 60)}" for n in range(6)]
    sections[3] += f" {TEST[0].question}"
    _, corpus, rejected = prepare(
        tmp_path, [{"id": "a", "text": "\n\n".join(["# T", *sections])}], max_tokens=128
    )
    assert len(corpus) == 5
    assert {row["parent"] for row in corpus} == {"a"}
    assert [row["reason"] for row in rejected] == ["contaminated"]
    assert not any("eleven twelve thirteen" in row["text"] for row in corpus)


def test_ids_of_parts_do_not_collide_with_ids_of_the_corpus(tmp_path: Path) -> None:
    long, short = {"id": "a", "text": text(1, 300)}, {"id": "a#2", "text": text(2)}
    for records, expected in (
        ([short, long], ["a#2", "a##1", "a##2"]),
        ([long, short], ["a#1", "a#2", "a#2@c.jsonl:2"]),
        ([long, {"id": "a", "text": text(3, 300)}], ["a#1", "a#2", "a@c.jsonl:2#1", "a@c.jsonl:2#2"]),
        ([{"id": "a#1", "text": text(2)}, {"id": "a", "text": " " * 2000 + text(4)}], ["a#1", "a##1"]),
    ):
        _, corpus, _ = prepare(tmp_path, records, max_tokens=256)
        assert [row["id"] for row in corpus] == expected


def test_texts_under_an_id_that_is_taken_are_kept_and_say_where_they_stand(tmp_path: Path) -> None:
    for shard in range(3):
        lines = [json.dumps({"id": n, "text": text(10 * shard + n)}) for n in range(2)]
        lines.append(json.dumps({"id": 0, "text": text(0)}))  # one text in every shard
        folder = tmp_path / "data" / ("first" if shard == 0 else f"more{shard}")
        folder.mkdir(parents=True)
        (folder / ("a.jsonl" if shard == 0 else "b.jsonl")).write_text("\n".join(lines))
    output, rejected = tmp_path / "corpus.parquet", tmp_path / "rejected.parquet"
    prepare_corpus([str(tmp_path / "data")], Fields(), TEST, output, rejected)
    rows = read_rows(output)
    assert [row["id"] for row in rows] == [
        "0",
        "1",
        "0@b.jsonl:1",
        "1@b.jsonl:2",
        "0@b.jsonl:1@2",
        "1@b.jsonl:2@2",
    ]
    assert [row["text"] for row in rows] == [text(n) for n in (0, 1, 10, 11, 20, 21)]
    assert [(row["reason"], row["detail"]) for row in read_rows(rejected)] == [("duplicate", "same as 0")] * 3


class Counted(set[str]):
    asked = 0

    def __contains__(self, name: object) -> bool:
        self.asked += 1
        return super().__contains__(name)


def test_ids_that_restart_in_many_folders_cost_no_search_through_them_all(tmp_path: Path) -> None:
    ids = Counted()
    with TableWriter(tmp_path / "rejected.parquet", REJECTED) as table:
        intake = Intake(RejectLog(table), 1.0, (), 1, 4096, 0, ids=ids)
        shards = (Document("0", f"text {n}", origin=f"{n}/chunks.jsonl:1") for n in range(300))
        names = [document.id for document in intake.accept(shards)]
    assert names[:3] == ["0", "0@chunks.jsonl:1", "0@chunks.jsonl:1@2"]
    assert names[-1] == "0@chunks.jsonl:1@299"
    assert ids.asked <= 4 * 300


def manual(number: int, *chapters: str) -> dict[str, str]:
    return {"id": f"m{number}", "text": "\n\n".join([f"# Manual {number}", *chapters])}


def chapter(seed: int) -> str:
    return f"## Chapter {seed}\n\n{text(seed, 150)}"


def test_a_chapter_that_several_long_documents_share_is_kept_once(tmp_path: Path) -> None:
    licence = f"## Licence\n\n{text(99, 150)}"
    manuals = [manual(n, chapter(2 * n), licence, chapter(2 * n + 1)) for n in range(3)]
    summary, corpus, rejected = prepare(tmp_path, manuals, max_tokens=300)
    assert [row["id"] for row in corpus] == ["m0#1", "m0#2", "m0#3", "m1#1", "m1#3", "m2#1", "m2#3"]
    assert [row["parent"] for row in corpus] == [row["id"].split("#")[0] for row in corpus]
    assert [(row["reason"], row["id"], row["detail"].split(",")[0]) for row in rejected] == [
        ("near duplicate", "m1#2", "like m0#2"),
        ("near duplicate", "m2#2", "like m0#2"),
    ]
    assert summary.tokens == sum(count_tokens(row["text"]) for row in corpus)


def test_a_long_document_read_twice_is_dropped_part_by_part(tmp_path: Path) -> None:
    same = [chapter(n) for n in range(3)]
    records = [manual(0, *same), manual(0, *same), {**manual(0, *same), "id": "copy"}]
    _, corpus, rejected = prepare(tmp_path, records, max_tokens=300)
    assert [row["id"] for row in corpus] == ["m0#1", "m0#2", "m0#3"]
    assert [(row["reason"], row["detail"]) for row in rejected] == [
        ("duplicate", f"same as m0#{n}") for n in (1, 2, 3)
    ] * 2


def test_a_part_that_is_too_short_is_dropped_and_a_heading_is_no_part(tmp_path: Path) -> None:
    document = f"# Manual\n\n## Install\n\n{text(5, 600)}"
    _, corpus, rejected = prepare(
        tmp_path, [{"id": "a", "text": document + "\n\n# End\n\nBye."}], max_tokens=256
    )
    assert all(len(row["text"]) >= 40 and row["text"] == normalise(row["text"]) for row in corpus)
    assert "## Install\n\nw" in corpus[0]["text"]
    assert len(corpus) > 2
    assert [(row["reason"], row["id"]) for row in rejected] == [("too short", f"a#{len(corpus) + 1}")]


def test_the_sample_is_a_share_and_the_same_for_the_same_seed(tmp_path: Path) -> None:
    records = [{"id": f"d{n}", "text": text(n)} for n in range(400)]
    kept = [
        {row["id"] for row in prepare(tmp_path, records, corpus_share=share, seed=seed)[1]}
        for share, seed in ((0.25, 1), (0.25, 1), (0.5, 1), (0.25, 2))
    ]
    assert kept[0] == kept[1] != kept[3]
    assert kept[0] < kept[2]  # a larger sample holds the smaller one
    assert 70 < len(kept[0]) < 130


def test_near_duplicates_can_be_kept(tmp_path: Path) -> None:
    records = [{"id": f"d{n}", "text": f"{text(1)} {n}"} for n in range(5)]
    assert prepare(tmp_path, records)[0].documents == 1
    assert prepare(tmp_path, records, near_duplicates=1.0)[0].documents == 5


def test_too_many_broken_records_stop_the_run_and_leave_nothing(tmp_path: Path) -> None:
    records = [{"id": f"d{n}", "text": text(n)} for n in range(98)] + ["{", "["]
    with pytest.raises(
        BadInput, match=r"2 of 100 records cannot be used, first .*c\.jsonl:99: .*broken JSON"
    ):
        prepare(tmp_path, records, max_broken=0.01)
    assert list((tmp_path / "out").iterdir()) == []
    assert prepare(tmp_path, records, max_broken=0.02)[0].documents == 98


def test_a_corpus_of_which_nothing_is_left_says_why(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"no documents left.*too short: 2"):
        prepare(tmp_path, [{"text": "a"}, {"text": "b"}])


def in_processes(function: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
    with ProcessPoolExecutor(2) as pool:
        yield from pool.map(function, items)


def test_workers_do_not_change_a_byte(tmp_path: Path) -> None:
    records = [{"id": f"d{n}", "text": text(n % 550, 60) + f" {n}"} for n in range(600)]
    done: list[tuple[str, int]] = []
    records += [{"id": f"long{n}", "text": text(1000 + n % 4, 600)} for n in range(5)]
    here = prepare(
        tmp_path, records, max_tokens=256, progress=lambda stage, count: done.append((stage, count))
    )
    files = [(tmp_path / "out" / name).read_bytes() for name in ("corpus.parquet", "rejected.parquet")]
    there = prepare(tmp_path, records, max_tokens=256, mapper=in_processes)
    assert here == there
    parts = len([row for row in here[1] if row["parent"]])
    assert here[0].rejected == {"near duplicate": 50, "duplicate": parts // 4}
    assert files == [
        (tmp_path / "out" / name).read_bytes() for name in ("corpus.parquet", "rejected.parquet")
    ]
    assert done[-1] == ("compare", 600 + parts)
    assert ("read", 600 + parts) in done


def test_templated_real_documents_survive(tmp_path: Path) -> None:
    shared = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "corpus" / "mixed_1000.jsonl.gz"
    if not shared.exists():
        pytest.skip("the shared corpus is not beside this checkout")
    output = tmp_path / "corpus.parquet"
    summary = prepare_corpus([str(shared)], Fields(), [], output, tmp_path / "rejected.parquet")
    assert summary == CorpusSummary(947, summary.tokens, {}, 0)
