"""The Triton kernels: on a GPU, or small shapes in Triton's interpreter."""

import pytest
import torch

from genolm_kernels import causal_conv1d
from genolm_kernels.causal_conv1d import MOST_TRITON_TAPS

# Batch, length, channels, width; stretches have 8 positions, blocks 128 channels.
SHAPES = [(2, 19, 8, 4), (1, 1, 5, 4), (2, 3, 5, 7), (1, 9, 130, 3), (2, 9, 6, 1), (1, 10, 3, 8)]


@pytest.fixture(autouse=True)
def _short_stretches(triton_device, monkeypatch):
    """In the interpreter every step counts; two stretches show what three hundred would."""
    from genolm_kernels.causal_conv1d import triton

    if triton_device == "cpu":
        monkeypatch.setattr(triton, "STRETCHES", (8,))


def make(batch=2, length=11, channels=5, width=4, *, bias=True, device="cpu"):
    return {
        "x": torch.randn(batch, length, channels, device=device),
        "weight": torch.randn(channels, width, device=device),
        "bias": torch.randn(channels, device=device) if bias else None,
    }


def with_gradients(leaves, **options):
    y = causal_conv1d(*leaves, backend="triton", **options)
    ones = torch.linspace(-1, 1, y.numel(), device=y.device).view(y.shape).to(y.dtype)
    return (y, *torch.autograd.grad(y, leaves, ones))


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_agrees_with_the_reference(shape, reverse, triton_device, assert_agrees):
    odd = bool(shape[0] % 2) != reverse
    assert_agrees(
        causal_conv1d,
        make(*shape, bias=odd, device=triton_device),
        dtype=torch.float32,
        backend="triton",
        activation="silu" if odd else None,
        reverse=reverse,
    )


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_agrees_with_the_reference_in_half_precision(dtype, triton_device, assert_agrees):
    tensors = make(device=triton_device)
    assert_agrees(causal_conv1d, tensors, dtype=dtype, backend="triton", activation="silu")


def test_types_of_inputs_and_filters_may_differ(triton_device):
    x, weight, bias = make(device=triton_device).values()
    leaves = [x.bfloat16().requires_grad_(), weight.requires_grad_(), bias.requires_grad_()]
    found = with_gradients(leaves, activation="silu")
    wanted = with_gradients([leaf.detach().float().requires_grad_() for leaf in leaves])
    assert [t.dtype for t in found] == [torch.bfloat16, torch.bfloat16, *[torch.float32] * 2]
    assert [t.shape for t in found] == [t.shape for t in wanted]


@pytest.mark.parametrize("shape", [(0, 5, 3), (2, 0, 3)])
def test_nothing_gives_nothing(shape, triton_device, nan_filled_empty):
    leaves = [t.requires_grad_() for t in make(*shape, device=triton_device).values()]
    y, dx, dweight, dbias = with_gradients(leaves)
    assert y.shape == dx.shape == shape
    assert not dweight.any()
    assert not dbias.any()


@pytest.mark.parametrize("reverse", [False, True])
def test_strides_do_not_matter(reverse, triton_device):
    x, weight, bias = make(channels=6, device=triton_device).values()
    wide = torch.cat((torch.full_like(x, torch.nan), x), dim=2)[..., 6:]
    channels_first = x.transpose(1, 2).contiguous().transpose(1, 2)
    filters = weight.t().contiguous().t()
    wanted = with_gradients([t.requires_grad_() for t in (x, weight, bias)], reverse=reverse)
    for view in (wide, channels_first):
        leaves = [t.detach().requires_grad_() for t in (view, filters, bias)]
        for found, value in zip(with_gradients(leaves, reverse=reverse), wanted, strict=True):
            assert found.equal(value)


def test_the_same_input_gives_the_same_bits(triton_device):
    leaves = [t.requires_grad_() for t in make(2, 17, device=triton_device).values()]
    first = with_gradients(leaves, activation="silu")
    for found, value in zip(with_gradients(leaves, activation="silu"), first, strict=True):
        assert found.equal(value)


def test_what_it_cannot_take_is_refused_with_the_reason(triton_device):
    wide = make(width=MOST_TRITON_TAPS + 1, device=triton_device)
    with pytest.raises(ValueError, match="at most 8 taps and was given 9"):
        causal_conv1d(**wide, backend="triton")
    x, weight, bias = make(device=triton_device).values()
    with pytest.raises(ValueError, match="float64"):
        causal_conv1d(x.double(), weight, bias, backend="triton")


def test_more_sequences_than_a_grid_has_places_are_taken_in_parts(triton_device, monkeypatch):
    from genolm_kernels.causal_conv1d import triton

    leaves = [t.requires_grad_() for t in make(3, device=triton_device).values()]
    wanted = with_gradients(leaves)
    monkeypatch.setattr(triton, "MOST_SEQUENCES", 2)
    torch.testing.assert_close(with_gradients(leaves), wanted)


def test_compiles_into_one_graph_with_gradients(triton_device):
    compiled = torch.compile(causal_conv1d, fullgraph=True, backend="aot_eager")
    leaves = [t.requires_grad_() for t in make(device=triton_device).values()]
    found = compiled(*leaves, activation="silu", backend="triton")
    wanted = causal_conv1d(*leaves, activation="silu", backend="reference")
    torch.testing.assert_close(found, wanted)
    torch.testing.assert_close(
        torch.autograd.grad(found.sum(), leaves), torch.autograd.grad(wanted.sum(), leaves)
    )


@pytest.mark.parametrize("bias", [False, True])
def test_operator_keeps_the_rules_of_torch(bias, triton_device):
    tensors = make(1, 4, 3, 2, bias=bias, device=triton_device).values()
    leaves = [t if t is None else t.requires_grad_() for t in tensors]
    causal_conv1d(*leaves, backend="triton")
    torch.library.opcheck(torch.ops.genolm.causal_conv1d_triton.default, (*leaves, True, bias))


@pytest.mark.gpu
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("shape", [(1, 131073, 512, 4), (8, 1024, 256, 3), (64, 255, 1536, 7)])
def test_agrees_with_the_reference_at_real_shapes(shape, dtype, reverse, gpu, assert_agrees):
    options = {"activation": "silu", "reverse": reverse}
    assert_agrees(causal_conv1d, make(*shape, device=gpu), dtype=dtype, backend="triton", **options)
