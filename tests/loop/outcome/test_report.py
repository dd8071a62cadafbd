import json
import math
import re
from html.parser import HTMLParser

import numpy as np
import pyarrow.parquet as pq
import pytest
from example_run import write_run

from tasks.loop.outcome import findings
from tasks.loop.outcome.report import write_report
from tasks.storage.tables import ARMS, DOCUMENTS, REJECTED, read_json, read_rows, write_json, write_table

HOSTILE = "<script>alert('x')</script><img src=x onerror=alert(1)>\" onload=\"alert(2)"
VOID = {"meta", "link", "br", "img", "wbr"}


class Page(HTMLParser):
    """Tags, attributes and visible text of a page; fails on tags that do not nest."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.words, self.open = [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("runs") / "spring")


@pytest.fixture(scope="module")
def page(run):
    return Page(write_report(run).read_text(encoding="utf-8"))


def test_page_asks_for_nothing_outside_itself(page):
    assert not {tag for tag, _ in page.tags} & {"script", "iframe", "object", "embed", "form", "base", "img"}
    for _, attributes in page.tags:
        for name in ("src", "href", "xlink:href", "action", "data"):
            value = attributes.get(name) or "#"
            assert value.startswith(("#", "data:")), value
    style = next(attributes for tag, attributes in page.tags if attributes.get("http-equiv"))
    assert style["content"].startswith("default-src 'none'")


def test_text_of_strangers_stays_text(tmp_path):
    run = write_run(tmp_path / "x<script>alert(1)<", documents=120, clusters=6, rounds=3, planted=HOSTILE)
    page = Page(write_report(run).read_text(encoding="utf-8"))
    assert "script" not in {tag for tag, _ in page.tags}
    assert "img" not in {tag for tag, _ in page.tags}
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
    assert page.text.count("<script>alert('x')</script>") > 20
    assert "x<script>alert(1)<" in page.text


def test_headline_figures_are_the_summary_s(run, page):
    summary = json.loads((run / "summary.json").read_text())
    assert (
        f"{summary['pairs']} training pairs from {summary['extracted_documents']} of 600 documents"
        in page.text
    )
    assert f"{summary['tokens_read']:,}" in page.text
    best = "than those of nearest-cluster, the best of the 4 other strategies that were run"
    assert (
        f"nearer to the held-out target {best} ({summary['transport_heldout']:.3f} against 0.492)"
        in page.text
    )
    assert (
        f"lower than with nearest-cluster, again the best of them ({summary['nll_after']:.3f} against"
        in page.text
    )
    assert "on the reference examples alone is worse than one trained on these and the selection" in page.text


def changed(folder, **changes):
    """The text of the page of a small run with changes of its summary."""
    run = write_run(folder, documents=120, clusters=6, rounds=3)
    summary = json.loads((run / "summary.json").read_text())
    write_json(run / "summary.json", {**summary, **changes})
    return Page(write_report(run).read_text()).text


def test_a_selection_that_another_strategy_beats_is_called_so(tmp_path):
    reference = {"nll_reference": 4.0, "nll_reference_selection": 4.1}
    text = changed(tmp_path / "worse", transport_heldout=0.5, nll_after=4.65, reference=reference)
    assert "farther from the held-out target than those of nearest-cluster, the best of the 4" in text
    assert "(0.500 against 0.492)" in text
    assert "higher than with nearest-cluster, again the best of them (4.650 against 4.604)" in text
    assert "on the reference examples alone is better than one trained on these and the selection" in text
    assert "nearer to the held-out target than" not in text


def test_pairs_that_do_the_student_harm_are_called_so(tmp_path, page):
    text = changed(tmp_path / "harm", nll_before=4.5)
    assert "raised the student's loss on the target: before, it was 4.500." in text
    alone = changed(tmp_path / "alone", nll_before=4.5, nll_after=4.6, comparison=[])
    assert "raised the student's loss on the target: before, it was 4.500, now it is 4.600." in alone
    assert "raised the student's loss" not in page.text


def test_figures_that_are_written_alike_are_called_the_same(tmp_path):
    text = changed(tmp_path / "equal", transport_heldout=0.49204)
    assert "as near to the held-out target as those of nearest-cluster" in text


def test_rules_cost_nothing_and_what_a_model_would_take_is_called_so(page):
    assert "The rules read 8.8% of the corpus for nothing ; a model at $2.00 per million tokens" in page.text
    assert "nothing was paid" in page.text
    assert "A kept pair would cost $" in page.text
    assert page.text.count("Would cost") >= 4
    assert not re.search(r"This run paid|of the corpus cost|\bCost (?!and time|against)", page.text)


def test_what_a_model_took_is_called_its_cost(tmp_path):
    judged = {"cost": 0.25, "judges": ["m 1"]}
    text = changed(tmp_path / "asked", extractor="llm", price=2.0, tokens_read=500_000, judged=judged)
    assert "of the corpus cost $1.00 ; reading all of it would have cost $" in text
    assert "Judging the pairs cost $0.250 ." in text
    assert "The model took $1.00 for what was read" in text
    assert "Would cost" not in text
    assert "free" not in text


def test_judges_of_what_rules_read_are_paid(tmp_path):
    text = changed(tmp_path / "judged", judged={"cost": 0.25, "judges": ["m 1"]})
    assert "for nothing" in text
    assert "Judging the pairs took $0.250." in text


def test_without_prices_no_cost_is_shown(tmp_path):
    unknown = dict.fromkeys(
        ("price", "cost", "cost_per_pair", "cost_everything", "cost_expected", "comparison")
    )
    text = changed(tmp_path / "unpriced", extractor="llm", **unknown)
    assert "of the corpus cost what is not known , because no prices were given." in text
    assert "so that it is not known what the model cost" in text
    assert "Cost – no prices were given" in text
    assert "Cost against distance" not in text


def student_chart(run):
    """What is written at the ends of the lines of the student's chart, its circles, and its caption."""
    figure = write_report(run).read_text().split("The student, round by round")[1].split("</figure>")[0]
    chart, caption = figure.split("<figcaption>")
    return re.findall(r'class="end[^>]*>([^<]*)', chart), chart.count("<circle"), caption


def test_the_student_s_chart_has_every_strategy_and_says_which_examples_judged(tmp_path):
    run = write_run(tmp_path / "spring", documents=120, clusters=6, rounds=8)
    summary = json.loads((run / "summary.json").read_text())
    summary = {**summary, "rounds": summary["rounds"][1:], "test_examples": 414}
    write_json(run / "summary.json", summary)
    others = {"random", "mean-similarity", "nearest-cluster", "everything"}
    others |= {"reference alone", "reference + selection"}
    ends, points, caption = student_chart(run)
    assert set(ends) == {"ucb-prior", *others}
    assert points == 9  # the start and eight rounds
    assert "All on the same test examples" in caption
    (run / "settings.yaml").write_text("round_examples: 256\n")
    ends, points, caption = student_chart(run)
    assert set(ends) == {"ucb-prior", "ucb-prior at the end", *others}
    assert points == 8
    assert "the same 256 of the 414 test examples" in caption


def test_rounds_are_counted_in_whole_numbers(tmp_path):
    run = write_run(tmp_path / "short", documents=120, clusters=6, rounds=2)
    chart = write_report(run).read_text().split("The student, round by round")[1].split("</svg>")[0]
    ticks = re.findall(r'text-anchor="middle">(\d*)</text>', chart)
    assert [tick for tick in ticks if tick] == ["0", "1", "2"]


def test_a_long_question_shows_what_is_asked_at_its_end():
    question = "Given the following imports, " * 40 + "what does this print?"
    shown = findings._cut(question, 480, 360)
    assert shown.endswith("what does this print?")
    assert len(shown) < 500


def test_one_cluster_is_not_spoken_of_as_many(tmp_path, monkeypatch):
    run = write_run(tmp_path / "one", documents=120, clusters=6, rounds=3)
    heat = findings.heat
    read = len(heat(findings.Corpus(run / "documents.parquet"), order=list(range(6)))["rows"])
    monkeypatch.setattr(findings, "heat", lambda corpus, order: heat(corpus, order, rows=read - 1))
    assert "1 cluster that was read less is not shown" in Page(write_report(run).read_text()).text


def test_the_stages_are_those_that_took_time_and_the_whole_is_none_of_them(tmp_path):
    assert findings.stage_seconds({"all": 9.0, "choose": 0.03, "encode": 3.0, "align": 5.0}) == [
        ("align", 5.0),
        ("encode", 3.0),
    ]
    assert "The run took 9.0 s." in changed(tmp_path / "timed", seconds={"all": 9.0, "encode": 3.0})


def test_labels_of_the_map_do_not_end_in_a_comma(tmp_path):
    run = write_run(tmp_path / "commas", documents=120, clusters=6, rounds=3)
    arms = read_rows(run / "arms.parquet")
    write_table(run / "arms.parquet", [{**arm, "terms": "prime, factor, divisor"} for arm in arms], ARMS)
    labels = re.findall(r'class="place"[^>]*>([^<]*)', write_report(run).read_text())
    assert labels
    assert all(re.fullmatch(r"\d+  \w+, \w+", label) for label in labels)


def test_clusters_add_up_to_the_tables(run):
    corpus = findings.Corpus(run / "documents.parquet")
    arms = read_rows(run / "arms.parquet")
    rows = findings.clusters(corpus, arms, findings.load_terms(run, arms), price=2.0)
    pairs = read_rows(run / "pairs.parquet")
    documents = read_rows(run / "documents.parquet")
    assert sum(row["size"] for row in rows) == len(documents)
    assert sum(row["cost"] for row in rows) == pytest.approx(sum(arm["cost"] for arm in arms))
    for row in rows:
        inside = [document for document in documents if document["cluster"] == row["cluster"]]
        assert row["size"] == len(inside)
        assert row["read"] == sum(document["extracted"] for document in inside)
        assert row["pairs"] == sum(pair["cluster"] == row["cluster"] for pair in pairs)
        counts = {s: sum(d["source"] == s for d in inside) for s in {d["source"] for d in inside}}
        assert dict(row["sources"]) == {s: n / len(inside) for s, n in counts.items()}
    assert [row["pairs"] for row in rows] == sorted((row["pairs"] for row in rows), reverse=True)


def test_heat_counts_every_document_read_and_joins_rounds_when_there_are_many(run):
    corpus = findings.Corpus(run / "documents.parquet")
    table = findings.heat(corpus, order=list(range(24)), rows=24)
    assert sum(sum(counts) for _, counts in table["rows"]) == corpus.extracted.sum()
    assert table["columns"] == [str(number) for number in range(9)]
    corpus.round = np.where(corpus.round > 0, corpus.round * 12, corpus.round)
    joined = findings.heat(corpus, order=list(range(24)), rows=3)
    assert joined["columns"][0] == "0–2"
    assert joined["columns"][-1] == "96"
    assert len(joined["rows"]) == 3
    assert joined["left_out"] == len(table["rows"]) - 3
    corpus.round = np.maximum(corpus.round, 1)
    assert table["warm_up"]
    assert not findings.heat(corpus, order=[0])["warm_up"]


def test_samples_show_the_span_in_its_document(run):
    texts = {row["id"]: row["text"] for row in read_rows(run / "documents.parquet", ["id", "text"])}
    arms = read_rows(run / "arms.parquet")
    samples = findings.samples(run, best=list(range(24)), arms=arms)
    assert [sample["kind"] for sample in samples] == ["near"] * 6 + ["far"] * 2
    for sample in samples:
        assert (
            sample["span"]
            == texts[sample["document_id"]][sample["start"] : sample["end"]]
            == sample["answer"]
        )
        assert sample["arm"]["pull"] == sample["pull"]
    similarity = pq.read_table(run / "pairs.parquet")["similarity"].to_numpy()
    assert {sample["similarity"] for sample in samples if sample["kind"] == "far"} == set(
        np.sort(similarity)[:2]
    )


def test_drops_are_counted_by_stage_and_reason(run, page):
    rows = findings.drops(run / "rejected.parquet")
    assert {(row["stage"], row["reason"]): row["count"] for row in rows}["duplicates", "near duplicate"] == 38
    assert sum(row["count"] for row in rows) == pq.read_metadata(run / "rejected.parquet").num_rows
    assert all(len(row["examples"]) <= 3 for row in rows)
    assert "near duplicate 38" in page.text


def test_same_tables_give_the_same_page(run):
    first = write_report(run).read_bytes()
    assert write_report(run).read_bytes() == first


def test_a_run_that_trained_and_compared_nothing_has_a_page(tmp_path):
    run = write_run(tmp_path / "bare", documents=60, clusters=4, rounds=2, train=False)
    summary = json.loads((run / "summary.json").read_text())
    kept = ("documents", "extracted_documents", "tokens_total", "tokens_read", "pairs", "strategy")
    write_json(run / "summary.json", {name: summary[name] for name in kept})
    (run / "costs.jsonl").unlink()
    (run / "settings.yaml").unlink()
    text = Page(write_report(run).read_text()).text
    assert "training pairs from" in text
    assert "Student" not in text


def test_a_run_without_pairs_has_a_page(tmp_path):
    run = write_run(tmp_path / "empty", documents=60, clusters=4, rounds=2)
    for name in ("pairs", "arms", "rejected"):
        path = run / f"{name}.parquet"
        pq.write_table(pq.read_table(path).slice(0, 0), path)
    summary = json.loads((run / "summary.json").read_text())
    write_json(
        run / "summary.json",
        {**summary, "pairs": 0, "transport_heldout": None, "rounds": [], "comparison": []},
    )
    text = Page(write_report(run).read_text()).text
    assert "0 training pairs" in text
    assert "Nothing." in text


def test_page_stays_small_and_tells_no_folder_of_the_machine(tmp_path):
    run = write_run(tmp_path / "large", documents=5_000, clusters=50, rounds=12)
    (run / "settings.yaml").write_text(
        "corpus: [/home/ann/secret/corpus.jsonl]\nstudent: tiny\nruns_dir: /home/ann/runs\n"
    )
    path = write_report(run)
    text = path.read_text()
    assert path.stat().st_size < 400_000
    assert "…/corpus.jsonl" in text
    assert not re.search(r"/home/|secret", text)
    assert str(tmp_path) not in text


def test_page_tells_no_password_and_no_token_of_a_url(tmp_path):
    run = write_run(tmp_path / "spring", documents=80, clusters=4, rounds=3)
    (run / "settings.yaml").write_text(
        "corpus: ['https://ann:PASSWORD@host/data/x.jsonl', 's3://bucket/y.jsonl', 'plain?.jsonl']\n"
        "target: https://store/t.jsonl?se=2026-01-01T00:00:00Z&sig=SIGNATURE\n"
    )
    text = write_report(run).read_text()
    assert "PASSWORD" not in text
    assert "SIGNATURE" not in text
    for kept in ("https://host/data/x.jsonl", "s3://bucket/y.jsonl", "plain?.jsonl", "https://store/t.jsonl"):
        assert kept in text


def test_no_id_is_too_long_for_the_page_and_no_cut_shows_half_a_password(tmp_path):
    run = write_run(tmp_path / "spring", documents=80, clusters=4, rounds=3)
    url = f"https://ann:{'PASSWORD' * 30}@host/{'a/' * 200}x.jsonl:7: is empty"
    row = {"stage": "read", "reason": "empty", "id": "a" * 300_000, "detail": url}
    write_table(run / "rejected.parquet", [row], REJECTED)
    text = write_report(run).read_text()
    assert "https://host/a/a/" in text
    assert "PASSWORD" not in text
    assert "a" * 161 not in text


def test_an_arm_that_was_pulled_to_know_it_was_not_yet_tried(tmp_path):
    run = write_run(tmp_path / "spring", documents=80, clusters=4, rounds=3)
    arms = [{**row, "bonus": math.inf if row["round"] else None} for row in read_rows(run / "arms.parquet")]
    write_table(run / "arms.parquet", arms, ARMS)
    text = Page(write_report(run).read_text()).text
    assert "not yet tried" in text
    assert "bonus inf" not in text


def test_names_of_sources_break_at_their_joints_and_are_no_longer_than_a_line(tmp_path):
    run = write_run(tmp_path / "spring", documents=80, clusters=4, rounds=3)
    documents = [{**row, "source": "guide/" + "x" * 90} for row in read_rows(run / "documents.parquet")]
    write_table(run / "documents.parquet", documents, DOCUMENTS)
    page = write_report(run).read_text()
    assert f"guide/<wbr>{'x' * 51}..." in page
    assert "x" * 52 not in page


def test_page_says_what_was_tried_of_how_many_to_keep(run, page):
    amount = read_json(run / "summary.json")["amounts"][-1]
    assert f"the {amount['kept']} that are kept of {amount['pairs']:,} left the lowest loss" in page.text
    assert "Pairs trained on 128 256 512 Loss on the reference 4.610 4.550 4.630" in page.text


def test_page_of_a_run_that_tried_nothing_has_no_word_on_it(tmp_path):
    run = write_run(tmp_path / "older", documents=120, clusters=6, rounds=3)
    summary = read_json(run / "summary.json")
    del summary["amounts"]
    write_json(run / "summary.json", summary)
    assert "How many pairs to keep" not in Page(write_report(run).read_text(encoding="utf-8")).text
