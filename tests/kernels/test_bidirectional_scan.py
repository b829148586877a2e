"""Two scans in one: equal to the sum of both, whatever computes it."""

import pytest
import torch

from genolm_kernels import ScanInputs, bidirectional_scan, selective_scan, use_backend

NAMES = ("u", "delta", "A", "B", "C", "D", "delta_bias")


def make_way(batch, length, d_inner, d_state, groups, without):
    matrix = (batch, length, groups, d_state) if groups else (batch, length, d_state)
    way = {
        "u": torch.randn(batch, length, d_inner),
        "delta": torch.rand(batch, length, d_inner),
        "A": -torch.rand(d_inner, d_state) * d_state - 0.1,
        "B": torch.randn(matrix),
        "C": torch.randn(matrix),
        "D": torch.randn(d_inner),
        "delta_bias": torch.rand(d_inner),
    }
    return way | {name: None for name in without if name in way}


def make(batch=2, length=37, d_inner=20, d_state=16, groups=0, without=()):
    ways = [make_way(batch, length, d_inner, d_state, groups, without) for _ in range(2)]
    z = None if "z" in without else torch.randn(batch, length, d_inner)
    return {f"{name}_{i}": way[name] for i, way in enumerate(ways) for name in NAMES} | {"z": z}


def ways_of(tensors):
    return [ScanInputs(*(tensors[f"{name}_{i}"] for name in NAMES)) for i in range(2)]


def operator(*, backend, delta_softplus=True, **tensors):
    forward, backward = ways_of(tensors)
    return bidirectional_scan(
        forward, backward, tensors["z"], delta_softplus=delta_softplus, backend=backend
    )


CASES = {
    "plain": {},
    "length 2": {"length": 2},
    "prime length": {"batch": 3, "length": 61, "d_inner": 6, "d_state": 5},
    "one channel": {"d_inner": 1, "d_state": 1, "length": 13},
    "many states": {"d_state": 24, "length": 20},
    "grouped": {"groups": 2, "d_inner": 34},
    "nothing optional": {"without": ("D", "delta_bias", "z")},
}


@pytest.mark.parametrize("case", CASES)
def test_agrees_with_the_reference(case, code, assert_agrees):
    assert_agrees(operator, make(**CASES[case]), dtype=torch.float32, backend="cpu")


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_agrees_with_the_reference_in_every_type(dtype, code, assert_agrees):
    assert_agrees(operator, make(), dtype=dtype, backend="cpu")


@pytest.mark.parametrize("backend", ["reference", "cpu"])
def test_is_the_sum_of_both_scans_times_the_gate(backend):
    tensors = {name: value.double() for name, value in make().items()}
    (first, second), z = ways_of(tensors), tensors["z"]
    with use_backend("reference"):
        there, back = (
            selective_scan(*way[:6], None, way[6], delta_softplus=True, reverse=reverse)
            for way, reverse in ((first, False), (second, True))
        )
    wanted = (there + back) * torch.nn.functional.silu(z)
    found = bidirectional_scan(first, second, z, delta_softplus=True, backend=backend)
    torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize("backend", ["reference", "cpu"])
def test_gradients_are_derivatives(backend):
    names, tensors = zip(*make(1, 5, 3, 2).items(), strict=True)

    def run(*values):
        return operator(**dict(zip(names, values, strict=True)), backend=backend)

    assert torch.autograd.gradcheck(run, [t.double().requires_grad_() for t in tensors])


def test_an_empty_batch_gives_an_empty_result(code):
    tensors = {name: value.requires_grad_() for name, value in make(batch=0).items()}
    y = operator(**tensors, backend="cpu")
    y.sum().backward()
    assert y.shape == (0, 37, 20)
    assert tensors["A_0"].grad.eq(0).all()


def test_any_number_of_threads_gives_the_same_bits(compiled, assert_same_bits_on_any_threads):
    tensors = make(2, 90, 70)
    leaves = [value.requires_grad_() for value in tensors.values()]

    def run(*values):
        return (operator(**dict(zip(tensors, values, strict=True)), backend="cpu"),)

    assert_same_bits_on_any_threads(run, leaves)


def test_compiles_into_one_graph(code):
    tensors = {name: value.requires_grad_() for name, value in make().items()}

    def run():
        return operator(**tensors, backend="cpu")

    found = torch.compile(run, fullgraph=True, backend="aot_eager")()
    torch.testing.assert_close(found, run())


def test_strides_do_not_matter(code):
    tensors = make()
    strided = {
        name: torch.stack([value, value], -1)[..., 0].transpose(0, -1).contiguous().transpose(0, -1)
        for name, value in tensors.items()
    }
    found, wanted = (operator(**values, backend="cpu") for values in (strided, tensors))
    torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("delta_0", torch.ones(2, 36, 20), "forward.delta must be"),
        ("B_1", torch.ones(2, 37, 15), "backward.B must be"),
        ("z", torch.ones(2, 37, 21), "forward.z must be"),
        ("C_1", torch.ones(2, 37, 16, dtype=torch.int64), "backward.C must have a floating type"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(name, value, message):
    with pytest.raises(ValueError, match=message):
        operator(**make() | {name: value}, backend="cpu")


def test_directions_of_different_sizes_are_refused():
    (first, _), (second, _) = ways_of(make()), ways_of(make(length=38))
    with pytest.raises(ValueError, match=r"backward.u and forward.u"):
        bidirectional_scan(first, second)
