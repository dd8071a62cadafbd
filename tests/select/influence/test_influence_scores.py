"""Scores against the definition, computed with whole gradients of single sequences, and against exact solutions."""

from __future__ import annotations

import copy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from causal_models import make_examples, make_model

from tasks.records import BadInput
from tasks.select.influence.factors import fit_factors
from tasks.select.influence.layers import LinearLayer, linear_layers
from tasks.select.influence.scores import (
    Curvature,
    Direction,
    influence_scores,
    mean_gradient,
    reference_direction,
    stream_scores,
)
from tasks.train.format import Examples, from_sequences

DAMPING = 1e-3


def gradient_of(layer: LinearLayer) -> torch.Tensor:
    weight = layer.module.weight.grad
    weight = weight.T if type(layer.module).__name__ == "Conv1D" else weight
    return torch.cat([weight, layer.module.bias.grad[:, None]], dim=1) if layer.bias else weight.clone()


def gradients_by_definition(
    model: Any, examples: Examples, which: str, bias: bool
) -> tuple[list[dict[str, torch.Tensor]], dict[str, list[tuple[torch.Tensor, torch.Tensor]]]]:
    """Of every sequence by itself, unpadded, by autograd on the weights; also inputs and output gradients of the layers.

    The weights' gradients come back as (o, i).
    """
    layers = linear_layers(model, which, bias)  # type: ignore[arg-type]
    seen: dict[str, list[Any]] = {name: [] for name in layers}

    def hook(name: str) -> Any:
        def keep(module: Any, inputs: Any, output: Any) -> None:
            output.retain_grad()
            seen[name].append((layers[name].inputs(inputs[0].detach()), output))

        return keep

    hooks = [layer.module.register_forward_hook(hook(name)) for name, layer in layers.items()]
    found = []
    for row in range(len(examples)):
        tokens = torch.from_numpy(examples.tokens[examples.offsets[row] : examples.offsets[row + 1]])[None]
        labels = tokens.clone()
        labels[:, : examples.prompts[row]] = -100
        logits = model(input_ids=tokens).logits
        loss = torch.nn.functional.cross_entropy(
            logits[0, :-1], labels[0, 1:], ignore_index=-100, reduction="sum"
        )
        model.zero_grad()
        loss.backward()
        found.append({name: gradient_of(layer) for name, layer in layers.items()})
    for one in hooks:
        one.remove()
    return found, {name: [(_flat(x), _flat(output.grad)) for x, output in own] for name, own in seen.items()}


def _flat(values: torch.Tensor) -> torch.Tensor:
    """(t, i) of one sequence, whether its layer has it as (1, t, i) or as (t, i)."""
    return values.reshape(-1, values.shape[-1])


def scores_by_definition(
    model: Any,
    reference: Examples,
    candidates: Examples,
    which: str,
    damping: float | None,
    bias: bool = False,
) -> np.ndarray:
    """EK-FAC fitted on the candidates, with everything held at once."""
    own, seen = gradients_by_definition(model, candidates, which, bias)
    theirs, _ = gradients_by_definition(model, reference, which, bias)
    scores = torch.zeros(len(candidates), dtype=torch.float64)
    for name, pieces in seen.items():
        inputs, deltas = (torch.cat([piece[side] for piece in pieces]).double() for side in (0, 1))
        q_in, q_out = torch.linalg.eigh(inputs.T @ inputs)[1], torch.linalg.eigh(deltas.T @ deltas)[1]
        rotated = torch.stack([q_out.T @ one[name].double() @ q_in for one in own])
        eigenvalues = rotated.square().mean(0)
        wanted = torch.stack([q_out.T @ one[name].double() @ q_in for one in theirs]).mean(0)
        added = 0.1 * eigenvalues.mean() if damping is None else damping
        scores += (rotated * (wanted / (eigenvalues + added))).sum((1, 2))
    return scores.numpy()


@pytest.mark.parametrize("which", ["attention", "mlp", "all"])
@pytest.mark.parametrize("kind", ["llama", "gpt2", "neox", "opt"])
def test_scores_are_those_of_the_definition(kind: str, which: Any) -> None:
    model = make_model(kind, dtype=torch.float64)
    reference, candidates = make_examples(5, 1, prompts=True), make_examples(23, 2)
    found = influence_scores(
        model, reference, candidates, curvature=Curvature(which, damping=DAMPING), batch_tokens=48
    )
    wanted = scores_by_definition(model, reference, candidates, which, DAMPING)
    assert np.abs(found - wanted).max() <= 1e-4 * np.abs(wanted).max()
    assert np.corrcoef(found, wanted)[0, 1] > 0.9999999


@pytest.mark.parametrize("kind", ["gpt2", "neox"])
def test_biases_take_part_where_they_are_asked_to(kind: str) -> None:
    model = make_model(kind, dtype=torch.float64)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                parameter += 0.1
    reference, candidates = make_examples(5, 1), make_examples(23, 2)
    given = Curvature("all", bias=True, damping=DAMPING)
    found = influence_scores(model, reference, candidates, curvature=given, batch_tokens=48)
    wanted = scores_by_definition(model, reference, candidates, "all", DAMPING, bias=True)
    assert np.abs(found - wanted).max() <= 1e-4 * np.abs(wanted).max()
    without = scores_by_definition(model, reference, candidates, "all", DAMPING)
    assert np.abs(found - without).max() > 1e-2 * np.abs(wanted).max()


def test_the_damping_that_is_not_given_is_a_tenth_of_each_layers_mean_eigenvalue() -> None:
    model = make_model(dtype=torch.float64)
    reference, candidates = make_examples(4, 1), make_examples(16, 2)
    found = influence_scores(model, reference, candidates)
    wanted = scores_by_definition(model, reference, candidates, "attention", None)
    assert np.abs(found - wanted).max() <= 1e-4 * np.abs(wanted).max()


class OneLayer(torch.nn.Module):
    """Tokens 0 and 1 become -1 and +1, and one weight of every word makes its logit: the Fisher is exact.

    A is the number 1 for every token, so the eigenvectors of S are those of the whole Fisher.
    """

    def __init__(self) -> None:
        super().__init__()
        self.embedding = torch.nn.Embedding.from_pretrained(
            torch.tensor([[-1.0], [1.0]], dtype=torch.float64)
        )
        self.attention = torch.nn.Linear(1, 2, bias=False, dtype=torch.float64)
        torch.nn.init.normal_(self.attention.weight, generator=torch.Generator().manual_seed(3))

    def get_input_embeddings(self) -> Any:
        return self.embedding

    def get_output_embeddings(self) -> None:
        return None

    def forward(self, input_ids: Any, logits_to_keep: Any, use_cache: bool = False) -> Any:
        return SimpleNamespace(logits=self.attention(self.embedding(input_ids))[logits_to_keep])


def test_scores_equal_an_exact_solve_with_the_damped_fisher() -> None:
    model = OneLayer()
    random = np.random.default_rng(0)
    # Two tokens, so that one is foretold: a sequence's gradient is a token's.
    candidates = from_sequences(list(random.integers(0, 2, size=(30, 2))), [0] * 30)
    reference = from_sequences(list(random.integers(0, 2, size=(6, 2))), [0] * 6)

    def gradients(examples: Examples) -> np.ndarray:
        rows = []
        for first, second in examples.tokens.reshape(-1, 2).tolist():
            x = 2.0 * first - 1.0
            logits = model.attention.weight.detach().numpy()[:, 0] * x
            chances = np.exp(logits - logits.max())
            rows.append((chances / chances.sum() - np.eye(2)[second]) * x)
        return np.array(rows)

    own, theirs = gradients(candidates), gradients(reference).mean(axis=0)
    fisher = own.T @ own / len(own)
    wanted = own @ np.linalg.solve(fisher + DAMPING * np.eye(2), theirs)
    found = influence_scores(model, reference, candidates, curvature=Curvature(damping=DAMPING))
    assert found == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_neither_batches_nor_padding_nor_order_change_a_score(kind: str) -> None:
    model = make_model(kind)
    reference, candidates = make_examples(4, 1), make_examples(31, 2, longest=30)
    factors = fit_factors(model, candidates)
    found = [
        influence_scores(model, reference, candidates, factors=factors, batch_tokens=tokens)
        for tokens in (1, 64, 100_000)
    ]
    for other in found[1:]:
        assert np.abs(other - found[0]).max() <= 1e-4 * np.abs(found[0]).max()
    order = np.random.default_rng(0).permutation(31)
    pieces = np.split(candidates.tokens, candidates.offsets[1:-1])
    turned = from_sequences([pieces[row] for row in order], [0] * 31)
    again = influence_scores(model, reference, turned, factors=factors)
    assert np.abs(again - found[0][order]).max() <= 1e-4 * np.abs(found[0]).max()


def test_a_small_step_along_a_candidate_lowers_the_references_loss_by_its_plain_score() -> None:
    model = make_model(dtype=torch.float64)
    reference, candidates = make_examples(6, 1), make_examples(8, 2)
    scores = influence_scores(model, reference, candidates, curvature=Curvature("all", plain=True))
    step = 1e-5

    def loss(one: Any) -> float:
        total = 0.0
        for row in range(len(reference)):
            tokens = torch.from_numpy(reference.tokens[reference.offsets[row] : reference.offsets[row + 1]])
            with torch.no_grad():
                logits = one(input_ids=tokens[None]).logits[0, :-1]
            total += float(torch.nn.functional.cross_entropy(logits, tokens[1:], reduction="sum"))
        return total / len(reference)

    for row in range(len(candidates)):
        own = from_sequences([candidates.tokens[candidates.offsets[row] : candidates.offsets[row + 1]]], [0])
        gradient = mean_gradient(model, own, linear_layers(model, "all"), 4096)
        moved = copy.deepcopy(model)
        with torch.no_grad():
            for name, layer in linear_layers(moved, "all").items():
                layer.module.weight -= step * gradient[name].double()
        assert (loss(model) - loss(moved)) / step == pytest.approx(scores[row], rel=1e-2, abs=1e-2)


def test_the_model_comes_back_as_it_was() -> None:
    model = make_model()
    model.train()
    model.model.embed_tokens.weight.requires_grad_(False)
    before = {name: (p.requires_grad, p.detach().clone()) for name, p in model.named_parameters()}
    influence_scores(model, make_examples(3, 1), make_examples(5, 2))
    assert model.training
    for name, parameter in model.named_parameters():
        assert parameter.requires_grad == before[name][0]
        assert torch.equal(parameter, before[name][1])
        assert parameter.grad is None
    hooked = [module for module in model.modules() if module._forward_hooks]
    assert not hooked


def test_what_bears_no_loss_scores_nothing_and_nobody_scores_nothing() -> None:
    model = make_model()
    direction = reference_direction(model, make_examples(4, 1), Curvature(plain=True), None)
    short = from_sequences([[3], [], [5, 6, 7]], [0, 0, 3])
    assert stream_scores(model, direction, short).tolist() == [0.0, 0.0, 0.0]
    assert stream_scores(model, direction, from_sequences([], [])).tolist() == []


@pytest.mark.parametrize("plain", [False, True])
def test_a_model_whose_values_are_not_finite_is_bad_input(plain: bool) -> None:
    model = make_model()
    with torch.no_grad():
        model.model.layers[0].mlp.up_proj.weight[0, 0] = torch.nan
    with pytest.raises(BadInput, match="not finite"):
        influence_scores(model, make_examples(3, 1), make_examples(5, 2), curvature=Curvature(plain=plain))


def test_a_caller_who_has_turned_gradients_off_gets_the_same_scores() -> None:
    model, reference, candidates = make_model(), make_examples(3, 1), make_examples(5, 2)
    with torch.no_grad():
        found = influence_scores(model, reference, candidates)
    assert (found == influence_scores(model, reference, candidates)).all()


def test_factors_of_other_layers_are_refused() -> None:
    model = make_model()
    factors = fit_factors(model, make_examples(8, 2), "mlp")
    with pytest.raises(BadInput, match="of other layers"):
        influence_scores(model, make_examples(3, 1), make_examples(5, 2), factors=factors)


def test_factors_of_another_model_are_refused() -> None:
    factors = fit_factors(make_model(), make_examples(8, 2))
    with pytest.raises(BadInput, match="of another model"):
        influence_scores(make_model(seed=1), make_examples(3, 1), make_examples(5, 2), factors=factors)


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_a_projection_is_the_same_on_both_sides_and_of_whole_gradients(kind: str) -> None:
    model = make_model(kind, dtype=torch.float64)
    reference, candidates = make_examples(5, 1), make_examples(23, 2)
    found = influence_scores(
        model, reference, candidates, curvature=Curvature("all", projection=20, plain=True)
    )
    layers = linear_layers(model, "all", projection=20)
    own, theirs = (gradients_by_definition(model, some, "all", False)[0] for some in (candidates, reference))

    def projected(name: str, gradient: torch.Tensor) -> torch.Tensor:
        for side, matrix in enumerate(layers[name].into):
            if matrix is not None:
                gradient = gradient @ matrix.double() if side == 0 else matrix.double().T @ gradient
        return gradient

    wanted = [
        sum(
            float(
                (
                    projected(name, one[name])
                    * torch.stack([projected(name, other[name]) for other in theirs]).mean(0)
                ).sum()
            )
            for name in layers
        )
        for one in own
    ]
    assert found == pytest.approx(np.array(wanted), rel=1e-4)
    # Sides of 16 stay as they are, those of 24, 48 and 64 do not.
    assert {side is None for layer in layers.values() for side in layer.into} == {True, False}
    assert all(max(layer.shape) <= 20 for layer in layers.values())


def test_a_projection_keeps_the_order_of_the_scores() -> None:
    model, reference, candidates = make_model(), make_examples(20, 1), make_examples(60, 2)
    whole, projected = (
        influence_scores(model, reference, candidates, curvature=Curvature("all", projection=size))
        for size in (None, 12)
    )
    assert np.corrcoef(whole, projected)[0, 1] > 0.5


def test_half_precision_tells_the_same() -> None:
    reference, candidates = make_examples(20, 1), make_examples(60, 2)
    whole, half = (
        influence_scores(make_model(dtype=dtype), reference, candidates)
        for dtype in (torch.float32, torch.bfloat16)
    )
    assert np.corrcoef(whole, half)[0, 1] > 0.98


@pytest.mark.parametrize(
    "curvature", [Curvature(), Curvature("all", bias=True, projection=12), Curvature(plain=True)]
)
def test_a_direction_is_kept_with_how_its_layers_were_taken(tmp_path: Path, curvature: Curvature) -> None:
    model, reference, candidates = make_model("gpt2"), make_examples(6, 1), make_examples(9, 2)
    factors = fit_factors(
        model, candidates, curvature.layers, bias=curvature.bias, projection=curvature.projection
    )
    made = reference_direction(model, reference, curvature, factors)
    made.save(tmp_path / "direction.safetensors")
    again = Direction.load(tmp_path / "direction.safetensors", torch.device("cpu"))
    assert (stream_scores(model, again, candidates) == stream_scores(model, made, candidates)).all()
    assert again.unit == made.unit


def test_the_unit_is_what_the_reference_does_for_itself() -> None:
    model, reference = make_model(), make_examples(12, 1, prompts=True)
    direction = reference_direction(model, reference, Curvature(), fit_factors(model, make_examples(30, 2)))
    own = stream_scores(model, direction, reference)
    assert own.sum() / reference.loss_lengths.sum() == pytest.approx(direction.unit, rel=1e-4)
    assert direction.unit > 0


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_the_cosine_is_that_of_the_angle_between_whole_gradients(kind: str) -> None:
    model, reference = make_model(kind), make_examples(6, 1)
    candidates = make_examples(9, 2, prompts=True)
    direction = reference_direction(model, reference, Curvature("all", plain=True), None)
    aim = torch.cat([matrix.flatten() for matrix in direction.matrices.values()])
    each, _ = gradients_by_definition(model, candidates, "all", bias=False)
    wanted = [
        float(
            torch.nn.functional.cosine_similarity(
                torch.cat([own[name].flatten() for name in direction.matrices]), aim, dim=0
            )
        )
        for own in each
    ]
    assert stream_scores(model, direction, candidates, cosine=True) == pytest.approx(wanted, rel=1e-4)
    # The gradients of the reference itself add up to the direction, so they point its way.
    assert stream_scores(model, direction, reference, cosine=True).mean() > 0


def test_the_cosine_of_a_candidate_that_bears_no_loss_is_0() -> None:
    model, reference = make_model(), make_examples(6, 1)
    direction = reference_direction(model, reference, Curvature(plain=True), None)
    found = stream_scores(model, direction, from_sequences([[5], [3, 4, 5, 6]], [0, 0]), cosine=True)
    assert found[0] == 0
    assert found[1] != 0


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_sequences_without_tokens_have_a_score_of_0(kind: str) -> None:
    model = make_model(kind)
    reference = make_examples(4, seed=1)
    direction = reference_direction(model, reference, Curvature(plain=True), None)
    nothing = from_sequences([[], []], [0, 0])
    assert stream_scores(model, direction, nothing).tolist() == [0, 0]
    mixed = from_sequences([[], [3, 4, 5], []], [0, 0, 0])
    found = stream_scores(model, direction, mixed, batch_tokens=1)
    assert found[1] != 0
    assert found[[0, 2]].tolist() == [0, 0]
