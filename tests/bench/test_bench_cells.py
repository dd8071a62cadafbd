"""What the comparison's cells are made of: targets whose parts share no problem, and the demo's own settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tasks.run.settings import read_yaml
from tests.bench import cells, targets

THINGS = ("apples", "books", "cards", "dogs", "eggs", "forks", "games", "hats")
PLACES = ("at home", "in town", "by the sea", "near the mill", "on the hill", "under a tree", "at school")


def problem(family: int, variant: int) -> dict[str, Any]:
    thing, place = THINGS[family % 8], PLACES[family // 8]
    body = f"Person{chr(97 + family % 26)} keeps {variant + 1} {thing} {place}. {variant * 3} of them are {thing}-shaped"
    return {"Body": body, "Question": f"How many {thing}?", "Equation": "( 7.0 - 4.0 )", "Answer": 3.0}


def test_problems_that_differ_in_their_numbers_are_on_one_side() -> None:
    problems = [problem(family, variant) for variant in range(20) for family in range(50)]
    reference, test = targets.svamp(problems)
    assert (len(reference), len(test)) == (targets.REFERENCE, targets.TEST)

    def stories(part: list[dict[str, Any]]) -> set[str]:
        return {" ".join(word for word in one["question"].split() if not word.isdigit()) for one in part}

    assert len(stories(reference)) > 15  # not the few that would fill a part with all their variants
    assert len(stories(test)) > 25
    assert not stories(reference) & stories(test)


def test_a_family_is_a_shared_first_sentence_or_eight_shared_words() -> None:
    labels = targets.families(
        [
            "Kelly has 3 games. How many will she keep?",
            "Kelly has 1,200 games. Who gave them?",  # the first's first sentence
            "In May, who gave them all of the 5 old red cards?",
            "Who knows? Now who gave them all of the 7 old red ones?",  # the third's run
            "Ann gave them all of the 5 old pens. Who knows?",  # only seven words of it
        ]
    ).tolist()
    assert labels[0] == labels[1]
    assert labels[2] == labels[3]
    assert len({labels[0], labels[2], labels[4]}) == 3


def test_the_answer_is_the_equation_and_its_result() -> None:
    assert targets._equation({"Equation": "( 76.0 - 25.0 )", "Answer": 51.0}) == "76 - 25 = 51"
    assert (
        targets._equation({"Equation": "( ( 10.0 + 3.0 ) + 7.0 )", "Answer": 20.0}) == "( 10 + 3 ) + 7 = 20"
    )
    assert targets._equation({"Equation": "( 3.0 / 2.0 )", "Answer": 1.5}) == "3 / 2 = 1.5"
    assert targets._equation({"Equation": "8.0", "Answer": 8.0}) == "8 = 8"


def test_the_demos_cell_has_the_demos_target_and_the_products_student(tmp_path: Path) -> None:
    demo = read_yaml(targets.ROOT / "data" / "demo.yaml")
    own = cells.settings(cells.Cell("demo", "doctests"), tmp_path)
    assert {name: getattr(own, name) for name in ("target", "test_share", "corpus_share", "rounds")} == {
        name: demo[name] for name in ("target", "test_share", "corpus_share", "rounds")
    }
    assert own.pretrain_tokens == type(own).model_fields["pretrain_tokens"].default != demo["pretrain_tokens"]
