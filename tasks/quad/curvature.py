"""The model, what its loss says of the reference, and the direction that candidates are compared with."""

from __future__ import annotations

from itertools import chain
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.corpus.target import Target
from tasks.prepare.documents import read_documents
from tasks.prepare.student import make_model, model_path
from tasks.quad.scoring import chunks, load_model
from tasks.quad.settings import QuadSettings
from tasks.records import BadInput, Example
from tasks.run.folder import digest
from tasks.run.seeds import generator
from tasks.train.checkpoint import model_fingerprint
from tasks.train.format import Examples, concatenated, encode_pairs
from tasks.train.threads import threads_for

if TYPE_CHECKING:
    from tasks.select.influence.factors import Factors
    from tasks.select.influence.scores import Direction

Facts = dict[str, Any]


def factors_path(run: Path, number: int) -> Path:
    """Where the factors of a model are: 0 for the model itself, then its checkpoints."""
    return run / f"stages/factors-{number}.safetensors"


def direction_path(run: Path, number: int) -> Path:
    """Where the reference's preconditioned gradient by that model is."""
    return run / f"stages/direction-{number}.safetensors"


def model_paths(run: Path, settings: QuadSettings) -> list[str]:
    """The model, then its checkpoints: those that documents are scored by."""
    return [model_path(run, settings.model), *settings.checkpoints]


def model(run: Path, settings: QuadSettings, corpus: Facts) -> Facts:
    """The tiny model, made on the corpus's raw text; one that is given stays where it is."""
    return make_model(run, settings, settings.model)


def curvature(run: Path, settings: QuadSettings, corpus: Facts, target: Facts, model: Facts) -> Facts:
    """Factors of the curvature of the model and of each checkpoint, and the reference's gradient preconditioned with them.

    Made once, for all scores.

    Raises:
        BadInput: a checkpoint has other layers than the model, so that their scores are no mean of one thing.
    """
    from tasks.select.influence.layers import linear_layers

    rows = generator(settings.seed, "curvature").permutation(corpus["documents"])
    texts = [
        document["text"] for document in read_documents(run, rows[: settings.curvature_documents].tolist())
    ]
    reference = Target.load(run / "target").reference
    paths = model_paths(run, settings)
    shapes: list[dict[str, tuple[int, int]]] = []
    for number, path in enumerate(paths):
        mark = f"{model['model']} {model_fingerprint(path)}"
        with threads_for(settings.model):
            loaded = load_model(path, mark)
            layers = linear_layers(loaded[0], settings.layers, projection=settings.projection)
            shapes.append({name: layer.shape for name, layer in layers.items()})
            if shapes[number] != shapes[0]:
                raise BadInput(f"--checkpoints {path}: its layers are not those of --model {settings.model}")
            made = _direction(run, settings, number, loaded, texts, reference)
        made.save(direction_path(run, number))
    files = [[path(run, number) for number in range(len(paths))] for path in (factors_path, direction_path)]
    return {
        "files": [str(path.relative_to(run)) for path in chain(*files)],
        "mark": " ".join(map(digest, files[1])),
        "layers": len(shapes[0]),
        "parameters": sum(map(prod, shapes[0].values())),
    }


def _direction(
    run: Path,
    settings: QuadSettings,
    number: int,
    loaded: tuple[Any, Any],
    texts: list[str],
    reference: list[Example],
) -> Direction:
    from tasks.select.influence.factors import fit_factors
    from tasks.select.influence.scores import Curvature, reference_direction

    model, tokenizer = loaded
    sample, _ = chunks(tokenizer, texts, settings.sequence_tokens)
    path = factors_path(run, number)
    factors = _known_factors(path, model) or fit_factors(
        model,
        sample,
        settings.layers,
        projection=settings.projection,
        batch_tokens=settings.batch_tokens,
        memory=round(settings.memory * (1 << 30)),
    )
    factors.save(path)
    return reference_direction(
        model,
        encode_examples(tokenizer, reference, settings.sequence_tokens),
        Curvature(settings.layers, projection=settings.projection, damping=settings.damping),
        factors,
        batch_tokens=settings.batch_tokens,
    )


def _known_factors(path: Path, model: Any) -> Factors | None:
    """Those that a try before this one has left, if they are of this model."""
    from tasks.select.influence.factors import Factors, fingerprint

    if not path.exists():
        return None
    found = Factors.load(path)
    return found if found.model == fingerprint(model) else None


def encode_examples(tokenizer: Any, examples: list[Example], sequence_tokens: int) -> Examples:
    """Questions with their answers, of which the answers bear the loss, then texts, long ones in parts."""
    pairs = [(example.question, example.answer) for example in examples if example.question]
    texts = [example.answer for example in examples if not example.question]
    return concatenated(
        [encode_pairs(tokenizer, pairs, sequence_tokens), chunks(tokenizer, texts, sequence_tokens)[0]]
    )
