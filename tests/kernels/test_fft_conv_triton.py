"""The Triton kernels: on a GPU, or small shapes in Triton's interpreter."""

import pytest
import torch

from genolm_kernels import fft_conv, prepare_filter

# Batch, length, channels, taps: matrices of 16 x 16 and of 16 x 32.
SHAPES = [(2, 67, 1, 67), (1, 1, 3, 4), (1, 130, 1, 3), (1, 50, 2, 90), (1, 256, 1, 256)]


def make(batch=2, length=67, channels=3, length_k=67, *, skip=True, gates=(True, True), device):
    shape = (batch, length, channels)
    return {
        "u": torch.randn(shape, device=device),
        "k": torch.randn(length_k, channels, device=device),
        "d": torch.randn(channels, device=device) if skip else None,
        "gate_in": torch.randn(shape, device=device) if gates[0] else None,
        "gate_out": torch.randn(shape, device=device) if gates[1] else None,
    }


def with_gradients(inputs, **options):
    leaves = tuple(value.requires_grad_() for value in inputs.values())
    y = fft_conv(**inputs, backend="triton", **options)
    ones = torch.linspace(-1, 1, y.numel(), device=y.device).view(y.shape).to(y.dtype)
    return (y, *torch.autograd.grad(y, leaves, ones))


@pytest.mark.parametrize("shape", SHAPES)
def test_agrees_with_the_reference(shape, triton_device, assert_agrees):
    inputs = make(*shape, device=triton_device)
    for reverse in {False, shape[0] == 2}:
        assert_agrees(fft_conv, inputs, dtype=torch.float32, backend="triton", reverse=reverse)


def test_agrees_on_larger_matrices(triton_device, assert_agrees):
    inputs = make(1, 900, 1, 900, device=triton_device)
    assert_agrees(fft_conv, inputs, dtype=torch.float32, backend="triton")


@pytest.mark.parametrize("gates", [(False, False), (True, False), (False, True)])
def test_agrees_without_what_may_be_left_out(gates, triton_device, assert_agrees):
    inputs = make(1, 30, 1, 30, skip=gates[0], gates=gates, device=triton_device)
    assert_agrees(fft_conv, inputs, dtype=torch.float32, backend="triton", reverse=gates[0])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_agrees_with_the_reference_in_half_precision(dtype, triton_device, assert_agrees):
    inputs = make(1, 30, 2, 30, device=triton_device)
    assert_agrees(fft_conv, inputs, dtype=dtype, backend="triton")


def test_too_long_for_one_program_goes_by_torchs_transforms(
    triton_device, assert_agrees, monkeypatch
):
    from genolm_kernels.fft_conv import monarch, tiles

    monkeypatch.setattr(monarch, "SIDES", (16,))
    assert monarch.plan_for(257, torch.device("cpu")) is None
    if triton_device == "cpu":
        monkeypatch.setattr(tiles, "TILE_ELEMENTS", 2000)
    inputs = make(2, 257, 5, 257, device=triton_device)
    assert_agrees(fft_conv, inputs, dtype=torch.float32, backend="triton")


def test_types_of_inputs_and_filters_may_differ(triton_device):
    inputs = make(1, 30, 2, 30, device=triton_device)
    narrow = {n: v.bfloat16() if v.dim() == 3 else v for n, v in inputs.items()}
    found = with_gradients({n: v.detach() for n, v in narrow.items()})
    wanted = with_gradients({n: v.detach().float() for n, v in narrow.items()})
    for one, other in zip(found, wanted, strict=True):
        assert (one.float() - other).abs().max() <= 2e-2 * other.abs().max()


def test_strides_do_not_matter(triton_device):
    inputs = make(1, 30, 3, 30, device=triton_device)
    wanted = with_gradients({n: v.detach() for n, v in inputs.items()})
    wide = torch.cat([inputs[n].detach() for n in ("u", "gate_in", "gate_out")], dim=-1)
    parts = dict(zip(("u", "gate_in", "gate_out"), wide.chunk(3, dim=-1), strict=True))
    parts["u"] = inputs["u"].detach().transpose(1, 2).contiguous().transpose(1, 2)
    parts["k"] = inputs["k"].detach().t().contiguous().t()
    found = with_gradients({n: v.detach() for n, v in (inputs | parts).items()})
    assert all(a.equal(b) for a, b in zip(found, wanted, strict=True))


def test_a_batch_of_none_has_gradients_of_zero(triton_device):
    inputs = {n: v.requires_grad_() for n, v in make(0, 9, 2, 9, device=triton_device).items()}
    y = fft_conv(**inputs, backend="triton")
    y.sum().backward()
    assert y.shape == (0, 9, 2)
    for name in ("k", "d"):
        assert inputs[name].grad.equal(torch.zeros_like(inputs[name]))


@pytest.mark.parametrize("reverse", [False, True])
def test_prepared_filters_serve_like_the_filters(reverse, triton_device):
    inputs = make(1, 30, 2, 30, device=triton_device)
    wanted = with_gradients(dict(inputs), reverse=reverse)
    spectrum = prepare_filter(inputs.pop("k").detach(), backend="triton")
    assert spectrum.layout == "monarch 16 16"
    leaves = {n: v.detach().requires_grad_() for n, v in inputs.items()}
    y = fft_conv(**leaves, k=spectrum, reverse=reverse, backend="triton")
    ones = torch.linspace(-1, 1, y.numel(), device=y.device).view(y.shape)
    found = (y, *torch.autograd.grad(y, tuple(leaves.values()), ones))
    for one, other in zip(found, (wanted[0], wanted[1], *wanted[3:]), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-4)


def test_spectra_are_refused_by_those_they_are_not_for(triton_device):
    inputs = make(1, 30, 16, 30, device=triton_device)
    k = inputs.pop("k")
    spectrum = prepare_filter(k, backend="triton")
    with pytest.raises(ValueError, match="'cpu' cannot run this call: k was prepared for the tri"):
        fft_conv(**inputs, k=spectrum, backend="cpu")
    packed = prepare_filter(k, backend="reference")._replace(layout="packed 16")
    with pytest.raises(ValueError, match=r"'triton' cannot run.*prepared for the compiled code"):
        fft_conv(**inputs, k=packed, backend="triton")


def test_float64_is_refused(triton_device):
    inputs = {n: v.double() for n, v in make(1, 9, 2, 9, device=triton_device).items()}
    with pytest.raises(ValueError, match="given float64"):
        fft_conv(**inputs, backend="triton")


def test_compiles_into_one_graph_with_gradients(triton_device):
    compiled = torch.compile(fft_conv, fullgraph=True, backend="aot_eager")
    inputs = make(1, 20, 2, 20, device=triton_device)
    leaves = {n: v.requires_grad_() for n, v in inputs.items()}
    found = compiled(**leaves, backend="triton")
    wanted = fft_conv(**leaves, backend="triton")
    values = tuple(leaves.values())
    torch.testing.assert_close(found, wanted)
    torch.testing.assert_close(
        torch.autograd.grad(found.sum(), values), torch.autograd.grad(wanted.sum(), values)
    )


def test_operator_keeps_the_rules_of_torch(triton_device):
    leaves = [v.requires_grad_() for v in make(1, 9, 2, 9, device=triton_device).values()]
    torch.library.opcheck(torch.ops.genolm.fft_conv_triton.default, (*leaves, True))


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("length", [1026, 2048, 4096, 32768])
def test_agrees_at_real_shapes_on_a_gpu(length, dtype, gpu, assert_agrees):
    inputs = make(4, length, 64, length, device=gpu)
    assert_agrees(fft_conv, inputs, dtype=dtype, backend="triton")
