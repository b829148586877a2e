"""Triton on the GPU where there is one, else in its interpreter, which takes small calls only."""

import importlib

import pytest
import torch

from genolm_kernels import ssd

OPTIONAL = ("D", "z", "dt_bias", "initial_state")
SMALL = {"batch": 1, "length": 19, "heads": 2, "headdim": 5, "groups": 1, "d_state": 4}
CASES = {
    "plain": {},
    "length 1": {"length": 1, "batch": 2},
    "blocks in every direction": {"length": 17, "heads": 1, "headdim": 18, "d_state": 17},
    "groups": {"groups": 2, "length": 16, "without": ("z",)},
    "nothing optional": {"without": OPTIONAL},
    "many chunks": {"length": 81, "without": ("z",)},
}


def make(batch=2, length=67, heads=4, headdim=5, groups=2, d_state=7, *, without=(), **options):
    tensors = {
        "x": torch.randn(batch, length, heads, headdim),
        "dt": torch.rand(batch, length, heads),
        "A": -torch.rand(heads) * 4 - 0.1,
        "B": torch.randn(batch, length, groups, d_state),
        "C": torch.randn(batch, length, groups, d_state),
        "D": torch.randn(heads),
        "z": torch.randn(batch, length, heads, headdim),
        "dt_bias": torch.rand(heads),
        "initial_state": torch.randn(batch, heads, headdim, d_state),
    }
    return {name: value.to(**options) for name, value in tensors.items()} | dict.fromkeys(without)


def strided(tensors):
    found = {
        name: torch.stack([value, value], -1)[..., 0].transpose(0, -1).contiguous().transpose(0, -1)
        for name, value in tensors.items()
    }
    assert not found["x"].is_contiguous()
    return found


@pytest.mark.usefixtures("swift_interpreter")
@pytest.mark.parametrize("case", CASES)
def test_triton_agrees_with_the_reference(case, triton_device, assert_agrees):
    assert_agrees(
        ssd,
        make(**SMALL | CASES[case], device=triton_device),
        dtype=torch.float32,
        backend="triton",
        dt_softplus="dt_bias" not in CASES[case].get("without", ()),
        reverse=case in ("blocks in every direction", "many chunks"),
        return_last_state=True,
    )


@pytest.mark.usefixtures("swift_interpreter")
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_triton_agrees_with_the_reference_in_half_types(dtype, triton_device, assert_agrees):
    assert_agrees(
        ssd,
        make(**SMALL, device=triton_device),
        dtype=dtype,
        backend="triton",
        dt_softplus=True,
        return_last_state=True,
    )


@pytest.mark.usefixtures("swift_interpreter")
def test_what_a_wiping_step_leaves_behind_is_exact_in_triton(triton_device, assert_agrees):
    tensors = make(**SMALL, without=("dt_bias", "z"), device=triton_device)
    # Most steps small, and one so large that it wipes the state out.
    tensors["dt"] = torch.rand_like(tensors["dt"]) * 0.1
    tensors["dt"][:, 7] = 3000.0
    tensors["x"][:, 7] = 0
    assert_agrees(ssd, tensors, dtype=torch.float32, backend="triton", return_last_state=True)


@pytest.mark.usefixtures("swift_interpreter")
def test_strides_do_not_matter_to_triton(triton_device):
    tensors = make(**SMALL | {"batch": 2}, device=triton_device)
    found, wanted = (ssd(**values, backend="triton") for values in (strided(tensors), tensors))
    assert found.equal(wanted)


@pytest.mark.usefixtures("swift_interpreter")
def test_triton_gives_the_original_implementations_numbers(triton_device, golden):
    file = golden("ssd_scan_init_groups")
    leaves = {
        key[3:].replace("initial_states", "initial_state"): torch.from_numpy(value)[:1]
        for key, value in file.items()
        if key.startswith("in:")
    }
    leaves["A"] = torch.from_numpy(file["in:A"])
    # Later positions change nothing: the interpreter is asked for the first of one sequence.
    first = {
        name: (t[:, :18] if name in ("x", "dt", "B", "C") else t).to(triton_device)
        for name, t in leaves.items()
    }
    y = ssd(**first, backend="triton").cpu()
    wanted = torch.from_numpy(file["y_f32"])[:1, :18]
    assert (y - wanted).abs().max() <= 2e-5 * wanted.abs().max()


def test_triton_takes_an_empty_batch(triton_device):
    tensors = make(batch=0, device=triton_device)
    leaves = [value.requires_grad_() for value in tensors.values()]
    y = ssd(*leaves[:8], initial_state=leaves[8], backend="triton")
    assert y.shape == (0, 67, 4, 5)
    y.sum().backward()
    assert not leaves[2].grad.any()


@pytest.mark.parametrize("without", [(), OPTIONAL])
def test_the_triton_operator_keeps_the_rules_of_torch(without, triton_device):
    importlib.import_module("genolm_kernels.ssd.triton")
    tensors = make(**SMALL, without=without, device=triton_device).values()
    checks = ("test_schema", "test_autograd_registration", "test_faketensor")
    operator = torch.ops.genolm.ssd_triton.default
    torch.library.opcheck(operator, (*tensors, True, 16, True), test_utils=checks)


@pytest.mark.gpu
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("groups", [1, 4])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_triton_agrees_at_real_sizes(dtype, groups, reverse, gpu, tolerance):
    sizes = {"batch": 2, "length": 1000, "heads": 8, "headdim": 64, "d_state": 64}
    tensors = {
        name: value.to(dtype) for name, value in make(**sizes, groups=groups, device=gpu).items()
    }
    results = []
    for kind, backend in ((torch.float64, "reference"), (dtype, "triton")):
        leaves = [value.detach().to(kind).requires_grad_() for value in tensors.values()]
        y = ssd(
            *leaves[:8],
            initial_state=leaves[8],
            dt_softplus=True,
            reverse=reverse,
            backend=backend,
        )
        torch.manual_seed(1)
        cotangent = torch.randn(y.shape, device=gpu).to(dtype).to(kind)
        results.append([y.detach(), *torch.autograd.grad(y, leaves, cotangent)])
    for wanted, found in zip(*results, strict=True):
        assert (found - wanted).abs().max() <= 2 * tolerance[dtype] * wanted.abs().max()
