import pytest
import torch
import torch.nn.functional as F

from genolm_kernels import causal_conv1d
from genolm_kernels.causal_conv1d import BACKENDS

FAST = [backend.name for backend in BACKENDS if backend.name != "reference"]
ALL = ["reference", *FAST]
SHAPES = [(2, 67, 8, 4), (3, 2, 5, 7), (1, 1, 4, 4), (1, 130, 3, 3), (5, 29, 6, 1), (2, 50, 8, 2)]


def make(batch=2, length=67, channels=8, width=4, *, bias=True):
    return {
        "x": torch.randn(batch, length, channels),
        "weight": torch.randn(channels, width),
        "bias": torch.randn(channels) if bias else None,
    }


@pytest.mark.parametrize("backend", FAST)
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("activation", [None, "silu"])
@pytest.mark.parametrize("shape", SHAPES)
def test_agrees_with_the_reference(shape, activation, reverse, backend, pieces, assert_agrees):
    assert_agrees(
        causal_conv1d,
        make(*shape, bias=reverse),
        dtype=torch.float32,
        backend=backend,
        activation=activation,
        reverse=reverse,
    )


@pytest.mark.parametrize("backend", FAST)
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_agrees_with_the_reference_in_every_type(dtype, backend, pieces, assert_agrees):
    assert_agrees(causal_conv1d, make(), dtype=dtype, backend=backend, activation="silu")


@pytest.mark.parametrize("backend", ALL)
@pytest.mark.parametrize("width", [2, 3, 4, 7])
def test_is_the_depthwise_convolution_of_torch(width, backend):
    x, weight, bias = make(width=width).values()
    wide = F.conv1d(x.transpose(1, 2), weight[:, None], bias, padding=width - 1, groups=8)
    found = causal_conv1d(x, weight, bias, activation="swish", backend=backend)
    torch.testing.assert_close(found, F.silu(wide[..., :67]).transpose(1, 2), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("backend", ALL)
def test_reverse_is_the_convolution_of_the_flipped_sequence(backend):
    x, weight, bias = make().values()
    found = causal_conv1d(x, weight, bias, reverse=True, backend=backend)
    flipped = causal_conv1d(x.flip(1), weight, bias, backend=backend).flip(1)
    torch.testing.assert_close(found, flipped)


@pytest.mark.parametrize("backend", ALL)
@pytest.mark.parametrize("reverse", [False, True])
def test_gradients_are_derivatives(backend, reverse):
    def run(*values):
        return causal_conv1d(*values, activation="silu", reverse=reverse, backend=backend)

    leaves = [t.double().requires_grad_() for t in make(2, 6, 3, 4).values()]
    assert torch.autograd.gradcheck(run, leaves)


@pytest.mark.parametrize("backend", ALL)
def test_later_positions_do_not_matter(backend):
    x, weight, bias = make().values()
    changed = x.clone()
    changed[:, 40:] += 1
    before = causal_conv1d(x, weight, bias, backend=backend)
    after = causal_conv1d(changed, weight, bias, backend=backend)
    assert torch.equal(before[:, :40], after[:, :40])
    assert not torch.equal(before[:, 40], after[:, 40])


@pytest.mark.parametrize("backend", FAST)
def test_strides_do_not_matter(backend):
    x, weight, bias = make().values()
    strided = x.transpose(1, 2).contiguous().transpose(1, 2)
    found = causal_conv1d(strided, weight, bias, activation="silu", backend=backend)
    torch.testing.assert_close(
        found, causal_conv1d(x, weight, bias, activation="silu", backend=backend)
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x": torch.zeros(67, 8)}, "x must be"),
        ({"weight": torch.zeros(8, 1, 4)}, r"weight must be \(8, width\)"),
        ({"weight": torch.zeros(7, 4)}, r"weight must be \(8, width\)"),
        ({"bias": torch.zeros(4)}, r"bias must be \(8,\)"),
        ({"activation": "gelu"}, "activation must be None, 'silu' or 'swish', got 'gelu'"),
    ],
)
def test_wrong_arguments_are_errors_that_name_them(changes, message):
    with pytest.raises(ValueError, match=message):
        causal_conv1d(**(make() | changes))


@pytest.mark.parametrize("dynamic", [False, True])
def test_compiles_into_one_graph_with_gradients(dynamic):
    compiled = torch.compile(causal_conv1d, fullgraph=True, backend="aot_eager", dynamic=dynamic)
    for length in (30, 31):
        leaves = [t.requires_grad_() for t in make(length=length).values()]
        found = compiled(*leaves, activation="silu")
        wanted = causal_conv1d(*leaves, activation="silu")
        torch.testing.assert_close(found, wanted)
        torch.testing.assert_close(
            torch.autograd.grad(found.sum(), leaves), torch.autograd.grad(wanted.sum(), leaves)
        )


@pytest.mark.parametrize("bias", [False, True])
def test_operator_keeps_the_rules_of_torch(bias):
    leaves = [t if t is None else t.requires_grad_() for t in make(bias=bias).values()]
    torch.library.opcheck(torch.ops.genolm.causal_conv1d_cpu.default, (*leaves, True, bias))
