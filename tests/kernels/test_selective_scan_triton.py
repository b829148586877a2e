"""The scan's Triton kernels: on a GPU, or small shapes in Triton's interpreter."""

import pytest
import torch

from genolm_kernels import selective_scan
from genolm_kernels.selective_scan import triton_plan
from genolm_kernels.selective_scan.triton_plan import Plan, chunk_size

NAMES = ("u", "delta", "A", "B", "C", "D", "z", "delta_bias", "initial_state")


def use_variant(variant, monkeypatch):
    """Programs that walk along the whole sequence, or along one of its chunks."""
    monkeypatch.setattr(triton_plan, "PROGRAMS", {"serial": 0, "chunks": 1000}[variant])


@pytest.fixture(autouse=True)
def _small_pieces(triton_device, swift_interpreter, monkeypatch):
    """In the interpreter every step counts; short spans show what long ones would."""
    if triton_device == "cpu":
        for name, value in (("SPAN", 4), ("FEWEST_STEPS", 4), ("BLOCK", 4)):
            monkeypatch.setattr(triton_plan, name, value)


@pytest.fixture(params=["serial", "chunks"])
def variant(request, monkeypatch):
    use_variant(request.param, monkeypatch)
    return request.param


def matrix(form, batch, length, d_inner, d_state):
    if form == "constant":
        return torch.randn(d_inner, d_state)
    if form == "varying":
        return torch.randn(batch, length, d_state)
    return torch.randn(batch, length, form, d_state)


def make(
    batch=1, length=7, d_inner=3, d_state=4, *, B="varying", C="varying", without=(), device="cpu"
):
    tensors = {
        "u": torch.randn(batch, length, d_inner),
        "delta": torch.rand(batch, length, d_inner) - 0.5,
        "A": -torch.rand(d_inner, d_state) * d_state - 0.1,
        "B": matrix(B, batch, length, d_inner, d_state),
        "C": matrix(C, batch, length, d_inner, d_state),
        "D": torch.randn(d_inner),
        "z": torch.randn(batch, length, d_inner),
        "delta_bias": torch.rand(d_inner),
        "initial_state": torch.randn(batch, d_inner, d_state),
    }
    return {n: None if n in without else value.to(device) for n, value in tensors.items()}


CASES = {
    "two sequences, two blocks": {"batch": 2, "length": 7, "d_inner": 5},
    "length 1": {"length": 1, "batch": 2},
    "chunks of equal length": {"length": 8, "d_state": 2},
    "16 states": {"d_state": 16, "length": 7},
    "32 states, two warps": {"d_state": 32, "length": 3},
    "5 states, one channel": {"d_state": 5, "d_inner": 1},
    "one state": {"d_state": 1},
    "grouped": {"B": 2, "C": 2, "d_inner": 4, "length": 7},
    "unlike groups": {"B": 3, "C": 2, "d_inner": 6, "length": 3},
    "constant B and C": {"B": "constant", "C": "constant"},
    "constant C, grouped B": {"B": 2, "C": "constant", "d_inner": 4, "length": 7},
    "nothing optional": {"without": ("D", "z", "delta_bias", "initial_state")},
    "gate alone": {"without": ("D", "delta_bias")},
    "skip alone": {"without": ("z", "initial_state")},
}


def check(tensors, assert_agrees, *, dtype=torch.float32, **options):
    assert_agrees(
        selective_scan, tensors, dtype=dtype, backend="triton", return_last_state=True, **options
    )


@pytest.mark.parametrize("case", CASES)
def test_agrees_with_the_reference(case, variant, triton_device, assert_agrees):
    # One half of the cases goes backwards in chunks, the other half in one piece.
    reverse = (list(CASES).index(case) % 2 == 0) == (variant == "chunks")
    softplus = "delta_bias" not in CASES[case].get("without", ())
    tensors = make(**CASES[case], device=triton_device)
    check(tensors, assert_agrees, delta_softplus=softplus, reverse=reverse)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_agrees_with_the_reference_in_half_precision(dtype, variant, triton_device, assert_agrees):
    check(make(device=triton_device), assert_agrees, dtype=dtype, delta_softplus=True)


def run(tensors, **options):
    leaves = {n: t if t is None else t.detach().requires_grad_() for n, t in tensors.items()}
    outputs = selective_scan(**leaves, return_last_state=True, **options)
    weights = [torch.linspace(-1, 1, o.numel(), device=o.device).view(o.shape) for o in outputs]
    sum((o * w).sum() for o, w in zip(outputs, weights, strict=True)).backward()
    gradients = [leaf.grad for leaf in leaves.values() if leaf is not None]
    return [*(output.detach() for output in outputs), *gradients]


OTHERS = [
    "1_zFalse",
    "2_D_False",
    "3_dbFalse",
    "4_spFalse",
    "5_varBFalse_varCFalse",
    "6_zFalse_D_False_dbFalse_spFalse",
    "7_groups2",
]


@pytest.mark.parametrize(
    "name", ["0_full", *(pytest.param(name, marks=pytest.mark.slow) for name in OTHERS)]
)
def test_gives_the_original_implementations_numbers(name, golden, triton_device, monkeypatch):
    file = golden(f"selective_scan_{name}")
    monkeypatch.setattr(triton_plan, "BLOCK", 8)
    leaves = {
        key[3:]: torch.from_numpy(value).to(triton_device).requires_grad_()
        for key, value in file.items()
        if key.startswith("in:")
    }
    tensors = {key: leaf.movedim(-1, 1) if leaf.dim() > 2 else leaf for key, leaf in leaves.items()}
    softplus = bool(file["delta_softplus"])
    y, last_state = selective_scan(
        **tensors, delta_softplus=softplus, return_last_state=True, backend="triton"
    )
    (y.transpose(1, 2) * torch.from_numpy(file["dout"]).to(triton_device)).sum().backward()
    compared = [
        (y.transpose(1, 2), file["out_f32"], 2e-5),
        (last_state, file["last_state_f32"], 2e-5),
        *((leaf.grad, file[f"grad:{key}"], 2e-4) for key, leaf in leaves.items()),
    ]
    for found, wanted, tolerance in compared:
        wanted = torch.from_numpy(wanted)
        assert (found.detach().cpu() - wanted).abs().max() <= tolerance * wanted.abs().max()


def test_types_of_inputs_and_parameters_may_differ(triton_device):
    tensors = make(length=5, device=triton_device)
    narrow = ("u", "delta", "B", "C", "z")
    mixed = {n: t.bfloat16() if n in narrow else t for n, t in tensors.items()}
    found = run(mixed, delta_softplus=True, backend="triton")
    wanted = run(mixed, delta_softplus=True, backend="reference")
    assert [t.dtype for t in found] == [t.dtype for t in wanted]
    for one, other in zip(found, wanted, strict=True):
        assert (one.double() - other).abs().max() <= 1e-2 * other.abs().max()


def test_views_are_read_where_they_lie(triton_device):
    tensors = make(2, 5, 3, 4, device=triton_device)
    wide = {n: torch.cat([tensors[n]] * 3, -1) for n in ("u", "delta", "z", "B", "C")}
    views = {n: t[..., t.shape[-1] // 3 : 2 * t.shape[-1] // 3] for n, t in wide.items()}
    turned = {"u": tensors["u"].transpose(0, 1).contiguous().transpose(0, 1)}
    found = run(tensors | views | turned, backend="triton")
    assert all(a.equal(b) for a, b in zip(found, run(tensors, backend="triton"), strict=True))


def test_large_steps_forget_everything_before(variant, triton_device):
    tensors = make(length=7, without=("initial_state",), device=triton_device)
    tensors["A"] = tensors["A"] * 1e30
    tensors["delta"] = tensors["delta"].abs() + 1
    wanted = run(
        {n: t if t is None else t.double() for n, t in tensors.items()}, backend="reference"
    )
    for one, other in zip(run(tensors, backend="triton"), wanted, strict=True):
        assert (one - other).abs().max() <= 1e-5 * other.abs().max()


@pytest.mark.parametrize("scale", [1e-3, 1.0, 30.0])
def test_small_and_large_step_sizes_keep_their_digits(scale, triton_device):
    tensors = make(length=8, d_state=1, without=("initial_state", "D", "z"), device=triton_device)
    tensors["delta"] = torch.linspace(-10, -5, 24, device=triton_device).view(1, 8, 3) + scale
    tensors["A"] = -torch.full_like(tensors["A"], 1e6)  # y_t = C_t B_t dt_t u_t
    y = selective_scan(**tensors, delta_softplus=True, backend="triton")
    wide = {n: t if t is None else t.double() for n, t in tensors.items()}
    wanted = selective_scan(**wide, delta_softplus=True, backend="reference")
    assert ((y - wanted) / wanted).abs().max() < 2e-6


def test_nothing_gives_nothing(triton_device, nan_filled_empty):
    found = run(make(batch=0, device=triton_device), backend="triton")
    assert found[0].shape == (0, 7, 3)
    assert not any(gradient.any() for gradient in found[2:])


def test_equal_inputs_give_equal_bits(variant, triton_device):
    tensors = make(1, 7, 5, device=triton_device)
    first, second = (run(tensors, backend="triton") for _ in range(2))
    assert all(a.equal(b) for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize("last", [False, True])
def test_either_output_may_be_all_that_is_used(last, variant, triton_device):
    tensors = make(device=triton_device)
    gradients = []
    for backend in ("triton", "reference"):
        leaves = [tensors[name].detach().requires_grad_() for name in NAMES]
        given = dict(zip(NAMES, leaves, strict=True))
        outputs = selective_scan(**given, return_last_state=True, backend=backend)
        gradients.append(torch.autograd.grad(outputs[last].sum(), leaves, allow_unused=True))
    for found, wanted in zip(*gradients, strict=True):
        torch.testing.assert_close(found, found * 0 if wanted is None else wanted)


def test_compiles_into_one_graph_with_gradients(triton_device):
    compiled = torch.compile(selective_scan, fullgraph=True, backend="aot_eager")
    tensors = make(length=5, device=triton_device)
    leaves = {name: tensor.requires_grad_() for name, tensor in tensors.items()}
    found = compiled(**leaves, delta_softplus=True, backend="triton")
    wanted = selective_scan(**leaves, delta_softplus=True, backend="reference")
    torch.testing.assert_close(found, wanted)
    torch.testing.assert_close(
        torch.autograd.grad(found.sum(), leaves.values()),
        torch.autograd.grad(wanted.sum(), leaves.values()),
    )


@pytest.mark.parametrize("keep", [False, True])
def test_operator_keeps_the_rules_of_torch(keep, triton_device):
    tensors = make(length=3, device=triton_device).values()
    leaves = [tensor.requires_grad_(keep) for tensor in tensors]
    selective_scan(*leaves[:8], backend="triton")  # registers the operator
    operator = torch.ops.genolm.selective_scan_triton.default
    checks = ("test_schema", "test_faketensor", "test_autograd_registration")
    torch.library.opcheck(operator, (*leaves, True, False, keep), test_utils=checks)


def test_refuses_what_it_cannot_compute(triton_device):
    with pytest.raises(ValueError, match="float64"):
        selective_scan(**{n: t.double() for n, t in make().items()}, backend="triton")
    with pytest.raises(ValueError, match="at most 128 states"):
        selective_scan(**make(length=1, d_state=129), backend="triton")


def test_few_programs_share_a_sequence(monkeypatch):
    monkeypatch.undo()  # the sizes as shipped
    assert chunk_size(programs=16, length=131072, multiprocessors=132) == 2048
    assert chunk_size(programs=128, length=1024, multiprocessors=132) == 128
    assert chunk_size(programs=1024, length=1000, multiprocessors=132) == 1024
    assert chunk_size(programs=1, length=100, multiprocessors=132) == 128
    for programs in (1, 7, 100, 527, 529, 10**6):
        for length in (1, 63, 64, 65, 8192, 10**6):
            size = chunk_size(programs, length, multiprocessors=132)
            assert size % triton_plan.SPAN == 0
            chunks = -(-length // size)
            assert chunks == 1 or chunks * programs <= 132 * triton_plan.PROGRAMS


def test_long_rows_make_short_chunks(monkeypatch):
    monkeypatch.undo()
    wide = torch.empty(1, 2**20, 2**24, device="meta")[..., :1]
    way = triton_plan.Way(wide, wide, torch.empty(1, 16), wide, wide, None, None)
    assert triton_plan.most_positions((way,), None) == 64


def test_a_plan_has_room_for_every_state_and_channel():
    for d_inner, d_state, groups in ((1, 1, 1), (6, 5, 3), (512, 16, 1), (1536, 128, 2)):
        plan = Plan(1, 1, d_inner, d_state, groups, 1, triton_plan.SPAN)
        assert plan.padded >= d_state
        assert plan.block * plan.blocks >= d_inner
        assert plan.blocks % groups == 0
        assert triton_plan.SPAN % plan.tile == 0


@pytest.mark.gpu
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("shape", [(1, 4099, 512, 16), (8, 1024, 256, 16), (128, 255, 384, 64)])
def test_agrees_with_the_reference_at_real_shapes(shape, dtype, reverse, gpu, assert_agrees):
    options = {"delta_softplus": True, "reverse": reverse}
    check(make(*shape, device=gpu), assert_agrees, dtype=dtype, **options)


@pytest.mark.gpu
def test_offsets_pass_two_to_the_31(gpu):
    tensors = make(2, 2**20 + 3, 1536, without=("initial_state", "D"), device=gpu)
    tensors = {n: t if t is None or n == "A" else t.bfloat16() for n, t in tensors.items()}
    y = selective_scan(**tensors, delta_softplus=True, backend="triton")
    tail = {n: t if t is None or t.dim() < 3 else t[1:, -512:] for n, t in tensors.items()}
    wanted = selective_scan(**tail, delta_softplus=True, backend="reference")
    difference = (y[1:, -128:].float() - wanted[:, -128:].float()).abs().max()
    assert difference <= 1e-2 * wanted.float().abs().max()
