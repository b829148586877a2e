import importlib

import pytest
import torch

from genolm_kernels import ssd

chunks = importlib.import_module("genolm_kernels.ssd.chunks")
GOLDEN = ["ssd_scan", "ssd_scan_init_groups"]
OPTIONAL = ("D", "z", "dt_bias", "initial_state")


def make(batch=2, length=67, heads=4, headdim=5, groups=2, d_state=7, *, without=(), **options):
    tensors = {
        "x": torch.randn(batch, length, heads, headdim),
        "dt": torch.rand(batch, length, heads),
        "A": -torch.rand(heads) * 4 - 0.1,
        "B": torch.randn(batch, length, groups, d_state),
        "C": torch.randn(batch, length, groups, d_state),
        "D": torch.randn(heads),
        "z": torch.randn(batch, length, heads, headdim),
        "dt_bias": torch.rand(heads),
        "initial_state": torch.randn(batch, heads, headdim, d_state),
    }
    return {name: value.to(**options) for name, value in tensors.items()} | dict.fromkeys(without)


CASES = {
    "plain": {},
    "length 1": {"length": 1},
    "whole chunks": {"length": 128},
    "prime length": {"batch": 3, "length": 61},
    "one long sequence": {"batch": 1, "length": 300, "heads": 2, "groups": 1},
    "one channel": {"heads": 1, "headdim": 1, "groups": 1, "d_state": 1},
    "a group for each head": {"groups": 4},
    "large state": {"d_state": 33, "length": 20},
    "nothing optional": {"without": OPTIONAL},
    "gate alone": {"without": ("D", "dt_bias", "initial_state")},
    "skip alone": {"without": ("z", "dt_bias", "initial_state")},
}


@pytest.fixture(params=["as shipped", "many small pieces"])
def pieces(request, monkeypatch):
    if request.param == "many small pieces":
        monkeypatch.setattr(chunks, "TILE_ELEMENTS", 800)
        monkeypatch.setattr(chunks, "LARGEST_CHUNK", 8)


@pytest.mark.usefixtures("pieces")
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_agrees_with_the_reference(case, reverse, assert_agrees):
    assert_agrees(
        ssd,
        make(**CASES[case]),
        dtype=torch.float32,
        backend="cpu",
        dt_softplus="dt_bias" not in CASES[case].get("without", ()),
        reverse=reverse,
        return_last_state=True,
    )


@pytest.mark.usefixtures("pieces")
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_agrees_with_the_reference_in_every_type(dtype, assert_agrees):
    assert_agrees(ssd, make(), dtype=dtype, backend="cpu", dt_softplus=True, return_last_state=True)


@pytest.mark.parametrize("chunk_size", [1, 3, 16, 1000])
def test_the_chunk_size_changes_no_result(chunk_size, assert_agrees):
    assert_agrees(ssd, make(length=35), dtype=torch.float64, backend="cpu", chunk_size=chunk_size)


@pytest.mark.parametrize("backend", ["reference", "cpu"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("name", GOLDEN)
def test_gives_the_original_implementations_numbers(name, dtype, backend, golden):
    file = golden(name)
    leaves = {
        key[3:].replace("initial_states", "initial_state"): torch.from_numpy(value)
        for key, value in file.items()
        if key.startswith("in:")
    }
    leaves = {key: leaf.to(dtype).requires_grad_() for key, leaf in leaves.items()}
    y = ssd(**leaves, chunk_size=int(file["chunk_size"]), backend=backend)
    y.backward(torch.from_numpy(file["dout"]).to(y))

    precise = dtype == torch.float64
    suffix, grad = ("f64", "grad64") if precise else ("f32", "grad")
    compared = [(y, file[f"y_{suffix}"], 1e-9 if precise else 2e-5)]
    for key, leaf in leaves.items():
        name = f"{grad}:{key}".replace("initial_state", "initial_states")
        compared.append((leaf.grad, file[name], 1e-9 if precise else 2e-4))
    for found, wanted, tolerance in compared:
        wanted = torch.from_numpy(wanted)
        assert (found.detach() - wanted).abs().max() <= tolerance * wanted.abs().max()


@pytest.mark.parametrize("backend", ["reference", "cpu"])
@pytest.mark.parametrize("reverse", [False, True])
def test_gradients_are_derivatives(backend, reverse):
    sizes = {"batch": 1, "length": 5, "heads": 2, "headdim": 2, "groups": 1, "d_state": 2}
    names, tensors = zip(*make(**sizes).items(), strict=True)

    def run(*values):
        return ssd(
            **dict(zip(names, values, strict=True)),
            dt_softplus=True,
            chunk_size=3,
            reverse=reverse,
            return_last_state=True,
            backend=backend,
        )

    assert torch.autograd.gradcheck(run, [t.double().requires_grad_() for t in tensors])


@pytest.mark.parametrize("backend", ["reference", "cpu"])
def test_reverse_is_the_scan_of_the_flipped_sequence(backend):
    tensors = make()
    flipped = {
        name: value.flip(1) if name in ("x", "dt", "B", "C", "z") else value
        for name, value in tensors.items()
    }
    y, state = ssd(**tensors, reverse=True, return_last_state=True, backend=backend)
    other, end = ssd(**flipped, return_last_state=True, backend=backend)
    torch.testing.assert_close(y, other.flip(1), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(state, end, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("backend", ["reference", "cpu"])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("cut", [1, 32, 66])
def test_scans_of_the_parts_chain_to_the_scan_of_the_whole(cut, reverse, backend):
    tensors = make()
    along = ("x", "dt", "B", "C", "z")
    options = {"dt_softplus": True, "reverse": reverse, "return_last_state": True}
    whole, end = ssd(**tensors, **options, backend=backend)

    parts = (slice(None, cut), slice(cut, None))
    outputs, state = {}, tensors["initial_state"]
    for part in reversed(parts) if reverse else parts:
        piece = {name: t[:, part] if name in along else t for name, t in tensors.items()}
        piece["initial_state"] = state
        outputs[part.start], state = ssd(**piece, **options, backend=backend)
    joined = torch.cat([outputs[part.start] for part in parts], 1)
    torch.testing.assert_close(joined, whole, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(state, end, rtol=1e-5, atol=1e-5)


def spiked(length=300, **options):
    """Most steps small, a few so large that they wipe the state out."""
    tensors = make(length=length, **options)
    tensors["dt"] = torch.rand_like(tensors["dt"]) * 0.1
    tensors["dt"][:, 7::50] = 3000.0
    # What a wiping step writes would drown the rest.
    tensors["x"][:, 7::50] = 0
    return tensors


@pytest.mark.parametrize("reverse", [False, True])
def test_what_a_wiping_step_leaves_behind_is_exact(reverse, assert_agrees):
    assert_agrees(
        ssd,
        spiked(batch=1, heads=2, without=("dt_bias",)),
        dtype=torch.float32,
        backend="cpu",
        reverse=reverse,
        return_last_state=True,
    )


def test_growing_states_agree_until_they_overflow():
    tensors = make(length=64, without=("initial_state", "dt_bias"))
    tensors["A"] = torch.full_like(tensors["A"], 1.5)
    wanted = ssd(**{k: t if t is None else t.double() for k, t in tensors.items()})
    found = ssd(**tensors, backend="cpu")
    assert wanted.abs().max() > 1e12
    assert ((found - wanted).abs() <= 1e-4 * wanted.abs().amax((0, 2, 3), keepdim=True)).all()


def test_gradient_of_the_last_state_alone_and_of_y_alone():
    for output in (0, 1):
        found = {}
        for name in ("cpu", "reference"):
            torch.manual_seed(0)
            tensors = {key: value.requires_grad_() for key, value in make().items()}
            ssd(**tensors, return_last_state=True, backend=name)[output].sum().backward()
            found[name] = [tensor.grad for tensor in tensors.values()]
        for got, wanted in zip(*found.values(), strict=True):
            wanted = torch.zeros_like(got) if wanted is None else wanted
            torch.testing.assert_close(got, wanted, rtol=1e-4, atol=1e-4)


def strided(tensors):
    found = {
        name: torch.stack([value, value], -1)[..., 0].transpose(0, -1).contiguous().transpose(0, -1)
        for name, value in tensors.items()
    }
    assert not found["x"].is_contiguous()
    return found


def test_strides_do_not_matter():
    tensors = make()
    found, wanted = (ssd(**values, backend="cpu") for values in (strided(tensors), tensors))
    torch.testing.assert_close(found, wanted)


def test_slices_of_one_tensor_are_read_where_they_are():
    whole = torch.randn(2, 67, 20 + 14 + 14)
    x, B, C = whole.split((20, 14, 14), -1)
    tensors = make() | {
        "x": x.unflatten(-1, (4, 5)),
        "B": B.unflatten(-1, (2, 7)),
        "C": C.unflatten(-1, (2, 7)),
    }
    found, wanted = (ssd(**tensors, backend=name) for name in ("cpu", "reference"))
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)


def test_inputs_stay_as_they_are():
    tensors = {name: value.requires_grad_() for name, value in make().items()}
    before = {name: value.detach().clone() for name, value in tensors.items()}
    ssd(**tensors, dt_softplus=True, backend="cpu").sum().backward()
    assert all(torch.equal(tensors[name], value) for name, value in before.items())


@pytest.mark.parametrize("backend", ["reference", "cpu"])
def test_an_empty_batch_is_scanned(backend):
    tensors = {name: value.requires_grad_() for name, value in make(batch=0).items()}
    y, state = ssd(**tensors, dt_softplus=True, return_last_state=True, backend=backend)
    assert y.shape == (0, 67, 4, 5)
    assert state.shape == (0, 4, 5, 7)
    y.sum().backward()
    assert not tensors["A"].grad.any()


def test_the_same_input_gives_the_same_bits():
    leaves = [value.requires_grad_() for value in make(length=200).values()]
    results = []
    for _ in range(2):
        y = ssd(*leaves[:8], initial_state=leaves[8], backend="cpu")
        results.append((y, *torch.autograd.grad(y.sum(), leaves)))
    assert all(a.equal(b) for a, b in zip(*results, strict=True))


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("x", (2, 0, 4, 5), "length >= 1"),
        ("x", (2, 67, 20), "x must be"),
        ("dt", (2, 66, 4), r"dt must be \(2, 67, 4\)"),
        ("A", (3,), r"A must be \(4,\)"),
        ("B", (2, 66, 2, 7), "B must be"),
        ("B", (2, 67, 7), "B must be"),
        ("B", (2, 67, 3, 7), "3 groups, which do not divide 4 heads"),
        ("C", (2, 67, 1, 7), r"C must be \(2, 67, 2, 7\)"),
        ("D", (5,), r"D must be \(4,\)"),
        ("z", (2, 67, 20), "z must be"),
        ("dt_bias", (5,), "dt_bias must be"),
        ("initial_state", (2, 4, 7, 5), r"initial_state must be \(2, 4, 5, 7\)"),
    ],
)
def test_wrong_shapes_are_errors_that_name_the_tensor(name, shape, message):
    with pytest.raises(ValueError, match=message):
        ssd(**make() | {name: torch.zeros(shape)})


def test_wrong_types_devices_and_sizes_are_errors_that_name_the_argument():
    tensors = make()
    with pytest.raises(ValueError, match="B must have a floating type"):
        ssd(**tensors | {"B": tensors["B"].long()})
    with pytest.raises(ValueError, match="dt is on meta"):
        ssd(**tensors | {"dt": tensors["dt"].to("meta")})
    with pytest.raises(ValueError, match="chunk_size must be 1 or more, got 0"):
        ssd(**tensors, chunk_size=0)


@pytest.mark.parametrize("dynamic", [False, True])
def test_compiles_into_one_graph_with_gradients(dynamic):
    compiled = torch.compile(ssd, fullgraph=True, backend="aot_eager", dynamic=dynamic)
    for length in (30, 31):
        tensors = {key: value.requires_grad_() for key, value in make(length=length).items()}
        found = compiled(**tensors, dt_softplus=True, reverse=True)
        wanted = ssd(**tensors, dt_softplus=True, reverse=True)
        torch.testing.assert_close(found, wanted)
        leaves = list(tensors.values())
        torch.testing.assert_close(
            torch.autograd.grad(found.sum(), leaves), torch.autograd.grad(wanted.sum(), leaves)
        )


@pytest.mark.parametrize("without", [(), OPTIONAL])
@pytest.mark.parametrize("keep", [False, True])
def test_operator_keeps_the_rules_of_torch(without, keep):
    tensors = make(length=20, without=without).values()
    leaves = [t if t is None else t.requires_grad_(keep) for t in tensors]
    torch.library.opcheck(torch.ops.genolm.ssd_cpu.default, (*leaves, True, 16, True, keep))
