"""The model, what its loss says of the reference, and the direction that candidates are compared with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.corpus.target import Target
from tasks.prepare.documents import read_documents
from tasks.prepare.student import make_model, model_path
from tasks.quad.scoring import chunks, load_model
from tasks.quad.settings import QuadSettings
from tasks.records import Example
from tasks.run.folder import digest
from tasks.run.seeds import generator
from tasks.run.tables import atomic_path
from tasks.train.format import Examples, encode_pairs
from tasks.train.threads import threads_for

if TYPE_CHECKING:
    from tasks.select.influence.factors import Factors

Facts = dict[str, Any]

FACTORS, DIRECTION = "stages/factors.safetensors", "stages/direction.safetensors"


def model(run: Path, settings: QuadSettings, corpus: Facts) -> Facts:
    """The tiny model, made on the corpus's raw text; one that is given stays where it is."""
    return make_model(run, settings, settings.model)


def curvature(run: Path, settings: QuadSettings, corpus: Facts, target: Facts, model: Facts) -> Facts:
    """Factors of the model's curvature, and the reference's gradient preconditioned with them: made once, for all scores."""
    from safetensors.torch import save_file

    from tasks.select.influence.factors import fit_factors
    from tasks.select.influence.scores import Curvature, reference_direction

    path = model_path(run, settings.model)
    own, tokenizer = load_model(path, model["model"])
    rows = generator(settings.seed, "curvature").permutation(corpus["documents"])
    texts = [
        document["text"] for document in read_documents(run, rows[: settings.curvature_documents].tolist())
    ]
    sample, _ = chunks(tokenizer, texts, settings.sequence_tokens)
    given = Curvature(settings.layers, damping=settings.damping)
    with threads_for(settings.model):
        factors = _known_factors(run, own) or fit_factors(
            own, sample, settings.layers, batch_tokens=settings.batch_tokens
        )
        factors.save(run / FACTORS)
        direction = reference_direction(
            own,
            reference_examples(tokenizer, Target.load(run / "target").reference, settings.sequence_tokens),
            given,
            factors,
            batch_tokens=settings.batch_tokens,
        )
    with atomic_path(run / DIRECTION) as temporary:
        save_file({name: matrix.cpu().contiguous() for name, matrix in direction.items()}, temporary)
    return {
        "files": [FACTORS, DIRECTION],
        "mark": digest(run / DIRECTION),
        "layers": len(direction),
        "parameters": sum(matrix.numel() for matrix in direction.values()),
    }


def _known_factors(run: Path, model: Any) -> Factors | None:
    """Those that a try before this one has left, if they are of this model."""
    from tasks.select.influence.factors import Factors, fingerprint

    if not (run / FACTORS).exists():
        return None
    found = Factors.load(run / FACTORS, next(model.parameters()).device)
    return found if found.model == fingerprint(model) else None


def reference_examples(tokenizer: Any, examples: list[Example], sequence_tokens: int) -> Examples:
    """Questions with their answers, of which the answers bear the loss."""
    pairs = [(example.question, example.answer) for example in examples]
    return encode_pairs(tokenizer, pairs, sequence_tokens)
