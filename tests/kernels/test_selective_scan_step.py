import pytest
import torch

from genolm_kernels import selective_scan, selective_scan_step

ALL = ["reference", "cpu", "triton"]
TYPES = [torch.float64, torch.float32, torch.bfloat16, torch.float16]
LENGTH = 6
# Batch, channels, states, groups of B, groups of C; None for no groups axis.
SHAPES = [(2, 12, 5, 3, 2), (1, 40, 16, None, None), (3, 2, 1, 2, None), (1, 3, 33, 1, 3)]


def make(batch=2, d_inner=12, d_state=5, b_groups=3, c_groups=2, *, extras=True, device="cpu"):
    def matrix(groups):
        shape = (batch, LENGTH, d_state) if groups is None else (batch, LENGTH, groups, d_state)
        return torch.randn(shape, device=device)

    def channels():
        return torch.randn(batch, LENGTH, d_inner, device=device)

    return {
        "u": channels(),
        "delta": 3 * channels(),
        "A": -torch.rand(d_inner, d_state, device=device),
        "B": matrix(b_groups),
        "C": matrix(c_groups),
        "D": torch.randn(d_inner, device=device) if extras else None,
        "z": channels() if extras else None,
        "delta_bias": torch.randn(d_inner, device=device) if extras else None,
    }


def at(tensors, t):
    """The arguments of one position."""
    moving = {"u", "delta", "B", "C", "z"}
    return {n: v[:, t] if n in moving and v is not None else v for n, v in tensors.items()}


@pytest.fixture(params=ALL)
def place(request) -> tuple[str, str]:
    """A backend, and the device of the tensors it takes."""
    if request.param != "triton":
        return request.param, "cpu"
    return request.param, request.getfixturevalue("triton_device")


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", TYPES)
def test_stepping_gives_what_the_whole_sequence_gives(
    dtype, shape, place, tolerance, nan_filled_empty
):
    backend, device = place
    if backend == "triton" and dtype == torch.float64:
        pytest.skip("it computes in float32")
    extras = shape[0] < 3
    tensors = make(*shape, extras=extras, device=device)
    tensors = {n: t if t is None else t.to(dtype) for n, t in tensors.items()}
    wide = {n: t if t is None else t.double() for n, t in tensors.items()}
    kept = torch.float64 if dtype == torch.float64 else torch.float32
    state = torch.randn(shape[:3], device=device).to(kept)
    whole, last = selective_scan(
        **wide,
        initial_state=state.double(),
        delta_softplus=extras,
        return_last_state=True,
        backend="reference",
    )
    outputs = []
    for t in range(LENGTH):
        y, state = selective_scan_step(
            state, **at(tensors, t), delta_softplus=extras, backend=backend
        )
        outputs.append(y)
    error = (torch.stack(outputs, 1) - whole).abs().max() / whole.abs().max()
    assert error <= tolerance[dtype]
    assert (state - last).abs().max() / last.abs().max() <= tolerance[kept]
    assert (y.dtype, state.dtype) == (dtype, kept)


def test_small_step_sizes_keep_their_digits(place):
    backend, device = place
    tensors = at(make(extras=False, device=device), 0)
    tensors["delta"] = torch.full_like(tensors["delta"], -14.0)
    state = torch.zeros(2, 12, 5, device=device)
    _, found = selective_scan_step(state, **tensors, delta_softplus=True, backend=backend)
    wide = {n: t if t is None else t.double() for n, t in tensors.items()}
    _, exact = selective_scan_step(state.double(), **wide, delta_softplus=True, backend="reference")
    torch.testing.assert_close(found.double(), exact, rtol=1e-5, atol=0)


def test_constant_matrices_of_each_channel_serve_every_sequence(place):
    backend, device = place
    tensors = at(make(device=device), 0)
    constant = torch.randn(12, 5, device=device)
    state = torch.randn(2, 12, 5, device=device)
    found = selective_scan_step(state, **tensors | {"B": constant[None]}, backend=backend)
    spread = constant.expand(2, 12, 5)
    wanted = selective_scan_step(state, **tensors | {"B": spread}, backend=backend)
    torch.testing.assert_close(found, wanted)


def test_strides_do_not_matter(place):
    backend, device = place
    tensors = at(make(device=device), 0)
    turned = {n: t.mT.contiguous().mT if t.dim() > 1 else t for n, t in tensors.items()}
    state = torch.randn(2, 5, 12, device=device).mT
    found = selective_scan_step(state, **turned, backend=backend)
    wanted = selective_scan_step(state.contiguous(), **tensors, backend=backend)
    torch.testing.assert_close(found, wanted)


def test_no_sequences_give_nothing(place):
    backend, device = place
    tensors = at(make(0, device=device), 0)
    y, state = selective_scan_step(torch.zeros(0, 12, 5, device=device), **tensors, backend=backend)
    assert y.shape == (0, 12)
    assert state.shape == (0, 12, 5)


@pytest.mark.parametrize("backend", ["reference", "cpu"])
def test_gradients_are_derivatives(backend):
    tensors = at(make(1, 4, 3, 2, 1), 0)
    leaves = [torch.randn(1, 4, 3), *tensors.values()]

    def run(*values):
        return selective_scan_step(*values, delta_softplus=True, backend=backend)

    assert torch.autograd.gradcheck(run, [t.double().requires_grad_() for t in leaves])


def test_a_backend_without_gradients_refuses_to_lose_them(triton_device):
    tensors = at(make(device=triton_device), 0)
    state = torch.zeros(2, 12, 5, device=triton_device, requires_grad=True)
    with pytest.raises(ValueError, match="computes no gradients"):
        selective_scan_step(state, **tensors, backend="triton")
    with torch.no_grad():
        selective_scan_step(state, **tensors, backend="triton")


def test_compiles_into_one_graph(place):
    backend, device = place
    compiled = torch.compile(selective_scan_step, fullgraph=True, backend="aot_eager")
    state = torch.zeros(2, 12, 5, device=device)
    found = compiled(state, **at(make(device=device), 0), delta_softplus=True, backend=backend)
    assert [t.shape for t in found] == [(2, 12), (2, 12, 5)]


@pytest.mark.parametrize("extras", [False, True])
def test_triton_operator_keeps_the_rules_of_torch(extras, triton_device):
    tensors = at(make(extras=extras, device=triton_device), 0)
    state = torch.zeros(2, 12, 5, device=triton_device)
    selective_scan_step(state, **tensors, backend="triton")
    operator = torch.ops.genolm.selective_scan_step_triton.default
    torch.library.opcheck(operator, (state, *tensors.values(), True))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"state": torch.zeros(2, 12)}, r"state must be \(batch, d_inner, d_state\)"),
        ({"u": torch.zeros(2, 1, 12)}, r"u must be \(2, 12\), got \(2, 1, 12\)"),
        ({"A": torch.zeros(12, 4)}, r"A must be \(12, 5\)"),
        ({"B": torch.zeros(12, 5)}, r"B must be \(2, 5\) or \(2, groups, 5\), got \(12, 5\)"),
        ({"C": torch.zeros(2, 5, 5)}, "C has 5 groups, which do not divide 12"),
        ({"D": torch.zeros(5)}, r"D must be \(12,\)"),
    ],
)
def test_wrong_arguments_are_errors_that_name_them(changes, message):
    tensors = {"state": torch.zeros(2, 12, 5)} | at(make(), 0)
    with pytest.raises(ValueError, match=message):
        selective_scan_step(**(tensors | changes))
