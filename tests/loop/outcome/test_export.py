import json

import pyarrow.parquet as pq
import pytest
import yaml
from example_run import write_run

from tasks.loop.outcome.card import cell, dataset_card, hub_licences
from tasks.loop.outcome.export import export_pairs
from tasks.storage.tables import PAIRS, read_rows, write_table

HOSTILE = "Ünïcode\u2028 'quotes' \"and\" | # <b>\nlines\\"


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    run = write_run(tmp_path_factory.mktemp("runs") / "spring", documents=120, clusters=6, rounds=3)
    pairs = read_rows(run / "pairs.parquet")
    pairs[0].update(question=HOSTILE, answer=HOSTILE)
    pairs[1].update(decision="rejected", reason="contaminated")
    write_table(run / "pairs.parquet", pairs, PAIRS)
    settings = {"strategy": "ucb-prior", "seed": 7, "budget": 0.1, "extractor": "rules", "encoder": "lsa"}
    summary = json.loads((run / "summary.json").read_text())
    rows = export_pairs(
        run / "pairs.parquet", run / "export", name=run.name, settings=settings, summary=summary
    )
    kept = [pair for pair in pairs if pair["decision"] == "kept"]
    assert rows == len(kept) == len(pairs) - 1
    return run, kept


def load(path, tmp_path, name="json"):
    from datasets import load_dataset

    return load_dataset(name, data_files=str(path), split="train", cache_dir=str(tmp_path)).to_list()


def test_messages_load_with_roles_in_order(exported, tmp_path):
    run, kept = exported
    assert load(run / "export" / "messages.jsonl", tmp_path) == [
        {
            "id": pair["id"],
            "messages": [
                {"role": "user", "content": pair["question"]},
                {"role": "assistant", "content": pair["answer"]},
            ],
        }
        for pair in kept
    ]


def test_sharegpt_loads_with_human_before_gpt(exported, tmp_path):
    run, kept = exported
    assert load(run / "export" / "sharegpt.jsonl", tmp_path) == [
        {
            "id": pair["id"],
            "conversations": [
                {"from": "human", "value": pair["question"]},
                {"from": "gpt", "value": pair["answer"]},
            ],
        }
        for pair in kept
    ]


def test_alpaca_loads_with_an_empty_input(exported, tmp_path):
    run, kept = exported
    assert load(run / "export" / "alpaca.jsonl", tmp_path) == [
        {"id": pair["id"], "instruction": pair["question"], "input": "", "output": pair["answer"]}
        for pair in kept
    ]


def test_lineage_loads_with_a_row_per_pair_and_no_text(exported, tmp_path):
    run, kept = exported
    rows = load(run / "export" / "lineage.parquet", tmp_path, "parquet")
    assert [(row["id"], row["document_id"], row["start"], row["end"], row["pull"]) for row in rows] == [
        (pair["id"], pair["document_id"], pair["start"], pair["end"], pair["pull"]) for pair in kept
    ]
    assert not {"question", "answer"} & set(rows[0])


def test_dataset_info_leads_to_question_and_answer_of_every_format(exported):
    run, kept = exported
    entries = json.loads((run / "export" / "dataset_info.json").read_text())
    assert set(entries) == {"spring_messages", "spring_sharegpt", "spring_alpaca"}
    for entry in entries.values():
        record = json.loads((run / "export" / entry["file_name"]).read_text().split("\n")[0])
        columns = entry["columns"]
        if entry["formatting"] == "alpaca":
            found = record[columns["prompt"]] + record[columns["query"]], record[columns["response"]]
        else:
            tags = entry["tags"]
            asked, answered = record[columns["messages"]]
            assert asked[tags["role_tag"]] == tags["user_tag"]
            assert answered[tags["role_tag"]] == tags["assistant_tag"]
            found = asked[tags["content_tag"]], answered[tags["content_tag"]]
        assert found == (kept[0]["question"], kept[0]["answer"])


def test_card_says_where_the_pairs_are_from_and_under_which_licence(exported):
    run, kept = exported
    _, front, body = (run / "export" / "README.md").read_text().split("---\n", 2)
    fields = yaml.safe_load(front)
    assert fields["license"] == ["cc-by-4.0", "mit"]
    assert fields["size_categories"] == ["n<1K"]
    files = {config["config_name"]: config["data_files"] for config in fields["configs"]}
    assert all((run / "export" / name).exists() for name in files.values())
    documents = {row["id"]: row for row in read_rows(run / "documents.parquet", ["id", "source", "metadata"])}
    licence_of = {name: json.loads(row["metadata"])["license"] for name, row in documents.items()}
    for source in {pair["source"] for pair in kept}:
        for licence in ("CC BY 4.0", "MIT"):
            mine = [p for p in kept if p["source"] == source and licence_of[p["document_id"]] == licence]
            read = len({pair["document_id"] for pair in mine})
            line = f"| {cell(source)} | {licence} | {read} | {len(mine)} |"
            assert (line in body) == bool(mine)
    assert "ucb-prior" in body


def test_card_is_read_by_the_hub_s_own_reader(exported):
    from huggingface_hub import DatasetCard

    run, _ = exported
    card = DatasetCard.load(run / "export" / "README.md")
    assert card.data.license == ["cc-by-4.0", "mit"]


def test_nothing_kept_exports_empty_files(exported, tmp_path):
    run, _ = exported
    pq.write_table(pq.read_table(run / "pairs.parquet").slice(0, 0), tmp_path / "pairs.parquet")
    assert (
        export_pairs(tmp_path / "pairs.parquet", tmp_path / "export", name="none", settings={}, summary={})
        == 0
    )
    assert (tmp_path / "export" / "messages.jsonl").read_text() == ""
    assert "license: unknown" in (tmp_path / "export" / "README.md").read_text()


def test_same_pairs_export_the_same_bytes(exported, tmp_path):
    run, _ = exported
    for folder in ("one", "two"):
        export_pairs(run / "pairs.parquet", tmp_path / folder, name="spring", settings={}, summary={})
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (["CC BY-SA 4.0"], ["cc-by-sa-4.0"]),
        (["MIT", "mit", "Apache-2.0"], ["apache-2.0", "mit"]),
        (["CC0 1.0", "CC0 1.0 Universal"], ["cc0-1.0"]),
        (["Public domain (US)", None, ""], ["other", "unknown"]),
        ([], ["unknown"]),
    ],
)
def test_licences_get_the_hub_s_names(written, expected):
    assert hub_licences(written) == expected


def test_cells_of_the_card_hold_no_markup():
    assert cell("a | b\n<script>*x*") == "a \\| b &lt;script&gt;\\*x\\*"


def test_card_tells_no_folder_of_the_machine():
    card = dataset_card("spring", 0, [], {"encoder": "/home/ann/secret/encoder"}, {})
    assert "…/encoder" in card
    assert "/home/ann" not in card
