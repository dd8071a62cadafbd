"""A corpus where looks deceive: pages as near to the target as the good ones, whose extraction gives nothing or rubbish.

Made of the public mixture: every page of its two mathematics books is put on one of nine made-up sites by a hash of its
id. Three sites show their pages whole. Three show the problems and hide the solutions from visitors, so that a page gives
no pairs. Three hide them as well, and carry the questions and answers of a health site instead, so that a page gives pairs
that have nothing to do with it. Every site has a header and a footer of its own, the good ones too, as pages of the web
have: what tells the sites apart can be learnt from what was read, and from nothing else. All other pages are as they were.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import xxhash

MATHEMATICS = ("openstax_prealgebra_algebra", "openstax_college_algebra")
HEALTH = "medquad_health"
_SOLUTION = re.compile(r"^(?:Solution|Answer):.*?(?=\n\n|\n(?:Problem|Exercise):|\Z)", re.M | re.S)

OPEN, HIDDEN, SPONSORED = "open", "hidden", "sponsored"
# name, what it does, header, footer, and what stands in a solution's place
SITES = (
    ("Chalkboard Commons", OPEN, "A free library of exercises kept by teachers.", "Share alike.", ""),
    ("Numberbarn", OPEN, "Practice sheets for the classroom.", "Print this sheet and hand it out.", ""),
    ("Slate and Sum", OPEN, "Notes of an evening school.", "Corrections are welcome by post.", ""),
    ("MathVault", HIDDEN, "Sign in to your vault.", "Upgrade your plan today.", "Unlock with a premium plan."),
    ("Homework Harbor", HIDDEN, "Tutors are online.", "Download the app.", "Ask a tutor to see this step."),
    ("StepWise Pro", HIDDEN, "Start your free trial.", "Cancel at any time.", "Visible to subscribers only."),
    ("QuizDaily", SPONSORED, "Brought to you by our partners.", "Advertise with us.", ""),
    ("Brainy Break", SPONSORED, "Puzzles, health and lifestyle.", "Accept all cookies.", ""),
    ("Study Lounge", SPONSORED, "Trending stories for students.", "Follow us for more stories.", ""),
)  # fmt: skip

Facts = dict[str, Any]


def deceive(pages: Sequence[Facts], health: Sequence[tuple[str, str]]) -> Iterator[Facts]:
    """The pages, those of mathematics put on their sites.

    Args:
        pages: records with id, text and source.
        health: questions and answers for the sponsored sites, three a page; a page takes the next ones.
    """
    stories = iter(health)
    for page in pages:
        if page["source"] not in MATHEMATICS:
            yield page
            continue
        name, kind, header, footer, instead = SITES[xxhash.xxh64_intdigest(page["id"].encode()) % len(SITES)]
        text = page["text"]
        if kind != OPEN:
            text = _SOLUTION.sub(instead, text)
        if kind == SPONSORED:
            text += "".join(
                f"\n\nQ: {' '.join(question.split())}\nA: {' '.join(answer.split())[:600]}"
                for question, answer in islice(stories, 3)
            )
        yield {**page, "text": f"{name}. {header}\n\n{text}\n\n{name}. {footer}"}
