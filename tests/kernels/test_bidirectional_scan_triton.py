"""Both scans in one launch of Triton: on a GPU, or small shapes in Triton's interpreter."""

import pytest
import torch

from genolm_kernels import ScanInputs, bidirectional_scan, selective_scan
from genolm_kernels.selective_scan import triton_plan

NAMES = ("u", "delta", "A", "B", "C", "D", "delta_bias")


@pytest.fixture(autouse=True)
def _small_pieces(triton_device, swift_interpreter, monkeypatch):
    """In the interpreter every step counts; short spans show what long ones would."""
    if triton_device == "cpu":
        for name, value in (("SPAN", 4), ("FEWEST_STEPS", 4), ("BLOCK", 4)):
            monkeypatch.setattr(triton_plan, name, value)


@pytest.fixture(params=["serial", "chunks"])
def variant(request, monkeypatch):
    """Programs that walk along the whole sequence, or along one of its chunks."""
    monkeypatch.setattr(triton_plan, "PROGRAMS", {"serial": 0, "chunks": 1000}[request.param])
    return request.param


def make_way(batch, length, d_inner, d_state, form, without):
    shapes = {
        "varying": (batch, length, d_state),
        "grouped": (batch, length, 2, d_state),
        "constant": (d_inner, d_state),
    }
    way = {
        "u": torch.randn(batch, length, d_inner),
        "delta": torch.rand(batch, length, d_inner) - 0.5,
        "A": -torch.rand(d_inner, d_state) * d_state - 0.1,
        "B": torch.randn(shapes[form]),
        "C": torch.randn(shapes[form]),
        "D": torch.randn(d_inner),
        "delta_bias": torch.rand(d_inner),
    }
    return way | {name: None for name in without if name in way}


def make(
    batch=1, length=7, d_inner=3, d_state=4, forms=("varying", "varying"), without=(), device="cpu"
):
    ways = [make_way(batch, length, d_inner, d_state, form, without) for form in forms]
    z = None if "z" in without else torch.randn(batch, length, d_inner)
    tensors = {f"{name}_{i}": way[name] for i, way in enumerate(ways) for name in NAMES} | {"z": z}
    return {name: t if t is None else t.to(device) for name, t in tensors.items()}


def operator(*, backend, delta_softplus=True, **tensors):
    forward, backward = (ScanInputs(*(tensors[f"{name}_{i}"] for name in NAMES)) for i in range(2))
    return bidirectional_scan(
        forward, backward, tensors["z"], delta_softplus=delta_softplus, backend=backend
    )


CASES = {
    "two sequences": {"batch": 2, "length": 6},
    "two blocks": {"d_inner": 5, "length": 7},
    "chunks of equal length": {"length": 8, "d_state": 1},
    "16 states": {"d_state": 16, "length": 7},
    "grouped": {"forms": ("grouped", "grouped"), "d_inner": 4, "length": 7},
    "constant": {"forms": ("constant", "constant"), "length": 7},
    "unlike forms": {"forms": ("varying", "constant"), "length": 7},
    "nothing optional": {"without": ("D", "delta_bias", "z")},
}


@pytest.mark.parametrize("case", CASES)
def test_agrees_with_the_reference(case, variant, triton_device, assert_agrees):
    tensors = make(**CASES[case], device=triton_device)
    assert_agrees(operator, tensors, dtype=torch.float32, backend="triton")


def test_one_position_is_first_and_last(triton_device):
    tensors = make(length=1, device=triton_device)
    leaves = {n: t.requires_grad_() for n, t in tensors.items()}
    for found, wanted in zip(
        *(
            torch.autograd.grad(operator(**leaves, backend=name).sum(), leaves.values())
            for name in ("triton", "reference")
        ),
        strict=True,
    ):
        torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_agrees_with_the_reference_in_half_precision(dtype, triton_device, assert_agrees):
    assert_agrees(operator, make(device=triton_device), dtype=dtype, backend="triton")


@pytest.mark.parametrize("changed", ["D_0", "delta_bias_1", "u_1"])
def test_directions_need_not_be_alike(changed, triton_device):
    tensors = make(length=5, device=triton_device)
    value = tensors[changed]
    tensors[changed] = value.bfloat16() if changed == "u_1" else None
    found, wanted = (operator(**tensors, backend=name) for name in ("triton", "reference"))
    torch.testing.assert_close(found, wanted)


def run(tensors):
    leaves = {n: t if t is None else t.detach().requires_grad_() for n, t in tensors.items()}
    y = operator(**leaves, backend="triton")
    y.backward(torch.linspace(-1, 1, y.numel(), device=y.device).view(y.shape))
    return [y.detach(), *(leaf.grad for leaf in leaves.values())]


def test_views_are_read_where_they_lie(triton_device):
    tensors = make(2, 5, device=triton_device)
    views = {}
    for name in ("u_0", "delta_1", "z", "B_0", "B_1", "C_1"):
        wide = torch.cat([tensors[name]] * 2, -1)
        views[name] = wide[..., wide.shape[-1] // 2 :]
    found = run(tensors | views)
    assert all(a.equal(b) for a, b in zip(found, run(tensors), strict=True))


def test_equal_inputs_give_equal_bits(variant, triton_device):
    tensors = make(1, 6, 5, device=triton_device)
    first, second = (run(tensors) for _ in range(2))
    assert all(a.equal(b) for a, b in zip(first, second, strict=True))


def test_nothing_gives_nothing(triton_device, nan_filled_empty):
    found = run(make(batch=0, device=triton_device))
    assert found[0].shape == (0, 7, 3)
    assert not any(gradient.any() for gradient in found[1:])


def test_without_gradients_it_is_the_sum_of_both_scans(variant, triton_device):
    tensors = make(length=6, device=triton_device)
    ways = [[tensors[f"{name}_{i}"] for name in NAMES] for i in range(2)]
    there, back = (
        selective_scan(*way[:6], None, way[6], reverse=reverse, backend="reference")
        for way, reverse in zip(ways, (False, True), strict=True)
    )
    wanted = (there + back) * torch.nn.functional.silu(tensors["z"])
    found = operator(**tensors, delta_softplus=False, backend="triton")
    torch.testing.assert_close(found, wanted)


def test_compiles_into_one_graph_with_gradients(triton_device):
    compiled = torch.compile(operator, fullgraph=True, backend="aot_eager")
    leaves = {n: t.requires_grad_() for n, t in make(length=3, device=triton_device).items()}
    found = compiled(**leaves, backend="triton")
    wanted = operator(**leaves, backend="reference")
    torch.testing.assert_close(found, wanted)
    torch.testing.assert_close(
        torch.autograd.grad(found.sum(), leaves.values()),
        torch.autograd.grad(wanted.sum(), leaves.values()),
    )


@pytest.mark.parametrize("keep", [False, True])
def test_operator_keeps_the_rules_of_torch(keep, triton_device):
    leaves = {n: t.requires_grad_(keep) for n, t in make(length=3, device=triton_device).items()}
    operator(**leaves, backend="triton")  # registers the operator
    checked = torch.ops.genolm.bidirectional_scan_triton.default
    checks = ("test_schema", "test_faketensor", "test_autograd_registration")
    torch.library.opcheck(checked, (*leaves.values(), True, keep), test_utils=checks)


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("shape", [(1, 4099, 512, 16), (8, 1024, 256, 16), (128, 255, 384, 64)])
def test_agrees_with_the_reference_at_real_shapes(shape, dtype, gpu, assert_agrees):
    assert_agrees(operator, make(*shape, device=gpu), dtype=dtype, backend="triton")
