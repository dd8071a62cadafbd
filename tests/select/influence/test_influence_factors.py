"""EK-FAC factors: which layers, how much memory, and how they are kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from causal_models import make_examples, make_model

from tasks.records import BadInput
from tasks.select.influence.factors import Factors, LayerFactors, fingerprint, fit_factors
from tasks.select.influence.layers import linear_layers
from tasks.train.format import from_sequences


@pytest.mark.parametrize(
    ("kind", "which", "ends"),
    [
        ("llama", "attention", {"q_proj", "k_proj", "v_proj", "o_proj"}),
        ("llama", "mlp", {"gate_proj", "up_proj", "down_proj"}),
        ("gpt2", "attention", {"attn.c_attn", "attn.c_proj"}),
        ("gpt2", "mlp", {"mlp.c_fc", "mlp.c_proj"}),
        ("neox", "attention", {"query_key_value", "attention.dense"}),
        ("neox", "mlp", {"dense_h_to_4h", "dense_4h_to_h"}),
    ],
)
def test_layers_are_found_in_every_kind_of_model(kind: str, which: Any, ends: set[str]) -> None:
    found = linear_layers(make_model(kind), which)
    assert len(found) == 2 * len(ends)  # two blocks
    assert all(any(name.endswith(end) for end in ends) for name in found)
    assert {end for end in ends if any(name.endswith(end) for name in found)} == ends


def test_a_layer_whose_weight_is_used_without_it_is_bad_input() -> None:
    from transformers import MambaConfig, MambaForCausalLM

    model = MambaForCausalLM(MambaConfig(vocab_size=40, hidden_size=16, state_size=4, num_hidden_layers=1))
    with pytest.raises(BadInput, match=r"the model does not call its layer backbone.*dt_proj"):
        fit_factors(model, make_examples(4, 1), "all")


def test_a_layer_that_is_called_twice_is_bad_input() -> None:
    model = make_model("llama")
    model.model.layers[1] = model.model.layers[0]
    with pytest.raises(BadInput, match=r"calls its layer model\.layers\.0\.self_attn.* twice in a pass"):
        fit_factors(model, make_examples(4, 1), "attention")


@pytest.mark.parametrize("kind", ["llama", "gpt2", "neox"])
def test_all_is_both_and_never_the_output(kind: str) -> None:
    model = make_model(kind)
    parts = [*linear_layers(model, "attention"), *linear_layers(model, "mlp")]
    assert sorted(linear_layers(model, "all")) == sorted(parts)
    assert not any("head" in name or "embed_out" in name for name in parts)


def test_a_linear_layer_of_a_models_own_class_is_one() -> None:
    from transformers import FalconConfig, FalconForCausalLM

    model = FalconForCausalLM(
        FalconConfig(vocab_size=40, hidden_size=16, num_hidden_layers=2, num_attention_heads=2)
    )
    found = linear_layers(model)
    assert {name.rpartition(".")[2] for name in found} == {"query_key_value", "dense"}
    factors = fit_factors(model.eval(), make_examples(8, 1))
    assert all(float(layer.eigenvalues.sum()) > 0 for layer in factors.layers.values())


def test_a_model_without_such_a_layer_is_bad_input() -> None:
    model = make_model()
    model.model.layers = torch.nn.ModuleList()
    with pytest.raises(BadInput, match="influence on mlp: the model has no such linear layer"):
        linear_layers(model, "mlp")


@pytest.mark.parametrize("memory", [1, 60_000])
def test_a_bound_of_memory_changes_nothing_but_the_memory(
    memory: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tasks.select.influence import factors

    groups = []
    real = factors._covariances

    def seen(model: Any, modules: Any, *rest: Any) -> Any:
        groups.append(modules)
        return real(model, modules, *rest)

    monkeypatch.setattr(factors, "_covariances", seen)
    model, examples = make_model(), make_examples(20, 1)
    whole, parted = (fit_factors(model, examples, "all", memory=bound) for bound in (1 << 28, memory))
    assert [name for group in groups[1:] for name in group] == list(groups[0]) == list(whole.layers)
    if memory == 1:  # a layer is the least
        assert len(groups) == 1 + len(whole.layers)
    else:
        assert 2 < len(groups) < 1 + len(whole.layers)
        for group in groups[1:]:
            shapes = [layer.shape for layer in group.values()]
            assert sum(12 * (o * o + i * i) + 8 * o * i for o, i in shapes) <= memory // 2
    for name, layer in whole.layers.items():
        assert torch.allclose(layer.eigenvalues, parted.layers[name].eigenvalues, rtol=1e-5, atol=1e-12)


def test_eigenvalues_are_mean_squares_so_their_sum_is_the_mean_square_of_a_gradient() -> None:
    """A rotation changes no length."""
    from tasks.select.influence.scores import mean_gradient

    model, examples = make_model(dtype=torch.float64), make_examples(12, 1)
    factors = fit_factors(model, examples)
    for name, layer in linear_layers(model).items():
        squares = [
            float(
                mean_gradient(
                    model,
                    from_sequences([examples.tokens[examples.offsets[row] : examples.offsets[row + 1]]], [0]),
                    {name: layer},
                    4096,
                )[name]
                .square()
                .sum()
            )
            for row in range(12)
        ]
        assert float(factors.layers[name].eigenvalues.sum()) == pytest.approx(np.mean(squares), rel=1e-5)
        assert tuple(factors.layers[name].eigenvalues.shape) == layer.shape


def test_preconditioning_with_a_large_damping_is_a_division() -> None:
    random = torch.Generator().manual_seed(0)
    square = [torch.linalg.qr(torch.randn(n, n, generator=random))[0] for n in (5, 3)]
    layer = LayerFactors(square[0], square[1], torch.rand(3, 5, generator=random))
    gradient = torch.randn(3, 5, generator=random)
    assert torch.allclose(layer.precondition(gradient, 1e6), gradient / 1e6, rtol=1e-4, atol=1e-9)


def test_factors_are_kept_as_safetensors_and_come_back_as_they_were(tmp_path: Path) -> None:
    model, examples = make_model("gpt2"), make_examples(10, 1)
    factors = fit_factors(model, examples)
    factors.save(tmp_path / "factors.safetensors")
    again = Factors.load(tmp_path / "factors.safetensors")
    assert again.model == factors.model == fingerprint(model)
    assert again.layers.keys() == factors.layers.keys()
    for name, layer in factors.layers.items():
        for part in LayerFactors.__slots__:
            assert torch.equal(getattr(again.layers[name], part), getattr(layer, part))


@pytest.mark.parametrize("content", [b"", b"not factors", b"\x08\x00\x00\x00\x00\x00\x00\x00{}      "])
def test_a_file_that_is_none_of_factors_is_bad_input(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "factors.safetensors"
    path.write_bytes(content)
    with pytest.raises(BadInput, match="cannot be read as factors"):
        Factors.load(path)


def test_a_changed_weight_changes_the_fingerprint() -> None:
    model = make_model()
    before = fingerprint(model)
    assert fingerprint(make_model()) == before
    with torch.no_grad():
        model.model.layers[1].self_attn.q_proj.weight += 1e-3
    assert fingerprint(model) != before


@pytest.mark.parametrize("sequences", [[], [[3], [4]]])
def test_nothing_to_take_the_curvature_from_is_bad_input(sequences: list[list[int]]) -> None:
    with pytest.raises(BadInput, match="at least two tokens"):
        fit_factors(make_model(), from_sequences(sequences, [0] * len(sequences)))
