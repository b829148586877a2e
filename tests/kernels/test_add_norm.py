import pytest
import torch
import torch.nn.functional as F

from genolm_kernels import add_norm

ALL = ["reference", "cpu"]
# Batch, length, channels: from 16 channels on for the compiled code.
SHAPES = [(2, 67, 8), (3, 2, 2), (1, 1, 3), (1, 1, 16), (2, 67, 17), (5, 13, 31), (2, 65, 236)]


def make(batch=2, length=67, d_model=20, *, residual=True, bias=True):
    shape = (batch, length, d_model)
    return {
        "hidden": torch.randn(shape),
        "residual": torch.randn(shape) if residual else None,
        "weight": torch.randn(d_model),
        "bias": torch.randn(d_model) if bias else None,
    }


@pytest.mark.parametrize("rms", [True, False])
@pytest.mark.parametrize("residual", [True, False])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", SHAPES)
def test_agrees_with_the_reference(shape, bias, residual, rms, code, assert_agrees):
    inputs = make(*shape, residual=residual, bias=bias)
    # Enough of eps that a row of two channels has gradients that are not all rounding.
    options = {"rms": rms, "eps": 0.1}
    assert_agrees(add_norm, inputs, dtype=torch.float32, backend="cpu", **options)


@pytest.mark.parametrize("rms", [True, False])
@pytest.mark.parametrize("residual", [True, False])
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_agrees_with_the_reference_in_every_type(dtype, residual, rms, code, assert_agrees):
    inputs = make(residual=residual, bias=not rms)
    assert_agrees(add_norm, inputs, dtype=dtype, backend="cpu", rms=rms)


@pytest.mark.parametrize("rms", [True, False])
@pytest.mark.parametrize("shape", [(2, 4200, 256), (1, 900, 2352), (1, 900, 2353)])
def test_agrees_where_outputs_are_larger_than_caches(shape, rms, code, assert_agrees):
    assert_agrees(add_norm, make(*shape), dtype=torch.float32, backend="cpu", rms=rms)


@pytest.mark.parametrize("backend", ALL)
def test_is_the_norm_of_torch(backend, code):
    hidden, residual, weight, bias = make().values()
    for rms, of_torch in (
        (True, F.rms_norm(hidden + residual, (20,), weight, 1e-3)),
        (False, F.layer_norm(hidden + residual, (20,), weight, bias, 1e-3)),
    ):
        normed, total = add_norm(
            hidden, residual, weight, None if rms else bias, eps=1e-3, rms=rms, backend=backend
        )
        torch.testing.assert_close(normed, of_torch)
        assert total.equal(hidden + residual)


@pytest.mark.parametrize("backend", ALL)
def test_one_channel_is_its_own_mean(backend):
    hidden, residual, weight, bias = make(d_model=1).values()
    normed, _ = add_norm(hidden, residual, weight, bias, rms=False, backend=backend)
    assert normed.equal(bias.expand(2, 67, 1))
    normed, total = add_norm(hidden, residual, weight, eps=0.0, backend=backend)
    torch.testing.assert_close(normed, total.sign() * weight)


@pytest.mark.parametrize("backend", ALL)
@pytest.mark.parametrize("rms", [True, False])
@pytest.mark.parametrize("residual", [True, False])
def test_gradients_are_derivatives(residual, rms, backend):
    inputs = {n: t for n, t in make(2, 3, 5, residual=residual).items() if t is not None}

    def run(*values):
        given = {"residual": None} | dict(zip(inputs, values, strict=True))
        return add_norm(**given, rms=rms, backend=backend)

    leaves = [t.double().requires_grad_() for t in inputs.values()]
    assert torch.autograd.gradcheck(run, leaves)


@pytest.mark.parametrize("backend", ALL)
@pytest.mark.parametrize("weight", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("residual", [torch.float32, None])
def test_the_sum_is_float32_and_the_norm_has_the_weights_type(residual, weight, backend, code):
    inputs = make(residual=residual is not None)
    inputs["hidden"] = inputs["hidden"].bfloat16()
    inputs |= {name: inputs[name].to(weight) for name in ("weight", "bias")}
    leaves = {n: t if t is None else t.requires_grad_() for n, t in inputs.items()}
    normed, total = add_norm(**leaves, backend=backend)
    assert (normed.dtype, total.dtype) == (weight, torch.float32)
    (normed.float().sum() + total.sum()).backward()
    assert all(t is None or t.grad.dtype == t.dtype for t in leaves.values())


@pytest.mark.parametrize("output", [0, 1])
@pytest.mark.parametrize("residual", [True, False])
def test_either_output_alone_has_gradients(residual, output, code):
    inputs = {n: t for n, t in make(residual=residual).items() if t is not None}
    leaves = {n: t.requires_grad_() for n, t in inputs.items()}
    results = []
    for backend in ("cpu", "reference"):
        found = add_norm(**{"residual": None} | leaves, rms=False, backend=backend)[output]
        gradients = torch.autograd.grad(
            (found * found).sum(), list(leaves.values()), allow_unused=True
        )
        results.append([torch.zeros(()) if g is None else g for g in gradients])
    torch.testing.assert_close(*results, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("rms", [True, False])
def test_parts_of_wider_tensors_are_read_where_they_lie(rms, code):
    hidden, residual = torch.randn(2, 67, 80)[..., 3:43].split(20, dim=-1)
    cotangents = torch.randn(2, 67, 60)[..., 5:45].split(20, dim=-1)
    _, _, weight, bias = make().values()
    turned = [t.transpose(1, 2).contiguous().transpose(1, 2) for t in (hidden, residual)]
    results = []
    for first, second in ((hidden.clone(), residual.clone()), (hidden, residual), turned):
        leaves = [t.detach().requires_grad_() for t in (first, second, weight, bias)]
        outputs = add_norm(*leaves, rms=rms)
        results.append((*outputs, *torch.autograd.grad(outputs, leaves, cotangents)))
    for others in results[1:]:
        torch.testing.assert_close(others, results[0])


@pytest.mark.parametrize("shape", [(0, 67, 20), (2, 0, 20), (0, 0, 3)])
@pytest.mark.parametrize("backend", ALL)
def test_nothing_in_gives_nothing_out_and_gradients_of_zero(backend, shape, code):
    leaves = [t.requires_grad_() for t in make(*shape).values()]
    normed, total = add_norm(*leaves, backend=backend)
    (normed.sum() + total.sum()).backward()
    assert normed.shape == total.shape == leaves[0].grad.shape == shape
    assert not any(leaf.grad.any() for leaf in leaves)


@pytest.mark.parametrize("rms", [True, False])
@pytest.mark.parametrize("channel", [0, 19])
def test_a_nan_spoils_its_own_row_and_no_other(channel, rms, code):
    hidden, residual, weight, bias = make().values()
    hidden[1, 30, channel] = torch.nan
    normed, total = add_norm(hidden, residual, weight, bias, rms=rms, backend="cpu")
    assert total.isnan().nonzero().tolist() == [[1, 30, channel]]
    assert normed.isnan().all(-1).nonzero().tolist() == [[1, 30]]
    assert normed.isnan().sum() == 20


@pytest.mark.parametrize("rms", [True, False])
def test_large_means_and_small_deviations_keep_their_digits(rms, code):
    hidden, residual, weight, bias = make(d_model=256).values()
    hidden = 1e-2 * hidden + 100
    found, _ = add_norm(hidden, residual * 0, weight, bias, rms=rms, backend="cpu")
    double = [t.double() for t in (hidden, residual * 0, weight, bias)]
    wanted, _ = add_norm(*double, rms=rms, backend="reference")
    # Rounding the mean alone is 4e-4 of a deviation; the difference of the mean square and the
    # squared mean would leave nothing.
    torch.testing.assert_close(found.double(), wanted, rtol=0, atol=1e-2)


@pytest.mark.parametrize("rms", [True, False])
@pytest.mark.parametrize("shape", [(3, 300, 40), (1, 5000, 50)])
def test_any_number_of_threads_gives_the_same_bits(
    shape, rms, compiled, assert_same_bits_on_any_threads
):
    leaves = [t.requires_grad_() for t in make(*shape).values()]
    assert_same_bits_on_any_threads(lambda *t: add_norm(*t, rms=rms), leaves)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hidden": torch.zeros(67, 20)}, r"hidden must be .*d_model >= 1\), got \(67, 20\)"),
        ({"hidden": torch.zeros(2, 67, 0)}, r"hidden must be .*d_model >= 1\), got \(2, 67, 0\)"),
        (
            {"hidden": torch.zeros(2, 67, 20, dtype=torch.long)},
            "hidden must have a floating type, got .*int64",
        ),
        ({"residual": torch.zeros(2, 1, 20)}, r"residual must be \(2, 67, 20\), got \(2, 1, 20\)"),
        ({"residual": torch.zeros(2, 67, 20, device="meta")}, "residual is on meta and hidden on"),
        ({"weight": torch.zeros(1)}, r"weight must be \(20,\), got \(1,\)"),
        ({"bias": torch.zeros(20, 1)}, r"bias must be \(20,\), got \(20, 1\)"),
    ],
)
def test_wrong_arguments_are_errors_that_name_them(changes, message):
    with pytest.raises(ValueError, match=message):
        add_norm(**(make() | changes))


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("dynamic", [False, True])
def test_compiles_into_one_graph_with_gradients(dynamic, residual, code):
    compiled = torch.compile(add_norm, fullgraph=True, backend="aot_eager", dynamic=dynamic)
    for length in (30, 31):
        inputs = make(length=length, residual=residual)
        leaves = [t.requires_grad_() for t in inputs.values() if t is not None]
        results = []
        for run in (compiled, add_norm):
            normed, total = run(**inputs)
            results.append((normed, *torch.autograd.grad((normed * total).sum(), leaves)))
        torch.testing.assert_close(*results)


@pytest.mark.parametrize("rms", [False, True])
@pytest.mark.parametrize("residual", [False, True])
def test_operators_keep_the_rules_of_torch(residual, rms, code):
    inputs = make(residual=residual, bias=not rms).values()
    leaves = [t if t is None else t.requires_grad_() for t in inputs]
    operators = torch.ops.genolm
    if residual:
        torch.library.opcheck(operators.add_norm_cpu.default, (*leaves, 1e-5, rms))
    else:
        hidden, _, weight, bias = leaves
        torch.library.opcheck(operators.norm_cpu.default, (hidden, weight, bias, 1e-5, rms))
