"""Architectures as lines, and the layers that they become: whatever reads whatever, the shapes fit."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stacktune.families.nets.architecture import COLUMNS, Layer, from_line, repaired, to_line, unread, widths
from stacktune.families.nets.layers import layer_weights, n_joined, n_multiplications, run_layers

KINDS = ("dense", "glu", "residual", "attention", "cross")
N_ROWS, N_INPUTS = 3, 7
every_kind = pytest.mark.parametrize("kind", KINDS)


@st.composite
def architectures(draw: st.DrawFn) -> tuple[Layer, ...]:
    layers: list[Layer] = []
    for place in range(1, draw(st.integers(1, 5)) + 1):
        reads = draw(st.sets(st.integers(COLUMNS, place - 1)))
        layers.append(
            Layer(
                draw(st.sampled_from(KINDS)),
                draw(st.integers(1, 20)),
                draw(st.sampled_from(["relu", "silu", "selu"])),
                draw(st.sampled_from(["none", "layer"])),
                draw(st.sampled_from([0.0, 0.1, 0.25, 0.5])),
                tuple(sorted(reads)),
            )
        )
    return repaired(layers)


def output(layers: tuple[Layer, ...], seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    columns = torch.randn(N_ROWS, N_INPUTS, generator=generator)
    return run_layers(layers, layer_weights(layers, N_INPUTS, generator), columns, ())


@given(architectures())
@settings(max_examples=200, deadline=None)
def test_what_is_written_is_read_again(layers):
    assert from_line(to_line(layers)) == layers


@given(architectures())
@settings(max_examples=100, deadline=None)
def test_any_wiring_of_any_widths_runs_and_joins_what_no_layer_reads(layers):
    joined = output(layers)
    read = {source for layer in layers for source in layer.reads}
    ends = [layer.width for number, layer in enumerate(layers, start=1) if number not in read]
    assert joined.shape == (N_ROWS, sum(ends))
    assert n_joined(layers) == sum(ends)
    assert torch.isfinite(joined).all()


@given(architectures())
@settings(max_examples=100, deadline=None)
def test_the_multiplications_of_a_row_are_the_cells_of_the_matrices(layers):
    weights = layer_weights(layers, N_INPUTS, torch.Generator())
    assert n_multiplications(layers, N_INPUTS) == sum(weight.numel() for weight in weights.values() if weight.ndim == 2)


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("", "has a layer at least"),
        ("dense-8-relu-none-0", "a layer is written like"),
        ("dense-8-relu-none-0()", "a layer is written like"),
        ("dense-wide-relu-none-0(x)", "a layer is written like"),
        ("dense-8-relu-none-0(1)", "layer 1 reads earlier layers"),
        ("dense-8-relu-none-0(x) dense-8-relu-none-0(1,x)", "layer 2 reads earlier layers in rising order"),
        ("dense-8-relu-none-0(x) dense-8-relu-none-0(1,1)", "layer 2 reads earlier layers in rising order"),
    ],
)
def test_a_line_that_is_no_architecture_is_refused(line, complaint):
    with pytest.raises(ValueError, match=complaint):
        from_line(line)


def test_a_layer_that_reads_nothing_is_given_the_columns_and_others_are_left():
    lonely, fed = Layer("dense", 8, "relu", "none", 0.0, ()), Layer("glu", 4, "relu", "none", 0.0, (1,))
    assert [layer.reads for layer in repaired([lonely, fed])] == [(COLUMNS,), (1,)]


def test_the_last_layer_and_those_that_nobody_reads_are_the_ends():
    layers = from_line("dense-8-relu-none-0(x) dense-6-relu-none-0(x) dense-4-relu-none-0(x,1)")
    assert unread(layers) == (2, 3)
    assert widths(layers, N_INPUTS) == (N_INPUTS, 8, 6, 4)


def test_the_ends_lie_side_by_side_in_their_order():
    both = from_line("dense-8-relu-none-0(x) glu-6-relu-none-0(x)")
    assert torch.equal(output(both)[:, :8], output(both[:1]))


@every_kind
@pytest.mark.parametrize("width", [N_INPUTS, N_INPUTS - 2, N_INPUTS + 2])
def test_a_layer_is_as_wide_as_it_says(kind, width):
    layers = from_line(f"{kind}-{width}-relu-layer-0(x)")
    assert output(layers).shape == (N_ROWS, width)


@pytest.mark.parametrize("kind", ["residual", "cross"])
def test_unequal_widths_are_projected_before_they_are_added_and_equal_ones_are_not(kind):
    def projections(width: int) -> list[str]:
        weights = layer_weights(from_line(f"{kind}-{width}-relu-none-0(x)"), N_INPUTS, torch.Generator())
        return [name for name in weights if "project" in name]

    assert projections(N_INPUTS) == []
    assert len(projections(N_INPUTS + 1)) == 1


@every_kind
def test_a_layer_that_reads_two_depends_on_both(kind):
    layers = from_line(f"dense-4-selu-none-0(x) dense-5-selu-none-0(x) {kind}-6-selu-none-0(1,2)")
    weights = layer_weights(layers, N_INPUTS, torch.Generator().manual_seed(0))
    for weight in weights.values():
        weight.requires_grad_()
    run_layers(layers, weights, torch.ones(N_ROWS, N_INPUTS), ()).sum().backward()
    first = [name for name in weights if name.startswith(("layer0", "layer1")) and name.endswith(".weight")]
    assert len(first) == 2
    assert all(weights[name].grad.abs().sum() > 0 for name in first)
