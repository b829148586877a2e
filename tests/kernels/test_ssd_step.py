import importlib

import pytest
import torch

from genolm_kernels import ssd, ssd_step

OPTIONAL = ("D", "z", "dt_bias")


def make(batch=2, length=9, heads=4, headdim=5, groups=2, d_state=7, *, without=(), device="cpu"):
    tensors = {
        "x": torch.randn(batch, length, heads, headdim),
        "dt": torch.rand(batch, length, heads),
        "A": -torch.rand(heads) * 4 - 0.1,
        "B": torch.randn(batch, length, groups, d_state),
        "C": torch.randn(batch, length, groups, d_state),
        "D": torch.randn(heads),
        "z": torch.randn(batch, length, heads, headdim),
        "dt_bias": torch.rand(heads),
    }
    return {name: value.to(device) for name, value in tensors.items()} | dict.fromkeys(without)


def at(tensors, t):
    along = ("x", "dt", "B", "C", "z")
    return {
        name: value[:, t] if name in along and value is not None else value
        for name, value in tensors.items()
    }


def check_steps(tensors, backend, **options):
    whole, end = ssd(**tensors, **options, return_last_state=True, backend="reference")
    state = end.new_zeros(end.shape)
    outputs = []
    for t in range(whole.shape[1]):
        y, state = ssd_step(state, **at(tensors, t), **options, backend=backend)
        outputs.append(y)
    assert torch.stack(outputs, 1).dtype == whole.dtype
    scale = whole.abs().max()
    tolerance = {torch.float64: 1e-12, torch.float32: 2e-6, torch.bfloat16: 1e-2}[whole.dtype]
    assert (torch.stack(outputs, 1) - whole).abs().max() <= tolerance * scale
    torch.testing.assert_close(state, end, rtol=1e-4, atol=1e-5)


CASES = {
    "plain": {},
    "nothing optional": {"without": OPTIONAL},
    "one group": {"groups": 1},
    "one channel": {"heads": 1, "headdim": 1, "groups": 1, "d_state": 1},
    "large state": {"d_state": 130, "length": 3},
}


@pytest.mark.parametrize("backend", ["reference", "cpu"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("case", CASES)
def test_steps_add_up_to_the_whole(case, dtype, backend):
    tensors = make(**CASES[case])
    tensors = {name: t if t is None else t.to(dtype) for name, t in tensors.items()}
    check_steps(tensors, backend, dt_softplus="dt_bias" not in CASES[case].get("without", ()))


@pytest.mark.usefixtures("swift_interpreter")
@pytest.mark.parametrize("case", CASES)
def test_steps_of_triton_add_up_to_the_whole(case, triton_device):
    tensors = make(**{"batch": 1, "length": 3} | CASES[case], device=triton_device)
    softplus = "dt_bias" not in CASES[case].get("without", ())
    check_steps(tensors, "triton", dt_softplus=softplus)


def test_the_state_given_stays_as_it_is():
    tensors = at(make(), 0)
    state = torch.randn(2, 4, 5, 7)
    before = state.clone()
    _, after = ssd_step(state, **tensors, backend="cpu")
    assert state.equal(before)
    assert not after.equal(before)


@pytest.mark.parametrize("backend", ["reference", "cpu"])
def test_gradients_are_derivatives(backend):
    tensors = at(make(1, 1, 2, 2, 1, 2), 0)
    leaves = [torch.randn(1, 2, 2, 2), *tensors.values()]
    leaves = [leaf.double().requires_grad_() for leaf in leaves]

    def run(*values):
        return ssd_step(*values, dt_softplus=True, backend=backend)

    assert torch.autograd.gradcheck(run, leaves)


def test_triton_says_that_it_has_no_gradients(triton_device):
    tensors = at(make(device=triton_device), 0)
    state = torch.zeros(2, 4, 5, 7, device=triton_device, requires_grad=True)
    with pytest.raises(ValueError, match="computes no gradients"):
        ssd_step(state, **tensors, backend="triton")


@pytest.mark.parametrize("backend", ["reference", "cpu", "triton"])
def test_an_empty_batch_is_stepped(backend, triton_device):
    device = triton_device if backend == "triton" else "cpu"
    tensors = at(make(batch=0, device=device), 0)
    y, state = ssd_step(torch.zeros(0, 4, 5, 7, device=device), **tensors, backend=backend)
    assert y.shape == (0, 4, 5)
    assert state.shape == (0, 4, 5, 7)


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("state", (2, 4, 35), "state must be"),
        ("x", (2, 4, 6), r"x must be \(2, 4, 5\)"),
        ("dt", (2, 5), "dt must be"),
        ("A", (5,), "A must be"),
        ("B", (2, 3, 7), "groups that divide 4 heads"),
        ("B", (2, 7), "B must be"),
        ("C", (2, 1, 7), r"C must be \(2, 2, 7\)"),
        ("z", (2, 20), "z must be"),
    ],
)
def test_wrong_shapes_are_errors_that_name_the_tensor(name, shape, message):
    tensors = {"state": torch.zeros(2, 4, 5, 7)} | at(make(), 0)
    with pytest.raises(ValueError, match=message):
        ssd_step(**tensors | {name: torch.zeros(shape)})


def test_compiles_into_one_graph():
    tensors = at(make(), 0)
    state = torch.randn(2, 4, 5, 7)
    compiled = torch.compile(ssd_step, fullgraph=True, backend="aot_eager")
    found = compiled(state, **tensors, dt_softplus=True)
    torch.testing.assert_close(found, ssd_step(state, **tensors, dt_softplus=True))


def test_the_triton_operator_keeps_the_rules_of_torch(triton_device):
    importlib.import_module("genolm_kernels.ssd_step.triton")
    tensors = at(make(1, 1, device=triton_device), 0)
    state = torch.randn(1, 4, 5, 7, device=triton_device)
    checks = ("test_schema", "test_faketensor")
    operator = torch.ops.genolm.ssd_step_triton.default
    torch.library.opcheck(operator, (state, *tensors.values(), True), test_utils=checks)
