"""The Triton kernels: on a GPU, or small shapes in Triton's interpreter."""

import pytest
import torch

from genolm_kernels import add_norm
from genolm_kernels.add_norm import MOST_TRITON_CHANNELS

SHAPES = [(2, 19, 5), (1, 1, 16), (3, 7, 300), (1, 70, 2)]


def make(batch=2, length=19, d_model=20, *, residual=True, bias=True, device="cpu"):
    shape = (batch, length, d_model)
    return {
        "hidden": torch.randn(shape, device=device),
        "residual": torch.randn(shape, device=device) if residual else None,
        "weight": torch.randn(d_model, device=device),
        "bias": torch.randn(d_model, device=device) if bias else None,
    }


def with_gradients(leaves, **options):
    outputs = add_norm(*leaves, backend="triton", **options)
    return (*outputs, *torch.autograd.grad([o.sin().sum() for o in outputs], leaves))


@pytest.mark.parametrize("rms", [True, False])
@pytest.mark.parametrize("residual", [True, False])
@pytest.mark.parametrize("shape", SHAPES)
def test_agrees_with_the_reference(shape, residual, rms, triton_device, assert_agrees):
    tensors = make(*shape, residual=residual, bias=residual != rms, device=triton_device)
    # Enough of eps that a row of two channels has gradients that are not all rounding.
    options = {"rms": rms, "eps": 0.1}
    assert_agrees(add_norm, tensors, dtype=torch.float32, backend="triton", **options)


@pytest.mark.parametrize("rms", [True, False])
@pytest.mark.parametrize("residual", [True, False])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_agrees_in_half_precision(dtype, residual, rms, triton_device, assert_agrees):
    tensors = make(residual=residual, device=triton_device)
    assert_agrees(add_norm, tensors, dtype=dtype, backend="triton", rms=rms)


def test_every_result_has_its_own_type(triton_device):
    hidden, residual, weight, bias = make(device=triton_device).values()
    leaves = [hidden.bfloat16(), residual, weight, bias.half()]
    found = with_gradients([leaf.requires_grad_() for leaf in leaves])
    wide = torch.float32
    types = [wide, wide, torch.bfloat16, wide, wide, torch.float16]
    assert [t.dtype for t in found] == types
    assert found[1].equal(leaves[0].float() + residual)


def test_many_rows_are_taken_in_steps(triton_device, assert_agrees, monkeypatch):
    from genolm_kernels.add_norm import triton

    monkeypatch.setattr(triton, "MOST_PROGRAMS", 2)
    tensors = make(2, 150, 5, device=triton_device)
    assert_agrees(add_norm, tensors, dtype=torch.float32, backend="triton", rms=False)


def test_nothing_gives_nothing(triton_device, nan_filled_empty):
    leaves = [t.requires_grad_() for t in make(0, device=triton_device).values()]
    normed, total, *gradients = with_gradients(leaves)
    assert normed.shape == total.shape == (0, 19, 20)
    assert not gradients[2].any()
    assert not gradients[3].any()


def test_strides_do_not_matter(triton_device):
    leaves = [t.requires_grad_() for t in make(device=triton_device).values()]
    wanted = with_gradients(leaves)
    turned = [t.detach().transpose(1, 2).contiguous().transpose(1, 2) for t in leaves[:2]]
    others = [*(t.requires_grad_() for t in turned), *leaves[2:]]
    for found, value in zip(with_gradients(others), wanted, strict=True):
        assert found.equal(value)


def test_too_many_channels_are_refused_with_the_reason(triton_device):
    wide = make(1, 1, MOST_TRITON_CHANNELS + 1, device=triton_device)
    with pytest.raises(ValueError, match="at most 4096 channels and was given 4097"):
        add_norm(**wide, backend="triton")


def test_compiles_into_one_graph_with_gradients(triton_device):
    compiled = torch.compile(add_norm, fullgraph=True, backend="aot_eager")
    leaves = [t.requires_grad_() for t in make(device=triton_device).values()]
    found = compiled(*leaves, backend="triton")
    wanted = add_norm(*leaves, backend="reference")
    torch.testing.assert_close(found, wanted)
    torch.testing.assert_close(
        torch.autograd.grad([o.sum() for o in found], leaves),
        torch.autograd.grad([o.sum() for o in wanted], leaves),
    )


@pytest.mark.parametrize("there", [False, True])
def test_operator_keeps_the_rules_of_torch(there, triton_device):
    tensors = make(1, 3, 4, residual=there, bias=there, device=triton_device).values()
    leaves = [t if t is None else t.requires_grad_() for t in tensors]
    add_norm(*leaves, backend="triton")
    torch.library.opcheck(torch.ops.genolm.add_norm_triton.default, (*leaves, 1e-5, there))


@pytest.mark.gpu
@pytest.mark.parametrize("rms", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("shape", [(1, 131073, 256), (8, 1024, 128), (3, 501, 4096)])
def test_agrees_with_the_reference_at_real_shapes(shape, dtype, rms, gpu, assert_agrees):
    tensors = make(*shape, device=gpu)
    assert_agrees(add_norm, tensors, dtype=dtype, backend="triton", rms=rms)
