"""The cheap checks before anything starts: one clear line for what cannot work."""

from __future__ import annotations

import numpy as np

from tasks.corpus.formats import given_with
from tasks.corpus.read import fingerprint
from tasks.crowd.cluster import models
from tasks.crowd.cluster.read import read_confusion
from tasks.crowd.cluster.records import candidates_of
from tasks.crowd.cluster.settings import ClusterSettings
from tasks.llm.settings import absolute_model, model_fingerprints
from tasks.records import BadInput
from tasks.routing import choose_band
from tasks.run.folder import absolute_file, check_runs_dir, check_unused, in_one_line, versions

FLOW = "crowd-cluster"
_FILES = ("pairs", "left", "right", "simulate", "truth")


@in_one_line()
def absolute(settings: ClusterSettings) -> ClusterSettings:
    """Local paths made absolute, so that a run can be continued from another folder."""
    return settings.model_copy(
        update={
            **{name: absolute_file(getattr(settings, name)) for name in (*_FILES, "price_table")},
            "answers": [absolute_file(path) for path in settings.answers],
            "judges": [absolute_model(settings, name) for name in settings.judges],
        }
    )


def input_fingerprints(settings: ClusterSettings) -> dict[str, str]:
    """Fingerprint of everything that a run reads, by name."""
    given = {name: getattr(settings, name) for name in _FILES}
    return {
        **{name: fingerprint([path]) if path else "" for name, path in given.items()},
        "answers": fingerprint(settings.answers) if settings.answers else "",
        **model_fingerprints(judges=settings.judges),
        "Sluice's version": versions()["sluice"],
    }


@in_one_line()
def check_inputs(settings: ClusterSettings) -> None:
    """What is wrong with the pairs, the tables and the crowd.

    Raises:
        BadInput: one line.
    """
    if not settings.resume:
        check_unused(FLOW, settings)
    check_runs_dir(FLOW, settings)
    if settings.right and not settings.left:
        raise BadInput("--right is the other table of --left; give both, or none")
    if settings.one_table and settings.right:
        raise BadInput("--one-table: there are two tables; leave out --right or --one-table")
    if settings.sample and (settings.below is not None or settings.above is not None):
        raise BadInput("--sample chooses what --below and --above say; give it, or them")
    nobody = np.zeros(0)
    wanted = choose_band(nobody, nobody, error=settings.error, confidence=settings.confidence).wanted
    if 0 < settings.sample < wanted:
        raise BadInput(
            f"--sample {settings.sample}: an error of {settings.error} with confidence {settings.confidence} takes {wanted} at least; "
            "give more, or a larger --error"
        )
    if None not in (settings.below, settings.above) and settings.below >= settings.above:  # type: ignore[operator]
        raise BadInput(
            f"--below {settings.below} and --above {settings.above} leave nothing to ask; give --below the smaller"
        )
    if settings.simulate:
        if not settings.truth:
            raise BadInput("--simulate needs --truth, of which its workers err")
        if settings.answers or settings.judges:
            raise BadInput("--simulate draws answers; leave out --answers and --judges")
        with given_with("--simulate"):
            workers = read_confusion(settings.simulate).workers
        if len(workers) < settings.redundancy:
            raise BadInput(
                f"--redundancy {settings.redundancy}: --simulate has {len(workers)} workers, and none answers a pair twice"
            )
    each = len(settings.judges) or settings.redundancy
    if each == 1 and settings.merge != "mv" and not settings.answers:
        flag = "--judges" if settings.judges else "--redundancy 1"
        raise BadInput(
            f"--merge {settings.merge} learns by comparing workers, and with {'one of ' if settings.judges else ''}{flag} no two answer "
            "the same pair; take mv"
        )
    models.check(settings)
    candidates_of(settings)
