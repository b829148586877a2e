import pytest
import torch

from genolm_kernels import causal_conv1d, gated_short_conv

ALL = ["reference", "cpu"]
# Batch, length, channels of one part, width, parts: from 16 channels on for the compiled code,
# whose blocks have 64 positions and 256 channels.
SHAPES = [
    (2, 67, 8, 3, 3),
    (3, 2, 1, 7, 4),
    (1, 1, 3, 4, 3),
    (2, 67, 17, 3, 3),
    (1, 1, 16, 4, 3),
    (3, 2, 31, 8, 3),
    (1, 127, 270, 3, 3),
    (2, 65, 236, 2, 3),
    (1, 131, 33, 5, 4),
    (2, 64, 16, 6, 5),
    (1, 70, 20, 1, 3),
    (1, 200, 40, 7, 3),
    (1, 40, 18, 9, 3),
]


def make(batch=2, length=67, d=20, width=3, parts=3, *, bias=True):
    channels = parts * d
    return {
        "x": torch.randn(batch, length, channels),
        "weight": torch.randn(channels, width),
        "bias": torch.randn(channels) if bias else None,
    }


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_agrees_with_the_reference(shape, reverse, code, assert_agrees):
    assert_agrees(
        gated_short_conv,
        make(*shape, bias=not reverse),
        dtype=torch.float32,
        backend="cpu",
        parts=shape[-1],
        reverse=reverse,
    )


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_agrees_with_the_reference_in_every_type(dtype, code, assert_agrees):
    assert_agrees(gated_short_conv, make(), dtype=dtype, backend="cpu", parts=3)


@pytest.mark.parametrize("d", [128, 130])
def test_agrees_where_outputs_are_larger_than_caches(d, code, assert_agrees):
    inputs = make(1, 16400, d)
    assert_agrees(gated_short_conv, inputs, dtype=torch.float32, backend="cpu", parts=3)


@pytest.mark.parametrize("backend", ALL)
@pytest.mark.parametrize("parts", [2, 3, 4])
@pytest.mark.parametrize("reverse", [False, True])
def test_is_the_short_convolution_and_the_product_of_its_last_parts(reverse, parts, backend, code):
    x, weight, bias = make(parts=parts).values()
    *others, gate, v = causal_conv1d(x, weight, bias, reverse=reverse).chunk(parts, dim=-1)
    options = {"parts": parts, "reverse": reverse, "backend": backend}
    gated, rest = gated_short_conv(x, weight, bias, **options)
    torch.testing.assert_close(gated, v * gate, rtol=1e-5, atol=1e-5)
    assert rest.shape == (2, 67, (parts - 2) * 20)
    for found, wanted in zip(rest.split(20, dim=-1), others, strict=bool(others)):
        torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("backend", ALL)
@pytest.mark.parametrize("parts", [2, 3])
def test_gradients_are_derivatives(parts, backend):
    def run(*values):
        return gated_short_conv(*values, parts=parts, reverse=parts == 2, backend=backend)

    leaves = [t.double().requires_grad_() for t in make(2, 6, 2, 4, parts).values()]
    assert torch.autograd.gradcheck(run, leaves)


@pytest.mark.parametrize("output", [0, 1])
def test_either_output_alone_has_gradients(output, code):
    leaves = [t.requires_grad_() for t in make().values()]
    found, wanted = (
        torch.autograd.grad(gated_short_conv(*leaves, parts=3, backend=name)[output].sum(), leaves)
        for name in ("cpu", "reference")
    )
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)


def test_parts_of_a_wider_tensor_are_read_where_they_lie(code):
    wide, (_, weight, bias) = torch.randn(2, 67, 100), make().values()
    x = wide[..., 17:77]
    turned = x.transpose(1, 2).contiguous().transpose(1, 2)
    cotangents = torch.randn(2, 67, 60)[..., 5:45].split(20, dim=-1)
    results = []
    for inputs in (x.clone(), x, turned):
        leaves = [t.detach().requires_grad_() for t in (inputs, weight, bias)]
        outputs = gated_short_conv(*leaves, parts=3)
        results.append((*outputs, *torch.autograd.grad(outputs, leaves, cotangents)))
    for others in results[1:]:
        torch.testing.assert_close(others, results[0])


@pytest.mark.parametrize("shape", [(0, 67, 20), (2, 0, 20), (0, 0, 3)])
@pytest.mark.parametrize("backend", ALL)
def test_nothing_in_gives_nothing_out_and_gradients_of_zero(backend, shape, code):
    leaves = [t.requires_grad_() for t in make(*shape).values()]
    gated, rest = gated_short_conv(*leaves, parts=3, backend=backend)
    (gated.sum() + rest.sum()).backward()
    assert gated.shape == rest.shape == shape
    assert leaves[0].grad.shape == (*shape[:2], 3 * shape[2])
    assert not any(leaf.grad.any() for leaf in leaves)


@pytest.mark.parametrize("reverse", [False, True])
def test_a_nan_comes_out_where_the_filter_meets_it(reverse, code):
    x, weight, bias = make(1, 100, 20, 3).values()
    x[0, 50, 20 + 19] = torch.nan  # in the gate, which is the second of three parts
    gated, rest = gated_short_conv(x, weight, bias, parts=3, reverse=reverse, backend="cpu")
    found = {tuple(place) for place in gated[0].isnan().nonzero().tolist()}
    assert found == {(t, 19) for t in (range(48, 51) if reverse else range(50, 53))}
    assert not rest.isnan().any()


@pytest.mark.parametrize("shape", [(3, 300, 40), (1, 5000, 50)])
def test_any_number_of_threads_gives_the_same_bits(
    shape, compiled, assert_same_bits_on_any_threads
):
    leaves = [t.requires_grad_() for t in make(*shape).values()]
    assert_same_bits_on_any_threads(lambda *t: gated_short_conv(*t, parts=3), leaves)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x": torch.zeros(67, 60)}, r"x must be \(batch, length, channels >= 1\), got \(67, 60\)"),
        ({"x": torch.zeros(2, 67, 60, dtype=torch.int)}, "x must have a floating type.*int32"),
        ({"weight": torch.zeros(60, 1, 4)}, r"weight must be \(60, width\), got \(60, 1, 4\)"),
        ({"weight": torch.zeros(60, 0)}, r"weight must be \(60, width\), got \(60, 0\)"),
        ({"weight": torch.zeros(60, 3, device="meta")}, "weight is on meta and x on cpu"),
        ({"bias": torch.zeros(20)}, r"bias must be \(60,\), got \(20,\)"),
        ({"parts": 1}, "parts must be at least 2 and divide 60 channels, got 1"),
        ({"parts": 7}, "parts must be at least 2 and divide 60 channels, got 7"),
    ],
)
def test_wrong_arguments_are_errors_that_name_them(changes, message):
    with pytest.raises(ValueError, match=message):
        gated_short_conv(**(make() | {"parts": 3} | changes))


@pytest.mark.parametrize("dynamic", [False, True])
def test_compiles_into_one_graph_with_gradients(dynamic, code):
    compiled = torch.compile(gated_short_conv, fullgraph=True, backend="aot_eager", dynamic=dynamic)
    for length in (30, 31):
        leaves = [t.requires_grad_() for t in make(length=length).values()]
        results = []
        for run in (compiled, gated_short_conv):
            gated, rest = run(*leaves, parts=3)
            results.append((gated, *torch.autograd.grad((gated * rest).sum(), leaves)))
        torch.testing.assert_close(*results)


@pytest.mark.parametrize("parts", [2, 3])
@pytest.mark.parametrize("bias", [False, True])
def test_operator_keeps_the_rules_of_torch(bias, parts, code):
    inputs = make(parts=parts, bias=bias).values()
    leaves = [t if t is None else t.requires_grad_() for t in inputs]
    torch.library.opcheck(torch.ops.genolm.gated_short_conv_cpu.default, (*leaves, parts, bias))
