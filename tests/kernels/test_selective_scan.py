import multiprocessing
import sys

import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from genolm_kernels import selective_scan

FAST = ["cpu"]  # Triton has tests of its own, small enough for its interpreter
GOLDEN = [
    "0_full",
    "1_zFalse",
    "2_D_False",
    "3_dbFalse",
    "4_spFalse",
    "5_varBFalse_varCFalse",
    "6_zFalse_D_False_dbFalse_spFalse",
    "7_groups2",
]


def matrix(form, batch, length, d_inner, d_state):
    if form == "constant":
        return torch.randn(d_inner, d_state)
    if form == "varying":
        return torch.randn(batch, length, d_state)
    return torch.randn(batch, length, form, d_state)


def make(batch=2, length=67, d_inner=8, d_state=16, *, B="varying", C="varying", without=()):
    tensors = {
        "u": torch.randn(batch, length, d_inner),
        "delta": torch.rand(batch, length, d_inner),
        "A": -torch.rand(d_inner, d_state) * d_state - 0.1,
        "B": matrix(B, batch, length, d_inner, d_state),
        "C": matrix(C, batch, length, d_inner, d_state),
        "D": torch.randn(d_inner),
        "z": torch.randn(batch, length, d_inner),
        "delta_bias": torch.rand(d_inner),
        "initial_state": torch.randn(batch, d_inner, d_state),
    }
    return tensors | dict.fromkeys(without)


CASES = {  # the shapes and forms of the contract
    "plain": {},
    "length 1": {"length": 1},
    "length 96": {"length": 96},
    "length 130": {"batch": 1, "length": 130, "d_inner": 32},
    "prime length": {"batch": 3, "length": 61, "d_inner": 6, "d_state": 5},
    "d_state 64": {"d_state": 64, "length": 20},
    "one channel, d_state 1": {"d_inner": 1, "d_state": 1, "length": 13},
    "constant B": {"B": "constant"},
    "constant C, grouped B": {"B": 4, "C": "constant"},
    "constant B and C": {"B": "constant", "C": "constant"},
    "grouped": {"B": 2, "C": 2},
    "unlike groups": {"B": 4, "C": 2},
    "groups without a common divisor": {"B": 3, "C": 2, "d_inner": 6},
    "a group per channel": {"B": 8, "C": 8},
    "nothing optional": {"without": ("D", "z", "delta_bias", "initial_state")},
    "gate alone": {"without": ("D",)},
    "skip alone": {"without": ("z",)},
}


@pytest.mark.parametrize("backend", FAST)
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_agrees_with_the_reference(case, reverse, backend, pieces, assert_agrees):
    assert_agrees(
        selective_scan,
        make(**CASES[case]),
        dtype=torch.float32,
        backend=backend,
        delta_softplus="delta_bias" not in CASES[case].get("without", ()),
        reverse=reverse,
        return_last_state=True,
    )


@pytest.mark.parametrize("backend", FAST)
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_agrees_with_the_reference_in_every_type(dtype, backend, pieces, assert_agrees):
    assert_agrees(
        selective_scan,
        make(),
        dtype=dtype,
        backend=backend,
        delta_softplus=True,
        return_last_state=True,
    )


@pytest.mark.parametrize("backend", ["reference", *FAST])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("name", GOLDEN)
def test_gives_the_original_implementations_numbers(name, dtype, backend, golden):
    file = golden(f"selective_scan_{name}")
    leaves = {
        key[3:]: torch.from_numpy(value).to(dtype).requires_grad_()
        for key, value in file.items()
        if key.startswith("in:")
    }
    # The fixtures have the length last.
    tensors = {key: leaf.movedim(-1, 1) if leaf.dim() > 2 else leaf for key, leaf in leaves.items()}
    y, last_state = selective_scan(
        **tensors,
        delta_softplus=bool(file["delta_softplus"]),
        return_last_state=True,
        backend=backend,
    )
    (y.transpose(1, 2) * torch.from_numpy(file["dout"])).sum().backward()

    precise = dtype == torch.float64
    suffix, grad = ("f64", "grad64") if precise else ("f32", "grad")
    compared = [
        (y.transpose(1, 2), file[f"out_{suffix}"], 1e-6 if precise else 2e-5),
        (last_state, file[f"last_state_{suffix}"], 1e-6 if precise else 2e-5),
        *(
            (leaf.grad, file[f"{grad}:{key}"], 1e-6 if precise else 2e-4)
            for key, leaf in leaves.items()
        ),
    ]
    for found, wanted, tolerance in compared:
        wanted = torch.from_numpy(wanted)
        assert (found.detach() - wanted).abs().max() <= tolerance * wanted.abs().max()


@pytest.mark.parametrize("backend", ["reference", *FAST])
@pytest.mark.parametrize("reverse", [False, True])
def test_gradients_are_derivatives(backend, reverse):
    names, tensors = zip(*make(1, 5, 4, 3, B=2, C="constant").items(), strict=True)

    def run(*values):
        return selective_scan(
            **dict(zip(names, values, strict=True)),
            delta_softplus=True,
            reverse=reverse,
            return_last_state=True,
            backend=backend,
        )

    assert torch.autograd.gradcheck(run, [t.double().requires_grad_() for t in tensors])


@pytest.mark.parametrize("backend", ["reference", *FAST])
def test_reverse_is_the_scan_of_the_flipped_sequence(backend):
    tensors = make(B=2, C="constant")
    flipped = {
        name: value.flip(1) if name in ("u", "delta", "B", "z") else value
        for name, value in tensors.items()
    }
    y, state = selective_scan(**tensors, reverse=True, return_last_state=True, backend=backend)
    other, end = selective_scan(**flipped, return_last_state=True, backend=backend)
    torch.testing.assert_close(y, other.flip(1))
    torch.testing.assert_close(state, end)


@pytest.mark.parametrize("backend", ["reference", *FAST])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("cut", [1, 32, 66])
def test_scans_of_the_parts_chain_to_the_scan_of_the_whole(cut, reverse, backend):
    tensors = make()
    along = ("u", "delta", "B", "C", "z")
    options = {"delta_softplus": True, "reverse": reverse, "return_last_state": True}
    whole, end = selective_scan(**tensors, **options, backend=backend)

    parts = (slice(None, cut), slice(cut, None))
    outputs, state = {}, tensors["initial_state"]
    for part in reversed(parts) if reverse else parts:
        piece = {name: t[:, part] if name in along else t for name, t in tensors.items()}
        piece["initial_state"] = state
        outputs[part.start], state = selective_scan(**piece, **options, backend=backend)
    joined = torch.cat([outputs[part.start] for part in parts], 1)
    torch.testing.assert_close(joined, whole, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(state, end, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("backend", FAST)
def test_decays_that_underflow_leave_no_trace(backend):
    tensors = make(length=300)
    tensors["delta"] = torch.full_like(tensors["delta"], 500.0)
    wanted = selective_scan(**tensors, backend="reference")
    error = (selective_scan(**tensors, backend=backend) - wanted).abs().max()
    assert error <= 1e-6 * wanted.abs().max()


@pytest.mark.parametrize("backend", FAST)
def test_gradient_of_the_last_state_alone_and_of_y_alone(backend):
    for output in (0, 1):
        found = {}
        for name in (backend, "reference"):
            tensors = {key: value.clone().requires_grad_() for key, value in make().items()}
            torch.manual_seed(0)
            selective_scan(**tensors, return_last_state=True, backend=name)[output].sum().backward()
            found[name] = [tensor.grad for tensor in tensors.values()]
            torch.manual_seed(0)
        for got, wanted in zip(*found.values(), strict=True):
            wanted = torch.zeros_like(got) if wanted is None else wanted
            torch.testing.assert_close(got, wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("backend", FAST)
def test_strides_do_not_matter(backend):
    tensors = make()
    strided = {
        name: torch.stack([value, value], -1)[..., 0].transpose(0, -1).contiguous().transpose(0, -1)
        for name, value in tensors.items()
    }
    assert not strided["u"].is_contiguous()
    found, wanted = (selective_scan(**values, backend=backend) for values in (strided, tensors))
    torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize("backend", FAST)
def test_inputs_stay_as_they_are(backend):
    tensors = {name: value.requires_grad_() for name, value in make(batch=1, C="constant").items()}
    before = {name: value.detach().clone() for name, value in tensors.items()}
    selective_scan(**tensors, delta_softplus=True, backend=backend).sum().backward()
    assert all(torch.equal(tensors[name], value) for name, value in before.items())


@pytest.mark.parametrize(("needed", "enabled"), [(True, True), (True, False), (False, True)])
def test_states_are_kept_only_for_a_backward_pass_that_can_come(needed, enabled, code, monkeypatch):
    module = sys.modules["genolm_kernels.selective_scan.cpu"]
    kept = []
    scan = module._scan

    def spy(*args):
        y, last_state, starts = scan(*args)
        kept.append(starts.numel() > 0)
        return y, last_state, starts

    monkeypatch.setattr(module, "_scan", spy)
    tensors = {name: value.requires_grad_(needed) for name, value in make().items()}
    with torch.set_grad_enabled(enabled):
        selective_scan(**tensors, backend="cpu")
    assert kept == [needed and enabled]


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("u", (2, 0, 8), "length >= 1"),
        ("delta", (2, 66, 8), r"delta must be \(2, 67, 8\)"),
        ("A", (7, 16), "A must be"),
        ("B", (2, 67, 15), "B must be"),
        ("B", (8, 15), "B must be"),
        ("C", (2, 67, 3, 16), "3 groups, which do not divide 8"),
        ("D", (7,), r"D must be \(8,\)"),
        ("z", (2, 67, 7), "z must be"),
        ("initial_state", (2, 16, 8), r"initial_state must be \(2, 8, 16\)"),
    ],
)
def test_wrong_shapes_are_errors_that_name_the_tensor(name, shape, message):
    tensors = make() | {name: torch.zeros(shape)}
    with pytest.raises(ValueError, match=message):
        selective_scan(**tensors)


@pytest.mark.parametrize("dynamic", [False, True])
def test_compiles_into_one_graph_with_gradients(dynamic):
    compiled = torch.compile(selective_scan, fullgraph=True, backend="aot_eager", dynamic=dynamic)
    for length in (30, 31):
        tensors = {key: value.requires_grad_() for key, value in make(length=length).items()}
        found = compiled(**tensors, delta_softplus=True, reverse=True)
        wanted = selective_scan(**tensors, delta_softplus=True, reverse=True)
        torch.testing.assert_close(found, wanted)
        leaves = list(tensors.values())
        torch.testing.assert_close(
            torch.autograd.grad(found.sum(), leaves), torch.autograd.grad(wanted.sum(), leaves)
        )


@pytest.mark.parametrize("without", [(), ("D", "z", "delta_bias", "initial_state")])
@pytest.mark.parametrize("keep", [False, True])
def test_operator_keeps_the_rules_of_torch(without, keep):
    tensors = make(length=20, C="constant", without=without).values()
    leaves = [t if t is None else t.requires_grad_(keep) for t in tensors]
    torch.library.opcheck(torch.ops.genolm.selective_scan_cpu.default, (*leaves, True, True, keep))


class Scans(Dataset):
    def __len__(self):
        return 3

    def __getitem__(self, index):
        torch.manual_seed(index)
        return selective_scan(**make(d_inner=512))[0]


@pytest.mark.skipif(
    "fork" not in multiprocessing.get_all_start_methods(), reason="this system cannot fork"
)
def test_runs_in_a_worker_forked_after_threads_were_used():
    expected = torch.stack([Scans()[i] for i in range(3)])
    loader = DataLoader(Scans(), batch_size=3, num_workers=1, multiprocessing_context="fork")
    torch.testing.assert_close(next(iter(loader)), expected, rtol=1e-5, atol=1e-5)


def test_any_number_of_threads_gives_the_same_bits(compiled, assert_same_bits_on_any_threads):
    tensors = make(2, 90, 70)

    def run(*values):
        return selective_scan(
            **dict(zip(tensors, values, strict=True)),
            delta_softplus=True,
            return_last_state=True,
            backend="cpu",
        )

    leaves = [value.requires_grad_() for value in tensors.values()]
    assert_same_bits_on_any_threads(run, leaves)


def test_what_is_not_a_number_comes_out(code):
    tensors = make(1, 40, 20)
    for name in ("u", "delta", "B"):
        broken = tensors | {name: tensors[name].clone()}
        broken[name][0, 17] = torch.nan
        y = selective_scan(**broken, delta_softplus=True, backend="cpu")
        assert y[:, :17].isfinite().all()
        assert y[:, 17:].isnan().all()


def test_infinite_step_sizes_forget_everything(code):
    tensors = make(1, 40, 20, without=("delta_bias", "D", "z"))
    tensors["delta"][0, 17] = 1e30
    tensors["u"][0, 17] = 0
    y, state = selective_scan(**tensors, return_last_state=True, backend="cpu")
    later = {
        name: value[:, 18:] if name in ("u", "delta", "B", "C") else value
        for name, value in tensors.items()
    }
    later["initial_state"] = None
    alone, end = selective_scan(**later, return_last_state=True, backend="cpu")
    torch.testing.assert_close(y[:, 18:], alone)
    torch.testing.assert_close(state, end)
    assert y[:, 17].eq(0).all()


@pytest.mark.parametrize("name", ["delta", "z"])
def test_another_device_is_refused_by_name(name):
    tensors = make()
    tensors[name] = tensors[name].to("meta")
    with pytest.raises(ValueError, match=f"{name} is on meta and u on cpu"):
        selective_scan(**tensors)
