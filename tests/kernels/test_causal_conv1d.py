import pytest
import torch
import torch.nn.functional as F

from genolm_kernels import causal_conv1d

FAST = ["cpu"]
ALL = ["reference", *FAST]
SHAPES = [(2, 67, 8, 4), (3, 2, 5, 7), (1, 1, 4, 4), (1, 130, 3, 3), (5, 29, 6, 1), (2, 50, 8, 2)]
# With channels enough for the compiled code; its blocks have 64 positions and 256 channels.
WIDE_SHAPES = [
    (2, 67, 17, 4),
    (1, 1, 16, 4),
    (3, 2, 31, 8),
    (1, 127, 270, 3),
    (2, 65, 236, 2),
    (1, 200, 257, 7),
    (2, 64, 16, 5),
    (1, 131, 33, 6),
    (2, 70, 20, 1),
    (1, 40, 18, 9),
]


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


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("activation", [None, "silu"])
@pytest.mark.parametrize("shape", WIDE_SHAPES)
def test_agrees_with_the_reference_on_many_channels(
    shape, activation, reverse, code, assert_agrees
):
    inputs = make(*shape, bias=reverse != bool(activation))
    options = {"activation": activation, "reverse": reverse}
    assert_agrees(causal_conv1d, inputs, dtype=torch.float32, backend="cpu", **options)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_agrees_on_many_channels_in_every_type(dtype, code, assert_agrees):
    inputs = make(channels=33)
    assert_agrees(causal_conv1d, inputs, dtype=dtype, backend="cpu", activation="silu")


@pytest.mark.parametrize("channels", [256, 257])
def test_agrees_where_outputs_are_larger_than_caches(channels, code, assert_agrees):
    inputs = make(2, 4200, channels, 3)
    assert_agrees(causal_conv1d, inputs, dtype=torch.float32, backend="cpu", activation="silu")


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


@pytest.mark.parametrize("reverse", [False, True])
def test_parts_of_a_wider_tensor_are_read_where_they_lie(reverse, code):
    wide, weight = torch.randn(2, 67, 80), torch.randn(40, 4)
    for x in wide.chunk(2, dim=-1):
        leaves = x.requires_grad_(), weight.requires_grad_()
        copies = x.detach().clone().requires_grad_(), weight
        found, wanted = (
            causal_conv1d(*t, activation="silu", reverse=reverse) for t in (leaves, copies)
        )
        torch.testing.assert_close(found, wanted)
        cotangent = torch.randn(2, 67, 40)
        torch.testing.assert_close(
            torch.autograd.grad(found, leaves, torch.cat([cotangent] * 2, -1)[..., 40:]),
            torch.autograd.grad(wanted, copies, cotangent),
        )


def test_a_gradient_of_one_number_repeated_is_read_as_such(code):
    leaves = [t.requires_grad_() for t in make(channels=20).values()]
    y = causal_conv1d(*leaves, activation="silu")
    found = torch.autograd.grad(y.sum(), leaves, retain_graph=True)
    for gradient, wanted in zip(
        found, torch.autograd.grad(y, leaves, torch.ones_like(y)), strict=True
    ):
        assert gradient.equal(wanted)


@pytest.mark.parametrize("shape", [(0, 67, 20), (2, 0, 20), (0, 0, 3)])
@pytest.mark.parametrize("backend", ALL)
def test_nothing_in_gives_nothing_out_and_gradients_of_zero(backend, shape, code):
    leaves = [t.requires_grad_() for t in make(*shape).values()]
    y = causal_conv1d(*leaves, activation="silu", backend=backend)
    y.sum().backward()
    assert y.shape == leaves[0].grad.shape == shape
    assert not any(leaf.grad.any() for leaf in leaves)


@pytest.mark.parametrize("activation", [None, "silu"])
@pytest.mark.parametrize("reverse", [False, True])
def test_a_nan_comes_out_where_the_filter_meets_it(reverse, activation, code):
    x, weight, bias = make(1, 100, 40, 4).values()
    x[0, 50, 39] = torch.nan
    y = causal_conv1d(x, weight, bias, activation=activation, reverse=reverse, backend="cpu")
    found = {tuple(place) for place in y[0].isnan().nonzero().tolist()}
    assert found == {(t, 39) for t in (range(47, 51) if reverse else range(50, 54))}


@pytest.mark.parametrize("shape", [(3, 300, 40, 4), (1, 5000, 100, 4)])
def test_any_number_of_threads_gives_the_same_bits(
    shape, compiled, assert_same_bits_on_any_threads
):
    leaves = [t.requires_grad_() for t in make(*shape).values()]
    assert_same_bits_on_any_threads(lambda *t: (causal_conv1d(*t, activation="silu"),), leaves)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x": torch.zeros(67, 8)}, "x must be"),
        ({"weight": torch.zeros(8, 1, 4)}, r"weight must be \(8, width\)"),
        ({"weight": torch.zeros(7, 4)}, r"weight must be \(8, width\)"),
        ({"bias": torch.zeros(4)}, r"bias must be \(8,\)"),
        ({"x": torch.zeros(2, 67, 0)}, r"x must be .*channels >= 1\), got \(2, 67, 0\)"),
        (
            {"x": torch.zeros(2, 67, 8, dtype=torch.long)},
            "x must have a floating type, got .*int64",
        ),
        ({"weight": torch.zeros(8, 4, device="meta")}, "weight is on meta and x on cpu"),
        ({"activation": "gelu"}, "activation must be None, 'silu' or 'swish', got 'gelu'"),
    ],
)
def test_wrong_arguments_are_errors_that_name_them(changes, message):
    with pytest.raises(ValueError, match=message):
        causal_conv1d(**(make() | changes))


@pytest.mark.parametrize("dynamic", [False, True])
def test_compiles_into_one_graph_with_gradients(dynamic, code):
    compiled = torch.compile(causal_conv1d, fullgraph=True, backend="aot_eager", dynamic=dynamic)
    for length in (30, 31):
        leaves = [t.requires_grad_() for t in make(length=length, channels=20).values()]
        found = compiled(*leaves, activation="silu")
        wanted = causal_conv1d(*leaves, activation="silu")
        torch.testing.assert_close(found, wanted)
        torch.testing.assert_close(
            torch.autograd.grad(found.sum(), leaves), torch.autograd.grad(wanted.sum(), leaves)
        )


@pytest.mark.parametrize("bias", [False, True])
def test_operator_keeps_the_rules_of_torch(bias, code):
    inputs = make(channels=20, bias=bias).values()
    leaves = [t if t is None else t.requires_grad_() for t in inputs]
    torch.library.opcheck(torch.ops.genolm.causal_conv1d_cpu.default, (*leaves, True, bias))
