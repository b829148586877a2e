"""The Triton kernels: on a GPU, or small shapes in Triton's interpreter."""

import pytest
import torch

from genolm_kernels import gated_short_conv

# Batch, length, channels of one part, width, parts; stretches have 8 positions.
SHAPES = [(1, 11, 5, 3, 3), (1, 1, 3, 4, 2), (2, 3, 2, 7, 4), (1, 9, 66, 1, 3)]


@pytest.fixture(autouse=True)
def _short_stretches(triton_device, monkeypatch):
    """In the interpreter every step counts; two stretches show what three hundred would."""
    from genolm_kernels.causal_conv1d import triton

    if triton_device == "cpu":
        monkeypatch.setattr(triton, "STRETCHES", (8,))


def make(batch=1, length=11, d=5, width=3, parts=3, *, bias=True, device="cpu"):
    channels = parts * d
    return {
        "x": torch.randn(batch, length, channels, device=device),
        "weight": torch.randn(channels, width, device=device),
        "bias": torch.randn(channels, device=device) if bias else None,
    }


def with_gradients(leaves, **options):
    outputs = gated_short_conv(*leaves, backend="triton", **options)
    return (*outputs, *torch.autograd.grad([o.sin().sum() for o in outputs], leaves))


@pytest.mark.parametrize(
    ("shape", "reverse"), [*zip(SHAPES, (0, 1, 0, 1), strict=True), (SHAPES[0], 1)]
)
def test_agrees_with_the_reference(shape, reverse, triton_device, nan_filled_empty):
    # With two parts the second output is empty, of which no largest value can be taken.
    parts = shape[-1]
    tensors = make(*shape, bias=bool(reverse), device=triton_device).values()
    leaves = [t.requires_grad_() for t in tensors if t is not None]
    wide = [leaf.detach().double().requires_grad_() for leaf in leaves]
    options = {"parts": parts, "reverse": bool(reverse)}
    outputs = gated_short_conv(*wide, backend="reference", **options)
    wanted = (*outputs, *torch.autograd.grad([o.sin().sum() for o in outputs], wide))
    found = with_gradients(leaves, **options)
    for value, exact in zip(found, wanted, strict=True):
        torch.testing.assert_close(value.double(), exact, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_agrees_with_the_reference_in_every_type(dtype, triton_device, assert_agrees):
    tensors = make(device=triton_device)
    assert_agrees(gated_short_conv, tensors, dtype=dtype, backend="triton", parts=3)


def test_one_output_alone_may_be_used(triton_device):
    leaves = [t.requires_grad_() for t in make(device=triton_device).values()]
    gradients = [
        torch.autograd.grad(gated_short_conv(*leaves, parts=3, backend=b)[0].sum(), leaves)
        for b in ("triton", "reference")
    ]
    torch.testing.assert_close(*gradients)


def test_nothing_gives_nothing(triton_device, nan_filled_empty):
    leaves = [t.requires_grad_() for t in make(0, device=triton_device).values()]
    gated, rest, dx, dweight, dbias = with_gradients(leaves, parts=3)
    assert gated.shape == rest.shape == (0, 11, 5)
    assert dx.shape == (0, 11, 15)
    assert not dweight.any()
    assert not dbias.any()


def test_strides_do_not_matter(triton_device):
    leaves = [t.requires_grad_() for t in make(d=6, device=triton_device).values()]
    wanted = with_gradients(leaves, parts=3)
    channels_first = leaves[0].detach().transpose(1, 2).contiguous().transpose(1, 2)
    others = [channels_first.requires_grad_(), *leaves[1:]]
    for found, value in zip(with_gradients(others, parts=3), wanted, strict=True):
        assert found.equal(value)


def test_more_sequences_than_a_grid_has_places_are_taken_in_parts(triton_device, monkeypatch):
    from genolm_kernels.gated_short_conv import triton

    leaves = [t.requires_grad_() for t in make(3, 3, 2, device=triton_device).values()]
    wanted = with_gradients(leaves, parts=3)
    monkeypatch.setattr(triton, "MOST_SEQUENCES", 2)
    torch.testing.assert_close(with_gradients(leaves, parts=3), wanted)


def test_compiles_into_one_graph_with_gradients(triton_device):
    compiled = torch.compile(gated_short_conv, fullgraph=True, backend="aot_eager")
    leaves = [t.requires_grad_() for t in make(device=triton_device).values()]
    found = compiled(*leaves, parts=3, backend="triton")
    wanted = gated_short_conv(*leaves, parts=3, backend="reference")
    torch.testing.assert_close(found, wanted)
    torch.testing.assert_close(
        torch.autograd.grad([o.sum() for o in found], leaves),
        torch.autograd.grad([o.sum() for o in wanted], leaves),
    )


def test_operator_keeps_the_rules_of_torch(triton_device):
    leaves = [t.requires_grad_() for t in make(1, 4, 2, 2, device=triton_device).values()]
    gated_short_conv(*leaves, parts=3, backend="triton")
    torch.library.opcheck(torch.ops.genolm.gated_short_conv_triton.default, (*leaves, 3, True))


@pytest.mark.gpu
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("shape", [(1, 131073, 256, 3, 3), (8, 1024, 128, 3, 4)])
def test_agrees_with_the_reference_at_real_shapes(shape, dtype, reverse, gpu, assert_agrees):
    options = {"parts": shape[-1], "reverse": reverse}
    tensors = make(*shape, device=gpu)
    assert_agrees(gated_short_conv, tensors, dtype=dtype, backend="triton", **options)
