import tempfile
from pathlib import Path

import numpy as np
import pytest

from tasks.corpus.duplicates import NearDuplicates, exact_key, sign
from tasks.corpus.template import DocumentFrequency, Template, content, shingles
from tasks.corpus.words import hash_words, words

NOTHING = Template((np.empty(0, np.uint32), np.empty(0, np.uint32)))


def text(rng: np.random.Generator, count: int) -> list[str]:
    return [f"w{number}" for number in rng.integers(0, 50_000, count)]


def find(texts: list[str], threshold: float = 0.8, learn: bool = True) -> dict[int, str]:
    """Number of the dropped text -> id of the kept one it repeats."""
    hashed = shingles(hash_words(texts))
    frequency = DocumentFrequency()
    frequency.add(np.concatenate(hashed), len(hashed))
    template = frequency.template() if learn else NOTHING
    with tempfile.TemporaryDirectory() as folder:
        near = NearDuplicates(Path(folder, "signatures"), threshold)
        for start in range(0, len(texts), 7):
            near.add(sign(hashed[start : start + 7], template, threshold))
        near.freeze()
        found = {n: near.find_or_keep(n, str(n)) for n in range(len(texts))}
    return {n: hit[0] for n, hit in found.items() if hit}


def test_shingles_are_the_sets_of_word_runs_within_each_text() -> None:
    texts = ["a b c d e f", "too short", "", "x a b c d e f a b c d e", "Ä, b-c; d?e!f"]
    hashed = shingles(hash_words(texts))
    runs = [{tuple(w[i : i + 5]) for i in range(len(w) - 4)} for w in map(words, texts)]
    assert [len(one) for one in hashed] == [len(one) for one in runs]
    for i in range(len(texts)):
        for j in range(len(texts)):
            assert len(np.intersect1d(hashed[i], hashed[j])) == len(runs[i] & runs[j])


def test_scripts_without_spaces_are_read_by_character() -> None:
    assert words("日本語 text") == ["日", "本", "語", "text"]
    assert words("한국어 문장") == ["한국어", "문장"]  # Korean writes them


def test_signatures_estimate_the_jaccard_similarity_of_the_sets() -> None:
    rng = np.random.default_rng(0)
    errors = []
    for share in (0.95, 0.9, 0.7, 0.5):
        for _ in range(20):
            base = rng.integers(0, 2**63, 600).astype(np.uint64)
            other = base.copy()
            changed = rng.random(600) > share
            other[changed] = rng.integers(0, 2**63, changed.sum()).astype(np.uint64)
            signed = sign([base, other], NOTHING, 0.8).signatures
            true = len(np.intersect1d(base, other)) / len(np.union1d(base, other))
            errors.append((signed[0] == signed[1]).mean() - true)
    assert abs(np.mean(errors)) < 0.01
    assert np.std(errors) < 0.05  # sqrt(J (1 - J) / 128) is at most .044


def test_a_lightly_edited_copy_is_dropped_and_an_unrelated_text_is_kept() -> None:
    rng = np.random.default_rng(1)
    texts = []
    for _ in range(60):
        original = text(rng, 400)
        copy = original.copy()
        copy[rng.integers(0, 400)] = "edited"
        texts += [" ".join(original), " ".join(copy)]
    assert find(texts) == {n: str(n - 1) for n in range(1, 120, 2)}


def test_template_does_not_make_duplicates_of_documents_with_their_own_content() -> None:
    rng = np.random.default_rng(2)
    template = text(rng, 200)
    texts = [" ".join([*template, *text(rng, 12)]) for _ in range(100)]
    assert len(find(texts, learn=False)) > 90  # what plain MinHash does
    assert find(texts) == {}


def forms(rng: np.random.Generator, count: int, printed: int, entries: int) -> list[str]:
    """Documents that share `printed` words and differ in `entries` words at the end."""
    form = text(rng, printed)
    return [" ".join([*form, *text(rng, entries)]) for _ in range(count)]


def jaccard(one: str, two: str) -> float:
    first, second = shingles(hash_words([one, two]))
    return len(np.intersect1d(first, second)) / len(np.union1d(first, second))


@pytest.mark.parametrize(("printed", "entries", "learn"), [(385, 15, True), (330, 70, False)])
def test_forms_below_the_threshold_are_kept_however_many_there_are(
    printed: int, entries: int, learn: bool
) -> None:
    """The largest of many estimates is far above the similarity: what decides is the similarity itself."""
    texts = forms(np.random.default_rng(6), 300, printed, entries)
    assert 0.015 < (0.95 if learn else 0.8) - jaccard(*texts[:2]) < 0.15
    assert find(texts, learn=learn) == {}


def test_copies_are_found_in_a_large_family_of_forms() -> None:
    rng = np.random.default_rng(7)
    texts = forms(rng, 400, 385, 15)
    copies = [f"{one} {number}" for number, one in enumerate(texts[::4])]
    found = find([*texts, *copies])
    assert len(found) >= 90  # a signature of 128 is that of the bare form in some 5 of 100
    assert found.items() <= {400 + number: str(4 * number) for number in range(100)}.items()


def test_a_question_costs_no_more_in_a_larger_family(tmp_path: Path) -> None:
    hashed = shingles(hash_words(forms(np.random.default_rng(8), 600, 385, 15)))
    near = NearDuplicates(tmp_path / "signatures", 0.95)
    near.add(sign(hashed, NOTHING, 0.95))
    near.freeze()
    seen: list[int] = []
    similarity = near._similarity

    def counted(row: int, other: int) -> float:
        seen[-1] += 1
        return similarity(row, other)

    near._similarity = counted  # type: ignore[method-assign]
    for row in range(600):
        seen.append(0)
        assert near.find_or_keep(row, str(row)) is None
    assert max(seen) == 16
    assert near._filled.max() == 32


def test_batches_do_not_matter(tmp_path: Path) -> None:
    hashed = shingles(hash_words(forms(np.random.default_rng(9), 60, 300, 15)))
    whole = sign(hashed, NOTHING, 0.8)
    parts = [sign(hashed[start : start + 7], NOTHING, 0.8) for start in range(0, 60, 7)]
    for field in ("signatures", "thresholds", "shingles", "sizes"):
        joined = np.concatenate([getattr(part, field) for part in parts])
        assert np.array_equal(getattr(whole, field), joined)


def test_many_copies_of_a_page_are_not_mistaken_for_a_template() -> None:
    rng = np.random.default_rng(3)
    page = text(rng, 500)
    texts = [" ".join([*page, f"visitor{n}"]) for n in range(100)]
    assert set(find(texts)) == set(range(1, 100))


def test_short_forms_that_differ_in_one_entry_are_kept() -> None:
    form = "the patient {} was seen today and sent home with advice to return in a week if no better"
    assert find([form.format(f"name{n}") for n in range(100)]) == {}


def test_texts_too_short_to_compare_are_kept() -> None:
    assert find(["one two three", "four five six", "!!!", ""]) == {}


def test_exact_keys_ignore_case_and_white_space_alone() -> None:
    assert exact_key("A  b\n\nc") == exact_key("a B c")
    assert exact_key("x + y") != exact_key("x - y")


def test_template_is_what_stands_in_at_least_twenty_documents() -> None:
    rng = np.random.default_rng(4)
    rare, common = rng.integers(0, 2**63, (2, 2000)).astype(np.uint64)
    frequency = DocumentFrequency()
    for number in range(40):
        own = rng.integers(0, 2**63, 500).astype(np.uint64)
        shared = [common] * (number % 2) + [rare] * (number % 2 and number < 38)
        frequency.add(np.unique(np.concatenate([own, *shared])), 1)
    tables = frequency.template().tables()
    assert len(content(common, tables)) == 0  # in 20 documents: never underestimated
    assert len(content(rare, tables)) > 1990  # in 19: hardly ever overestimated


def test_long_documents_do_not_become_template_by_filling_the_sketch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.corpus.template._COUNTERS", 1 << 14)
    frequency = DocumentFrequency()
    books = np.random.default_rng(10).integers(0, 2**63, (24, 1 << 14)).astype(np.uint64)
    for book in books:
        frequency.add(book, 1)
    assert len(content(books[0], frequency.template().tables())) > 0.99 * len(books[0])


@pytest.mark.parametrize("threshold", [0.6, 0.9, 0.99, 1.0])
def test_the_threshold_decides(threshold: float) -> None:
    rng = np.random.default_rng(5)
    original = text(rng, 1000)
    copy = original[:870] + text(rng, 130)  # Jaccard about .77
    assert find([" ".join(original), " ".join(copy)], threshold) == ({1: "0"} if threshold == 0.6 else {})
