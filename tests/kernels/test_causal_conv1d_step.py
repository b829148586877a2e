import pytest
import torch

from genolm_kernels import causal_conv1d, causal_conv1d_step

ALL = ["reference", "cpu", "triton"]
TYPES = [torch.float64, torch.float32, torch.bfloat16, torch.float16]


def make(batch=3, channels=7, width=4, *, bias=True, dtype=torch.float32, device="cpu"):
    return {
        "window": torch.randn(batch, width - 1, channels, device=device).to(dtype),
        "x": torch.randn(batch, channels, device=device).to(dtype),
        "weight": torch.randn(channels, width, device=device).to(dtype),
        "bias": torch.randn(channels, device=device).to(dtype) if bias else None,
    }


@pytest.fixture(params=ALL)
def place(request) -> tuple[str, str]:
    """A backend, and the device of the tensors it takes."""
    if request.param != "triton":
        return request.param, "cpu"
    return request.param, request.getfixturevalue("triton_device")


@pytest.mark.parametrize("width", [1, 2, 4, 7])
@pytest.mark.parametrize("dtype", TYPES)
def test_stepping_gives_what_the_whole_sequence_gives(dtype, width, place, tolerance):
    backend, device = place
    if backend == "triton" and dtype == torch.float64:
        pytest.skip("it computes in float32")
    _, _, weight, bias = make(width=width, bias=width > 2, dtype=dtype, device=device).values()
    x = torch.randn(3, 9, 7, device=device).to(dtype)
    wide = [t if t is None else t.double() for t in (x, weight, bias)]
    whole = causal_conv1d(*wide, activation="silu", backend="reference")
    window, outputs = x.new_zeros(3, width - 1, 7), []
    for t in range(9):
        y, window = causal_conv1d_step(
            window, x[:, t], weight, bias, activation="silu", backend=backend
        )
        outputs.append(y)
    error = (torch.stack(outputs, 1) - whole).abs().max() / whole.abs().max()
    assert error <= tolerance[dtype]
    assert window.equal(x[:, 10 - width :])
    assert {y.dtype, window.dtype} == {dtype}


def test_window_keeps_its_own_type(place, nan_filled_empty):
    backend, device = place
    tensors = make(device=device)
    x = tensors["x"].bfloat16()
    y, window = causal_conv1d_step(**tensors | {"x": x}, backend=backend)
    assert (y.dtype, window.dtype) == (torch.bfloat16, torch.float32)
    assert window[:, -1].equal(x.float())
    assert window[:, :-1].equal(tensors["window"][:, 1:])


def test_more_channels_than_a_program_takes(place, nan_filled_empty):
    backend, device = place
    tensors = make(2, 200, 3, device=device)
    wide = {name: tensor.double() for name, tensor in tensors.items()}
    found = causal_conv1d_step(**tensors, backend=backend)
    for value, exact in zip(found, causal_conv1d_step(**wide, backend="reference"), strict=True):
        torch.testing.assert_close(value.double(), exact, rtol=1e-5, atol=1e-5)


def test_strides_do_not_matter(place):
    backend, device = place
    tensors = make(device=device)
    turned = {n: t.mT.contiguous().mT if t.dim() > 1 else t for n, t in tensors.items()}
    wanted = causal_conv1d_step(**tensors, backend=backend)
    for found, value in zip(causal_conv1d_step(**turned, backend=backend), wanted, strict=True):
        torch.testing.assert_close(found, value)


def test_no_sequences_give_nothing(place):
    backend, device = place
    y, window = causal_conv1d_step(**make(0, device=device), backend=backend)
    assert y.shape == (0, 7)
    assert window.shape == (0, 3, 7)


@pytest.mark.parametrize("backend", ["reference", "cpu"])
def test_gradients_are_derivatives(backend):
    leaves = [t.requires_grad_() for t in make(2, 3, dtype=torch.float64).values()]

    def run(*values):
        return causal_conv1d_step(*values, activation="silu", backend=backend)

    assert torch.autograd.gradcheck(run, leaves)


def test_a_backend_without_gradients_refuses_to_lose_them(triton_device):
    tensors = make(device=triton_device)
    tensors["x"].requires_grad_()
    with pytest.raises(ValueError, match="computes no gradients"):
        causal_conv1d_step(**tensors, backend="triton")
    with torch.no_grad():
        causal_conv1d_step(**tensors, backend="triton")


def test_compiles_into_one_graph(place):
    backend, device = place
    compiled = torch.compile(causal_conv1d_step, fullgraph=True, backend="aot_eager")
    found = compiled(**make(device=device), activation="silu", backend=backend)
    assert [t.shape for t in found] == [(3, 7), (3, 3, 7)]


def test_triton_operator_keeps_the_rules_of_torch(triton_device):
    tensors = make(device=triton_device)
    causal_conv1d_step(**tensors, backend="triton")
    operator = torch.ops.genolm.causal_conv1d_step_triton.default
    torch.library.opcheck(operator, (*tensors.values(), True))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x": torch.zeros(3, 1, 7)}, r"x must be floats \(batch, channels\)"),
        ({"x": torch.zeros(3, 7, dtype=torch.int64)}, "x must be floats .* torch.int64"),
        ({"window": torch.zeros(3, 4, 7)}, r"window must be \(3, 3, 7\), got \(3, 4, 7\)"),
        ({"weight": torch.zeros(6, 4)}, r"weight must be \(7, width\)"),
        ({"bias": torch.zeros(4)}, r"bias must be \(7,\)"),
        ({"activation": "relu"}, "activation must be None, 'silu' or 'swish', got 'relu'"),
    ],
)
def test_wrong_arguments_are_errors_that_name_them(changes, message):
    with pytest.raises(ValueError, match=message):
        causal_conv1d_step(**(make() | changes))
