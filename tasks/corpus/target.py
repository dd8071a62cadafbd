"""The examples of the task the user cares about: a reference part that guides, a test part that judges."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tasks.corpus.decontaminate import Decontaminator
from tasks.corpus.examples import ExampleFields, example_key, folded, look_at_examples, read_examples
from tasks.corpus.formats import given_with
from tasks.records import BadInput, Example, Reject
from tasks.run.seeds import generator
from tasks.storage.tables import write_text

_FEWEST = 2  # examples on either side


@dataclass(frozen=True, slots=True)
class Target:
    """Examples of a task, in two parts that share nothing.

    Args:
        reference: what the selection may look at.
        test: what judges, never seen by the selection.
        rejects: items that are in neither.
    """

    reference: list[Example]
    test: list[Example]
    rejects: list[Reject] = field(default_factory=list)

    def save(self, folder: Path) -> None:
        """Writes reference.jsonl and test.jsonl into a folder."""
        for name, examples in (("reference", self.reference), ("test", self.test)):
            lines = [json.dumps(asdict(example), ensure_ascii=False) + "\n" for example in examples]
            write_text(folder / f"{name}.jsonl", "".join(lines))

    @classmethod
    def load(cls, folder: Path) -> Target:
        """Reads what `save` wrote; rejects are not among it."""

        def examples(name: str) -> list[Example]:
            with (folder / f"{name}.jsonl").open(encoding="utf-8") as file:
                return [Example(**json.loads(line)) for line in file]

        return cls(examples("reference"), examples("test"))


def read_target(
    target: str,
    test: str = "",
    *,
    test_share: float = 0.5,
    question_field: str = "question",
    answer_field: str = "answer",
    text_fields: Sequence[str] = (),
    seed: int = 0,
    ngram: int = 13,
    flag: str = "--target",
) -> Target:
    """Reads a target and parts it.

    Args:
        target: path of JSON (lines or an array), CSV or Parquet, or "doctest:MODULE,..."; with the two fields, or in one of
            the forms of `tasks.corpus.conversations`.
        test: the same, for the examples that judge; empty to draw them from the target.
        test_share: share of the target that judges when `test` is empty; groups stay whole.
        question_field: field of the question; "body+question" joins several.
        answer_field: field of the answer.
        text_fields: fields that may hold the text of an item without question and answer, the first that is there; none where
            examples may not be plain texts. A file is all of one kind.
        seed: of the draw.
        ngram: a reference example that shares this many words in a row with a test example is dropped, as is one with
            the same question.
        flag: that names the target, for messages.

    Raises:
        BadInput: a file that is missing or damaged, a wrong field name, no answers, a test part equal to the reference
            part, or fewer than two examples on either side.
    """
    rejects: list[Reject] = []
    fields = ExampleFields(question_field, answer_field, tuple(text_fields))
    with given_with(flag):
        reference = read_examples(target, fields, rejects.append)
    gone = Counter(reject.reason for reject in rejects)  # of the target, before it is parted
    items = len(reference) + gone.total()
    if test:
        with given_with("--test"):
            judging = read_examples(test, fields, rejects.append)
        if {example_key(example) for example in reference} == {example_key(example) for example in judging}:
            raise BadInput(f"--test {test}: the same examples as {flag} {target}; a test must hold others")
    else:
        reference, judging = _part(reference, test_share, seed)
    kept = _without_overlap(reference, judging, ngram, rejects.append)
    overlapping = len(reference) - len(kept)
    judge = {} if test else {"kept to judge by": len(judging)}
    if len(kept) < _FEWEST:
        why = _why({**gone, **judge, "overlapping the test part": overlapping})
        raise BadInput(
            f"{flag} {target}: {len(kept)} of {items} examples left to guide the selection, {_FEWEST} at least are needed{why}; "
            f"give more{'' if test else ', or a separate --test'}"
        )
    if len(judging) < _FEWEST:
        given = f"--test {test}" if test else f"{flag} {target}"
        more = "" if test else ", a larger --test-share, or a separate --test"
        why = "" if test else _why({**gone, "kept to guide the selection": len(reference)})
        raise BadInput(
            f"{given}: {len(judging)} example{'' if len(judging) == 1 else 's'} to judge by, {_FEWEST} at least are needed{why}; "
            f"give more{more}"
        )
    return Target(kept, judging, rejects)


def read_guides(
    name: str,
    judging: Sequence[Example],
    *,
    question_field: str = "question",
    answer_field: str = "answer",
    ngram: int = 13,
    flag: str = "--reference",
) -> tuple[list[Example], list[Reject]]:
    """Examples that guide, of a file of their own.

    Args:
        name, question_field, answer_field, ngram, flag: as of `read_target`, of the file.
        judging: the examples that judge.

    Returns:
        Those that do not overlap the examples that judge, and what was left out.

    Raises:
        BadInput: a file that is missing or damaged, a wrong field name, no answers, or fewer than two examples left.
    """
    rejects: list[Reject] = []
    with given_with(flag):
        found = read_examples(name, ExampleFields(question_field, answer_field, ()), rejects.append)
    gone = Counter(reject.reason for reject in rejects)
    kept = _without_overlap(found, judging, ngram, rejects.append)
    if len(kept) < _FEWEST:
        why = _why({**gone, "overlapping the test part": len(found) - len(kept)})
        raise BadInput(
            f"{flag} {name}: {len(kept)} example{'' if len(kept) == 1 else 's'} left to guide the selection, "
            f"{_FEWEST} at least are needed{why}; give more"
        )
    return kept, rejects


def _why(gone: dict[str, int]) -> str:
    """What became of examples, as " (3 duplicate, 1 no answer)"."""
    said = ", ".join(f"{count} {what}" for what, count in gone.items() if count)
    return f" ({said})" if said else ""


def check_target(
    target: str,
    test: str = "",
    *,
    question_field: str = "question",
    answer_field: str = "answer",
    text_fields: Sequence[str] = (),
    flag: str = "--target",
    **parting: Any,
) -> None:
    """What can be found wrong with a target in a moment: missing files, unknown kinds, wrong field names; of small files all.

    Args:
        parting: test_share, seed and ngram, as of `read_target`, whose other arguments these are too.

    Raises:
        BadInput: the first problem.
    """
    fields = ExampleFields(question_field, answer_field, tuple(text_fields))
    small = []
    for given, name in ((flag, target), ("--test", test)):
        if name or given != "--test":
            with given_with(given):
                small.append(look_at_examples(name, fields))
    if all(small):
        read_target(
            target,
            test,
            question_field=question_field,
            answer_field=answer_field,
            text_fields=text_fields,
            flag=flag,
            **parting,
        )


def check_guides(
    name: str, *, question_field: str = "question", answer_field: str = "answer", flag: str = "--reference"
) -> None:
    """What can be found wrong with examples that guide in a moment; of a small file all but the overlap.

    Raises:
        BadInput: the first problem.
    """
    with given_with(flag):
        is_whole = look_at_examples(name, ExampleFields(question_field, answer_field, ()))
    if is_whole:
        read_guides(name, [], question_field=question_field, answer_field=answer_field, flag=flag)


def _part(examples: list[Example], test_share: float, seed: int) -> tuple[list[Example], list[Example]]:
    """Reference and test part; whole groups in random order judge until the share is reached."""
    sizes: dict[str, int] = {}
    for example in examples:
        sizes[example.group] = sizes.get(example.group, 0) + 1
    groups = list(sizes)
    judging: set[str] = set()
    taken = 0
    for index in generator(seed, "target", "test part").permutation(len(groups)):
        if taken >= test_share * len(examples):
            break
        judging.add(groups[index])
        taken += sizes[groups[index]]
    reference = [example for example in examples if example.group not in judging]
    return reference, [example for example in examples if example.group in judging]


def _without_overlap(
    reference: list[Example], judging: Sequence[Example], ngram: int, reject: Callable[[Reject], None]
) -> list[Example]:
    questions = {folded(example.question) for example in judging}
    shared = Decontaminator(judging, ngram).overlaps([f"{one.question}\n{one.answer}" for one in reference])
    kept = []
    for example, words in zip(reference, shared, strict=True):
        if example.question and folded(example.question) in questions:
            reject(Reject("target", "overlaps the test part", example.id, "the same question"))
        elif words is not None:
            reject(Reject("target", "overlaps the test part", example.id, words))
        else:
            kept.append(example)
    return kept
