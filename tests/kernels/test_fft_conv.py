import pytest
import torch

from genolm_kernels import fft_conv, prepare_filter
from genolm_kernels.fft_conv import packed
from genolm_kernels.fft_conv.spectrum import transform_size
from genolm_kernels.native import library

# Triton has tests of its own, at the sizes that its interpreter can bear.
FAST = ["cpu"]
ALL = ["reference", *FAST]
# Batch, length, channels, taps: with 16 channels and more for the compiled code.
SHAPES = [
    (2, 67, 8, 67),
    (3, 2, 5, 7),
    (1, 1, 4, 4),
    (1, 130, 3, 3),
    (2, 50, 16, 90),
    (3, 33, 21, 1),
    (2, 1031, 33, 1031),
    (1, 1, 17, 1),
]


@pytest.fixture(params=["compiled", "torch"])
def code(request, monkeypatch):
    """Both with the compiled library, where there is one, and without."""
    if request.param == "torch":
        monkeypatch.setenv("GENOLM_NATIVE", "off")
        assert library() is None
    elif library() is None:
        pytest.skip("there is no compiled library")
    return request.param


def make(batch=2, length=67, channels=20, length_k=67, *, skip=True, gates=(True, True)):
    shape = (batch, length, channels)
    return {
        "u": torch.randn(shape),
        "k": torch.randn(length_k, channels),
        "d": torch.randn(channels) if skip else None,
        "gate_in": torch.randn(shape) if gates[0] else None,
        "gate_out": torch.randn(shape) if gates[1] else None,
    }


def by_definition(u, k, d, gate_in, gate_out):
    """Sum over s of k_s v_{t - s}, plus d v_t, between the gates: no transform."""
    v = u * gate_in
    y = v * d
    for s in range(min(len(k), u.shape[1])):
        y[:, s:] += k[s] * v[:, : u.shape[1] - s]
    return y * gate_out


@pytest.mark.parametrize("backend", FAST)
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_agrees_with_the_reference(shape, reverse, backend, code, pieces, assert_agrees):
    assert_agrees(fft_conv, make(*shape), dtype=torch.float32, backend=backend, reverse=reverse)


@pytest.mark.parametrize("backend", FAST)
@pytest.mark.parametrize("gates", [(False, False), (True, False), (False, True)])
@pytest.mark.parametrize("skip", [False, True])
def test_agrees_without_what_may_be_left_out(skip, gates, backend, code, assert_agrees):
    assert_agrees(
        fft_conv, make(skip=skip, gates=gates), dtype=torch.float32, backend=backend, reverse=True
    )


@pytest.mark.parametrize("backend", FAST)
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_agrees_with_the_reference_in_every_type(dtype, backend, code, pieces, assert_agrees):
    assert_agrees(fft_conv, make(), dtype=dtype, backend=backend)


@pytest.mark.parametrize("length", [4096, 4099, 5 * 1024, 20_000, 9 * 3125, 40_000])
def test_agrees_at_lengths_of_two_directions_and_on_shared_tiles(length, code, assert_agrees):
    gates = (length == 4099, length == 4099)
    inputs = make(1, length, 17, length, gates=gates)
    assert_agrees(fft_conv, inputs, dtype=torch.float32, backend="cpu", reverse=length == 5120)


@pytest.mark.skipif(library() is None, reason="there is no compiled library")
def test_spectra_of_a_few_filters_at_a_time_give_the_same_bits(monkeypatch):
    inputs = make(channels=70)
    wanted = fft_conv(**inputs, backend="cpu")
    monkeypatch.setattr(packed, "SPECTRUM_BYTES", 1)
    assert fft_conv(**inputs, backend="cpu").equal(wanted)


@pytest.mark.parametrize("backend", ALL)
@pytest.mark.parametrize("shape", SHAPES)
def test_is_the_sum_of_the_definition(shape, backend):
    inputs = {name: value.double() for name, value in make(*shape).items()}
    torch.testing.assert_close(fft_conv(**inputs, backend=backend), by_definition(**inputs))


@pytest.mark.parametrize("backend", ALL)
def test_reversed_is_forwards_on_flipped_sequences(backend, code):
    inputs = make()
    flipped = {n: v.flip(1) if v.dim() == 3 else v for n, v in inputs.items()}
    found = fft_conv(**inputs, reverse=True, backend=backend)
    torch.testing.assert_close(
        found, fft_conv(**flipped, backend=backend).flip(1), rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize("backend", ALL)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("name", ["odd", "pow2"])
def test_gives_the_original_implementations_numbers(name, dtype, backend, golden):
    file = golden(f"fftconv_{name}")
    u, k, d = (torch.from_numpy(file[f"in:{key}"]).to(dtype).requires_grad_() for key in "ukD")
    y = fft_conv(u.transpose(1, 2), k.t(), d, backend=backend).transpose(1, 2)
    (y * torch.from_numpy(file["dout"])).sum().backward()

    precise = dtype == torch.float64
    suffix, grad = ("f64", "grad64") if precise else ("f32", "grad")
    compared = [(y, file[f"y_{suffix}"], 1e-9 if precise else 2e-5)]
    for key, leaf in zip("ukD", (u, k, d), strict=True):
        compared.append((leaf.grad, file[f"{grad}:{key}"], 1e-9 if precise else 2e-4))
    for found, wanted, tolerance in compared:
        wanted = torch.from_numpy(wanted)
        assert (found.detach() - wanted).abs().max() <= tolerance * wanted.abs().max()


@pytest.mark.parametrize("backend", ALL)
@pytest.mark.parametrize("length", [16, 17])
def test_gives_the_original_causal_numbers_of_the_bidirectional_fixture(length, backend, golden):
    file = golden("fftconv_bidirectional")
    u, k, d, wanted = (
        torch.from_numpy(file[f"{key}_{length}"]) for key in ("u", "k", "D", "y_causal")
    )
    found = fft_conv(u.transpose(1, 2), k.t(), d, backend=backend).transpose(1, 2)
    torch.testing.assert_close(found, wanted.to(found.dtype), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("backend", ALL)
@pytest.mark.parametrize("reverse", [False, True])
def test_gradients_are_derivatives(reverse, backend):
    leaves = {n: t.double().requires_grad_() for n, t in make(2, 7, 3, 5).items()}

    def convolve(*values):
        inputs = dict(zip(leaves, values, strict=True))
        return fft_conv(**inputs, reverse=reverse, backend=backend)

    assert torch.autograd.gradcheck(convolve, tuple(leaves.values()))


@pytest.mark.parametrize("backend", FAST)
def test_strides_do_not_matter(backend, code):
    inputs = make()
    wanted = fft_conv(**inputs, backend=backend)
    wide = torch.randn(2, 67, 60)
    for index, name in enumerate(("u", "gate_in", "gate_out")):
        wide[..., 20 * index : 20 * index + 20] = inputs[name]
    pieces = dict(zip(("u", "gate_in", "gate_out"), wide.chunk(3, -1), strict=True))
    turned = {
        n: v.transpose(1, 2).contiguous().transpose(1, 2) for n, v in inputs.items() if v.dim() == 3
    }
    for views in (pieces, turned, {"k": inputs["k"].t().contiguous().t()}):
        assert fft_conv(**inputs | views, backend=backend).equal(wanted)


def test_a_gradient_of_one_number_repeated_is_read_as_such(code):
    leaves = {name: value.requires_grad_() for name, value in make().items()}
    y = fft_conv(**leaves)
    found = torch.autograd.grad(y.sum(), tuple(leaves.values()), retain_graph=True)
    wanted = torch.autograd.grad(y, tuple(leaves.values()), torch.ones_like(y))
    assert all(a.equal(b) for a, b in zip(found, wanted, strict=True))


@pytest.mark.parametrize("backend", ALL)
def test_a_batch_of_none_has_gradients_of_zero(backend, code):
    leaves = {name: value.requires_grad_() for name, value in make(0).items()}
    y = fft_conv(**leaves, backend=backend)
    y.sum().backward()
    assert y.shape == (0, 67, 20)
    assert leaves["u"].grad.shape == (0, 67, 20)
    for name in ("k", "d"):
        assert leaves[name].grad.equal(torch.zeros_like(leaves[name]))


@pytest.mark.skipif(library() is None, reason="torch rounds by how it shares out elements")
@pytest.mark.parametrize("shape", [(3, 300, 40, 300), (1, 36_000, 17, 36_000)])
def test_any_number_of_threads_gives_the_same_bits(shape):
    inputs = {name: value.requires_grad_() for name, value in make(*shape).items()}
    before = torch.get_num_threads()
    results = []
    try:
        for threads in (1, 2, 3, 2):
            torch.set_num_threads(threads)
            y = fft_conv(**inputs)
            gradients = torch.autograd.grad(y, tuple(inputs.values()), torch.ones_like(y))
            results.append((y.detach(), *gradients))
    finally:
        torch.set_num_threads(before)
    for others in results[1:]:
        assert all(a.equal(b) for a, b in zip(results[0], others, strict=True))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"u": torch.zeros(67, 20)}, r"u must be floats \(batch.*got \(67, 20\)"),
        ({"u": torch.zeros(2, 0, 20)}, "length >= 1"),
        ({"u": torch.zeros(2, 67, 20, dtype=torch.long)}, "u must be floats.*int64"),
        ({"k": torch.zeros(20, 67)}, r"k must be floats \(length_k >= 1, 20\), got \(20, 67\)"),
        ({"k": torch.zeros(0, 20)}, "length_k >= 1"),
        ({"d": torch.zeros(20, 1)}, r"d must be \(20,\), got \(20, 1\)"),
        ({"gate_in": torch.zeros(2, 67, 1)}, r"gate_in must be \(2, 67, 20\).*got \(2, 67, 1\)"),
        ({"gate_out": torch.zeros(67, 20)}, "gate_out must be"),
        ({"k": torch.zeros(67, 20, device="meta")}, "k must be on cpu as u is, got meta"),
        ({"gate_out": torch.zeros(2, 67, 20, device="meta")}, "gate_out must be on cpu"),
    ],
)
def test_wrong_arguments_are_errors_that_name_the_tensor(changes, message):
    with pytest.raises(ValueError, match=message):
        fft_conv(**(make() | changes))


def test_transform_size_is_the_least_even_one_of_small_primes():
    def smooth(number):
        for prime in (2, 3, 5):
            while number % prime == 0:
                number //= prime
        return number == 1

    for least in range(1, 400):
        wanted = next(n for n in range(max(least, 2), 1000) if n % 2 == 0 and smooth(n))
        assert transform_size(least) == wanted


@pytest.mark.parametrize("dynamic", [False, True])
def test_compiles_into_one_graph_with_gradients(dynamic, code):
    compiled = torch.compile(fft_conv, fullgraph=True, backend="aot_eager", dynamic=dynamic)
    for length in (30, 31):
        inputs = make(length=length, length_k=length)
        leaves = {name: value.requires_grad_() for name, value in inputs.items()}
        found, wanted = compiled(**leaves, reverse=True), fft_conv(**leaves, reverse=True)
        assert found.equal(wanted)
        values = tuple(leaves.values())
        torch.testing.assert_close(
            torch.autograd.grad(found.sum(), values), torch.autograd.grad(wanted.sum(), values)
        )


@pytest.mark.parametrize("gates", [(False, False), (True, False), (True, True)])
@pytest.mark.parametrize("skip", [False, True])
def test_operator_keeps_the_rules_of_torch(skip, gates, code):
    leaves = make(skip=skip, gates=gates).values()
    leaves = [t if t is None else t.requires_grad_() for t in leaves]
    torch.library.opcheck(torch.ops.genolm.fft_conv_cpu.default, (*leaves, True))


def test_the_operator_for_prepared_filters_keeps_the_rules_of_torch(code):
    inputs = make()
    spectrum = prepare_filter(inputs.pop("k"))
    u, d, gate_in, gate_out = (value.requires_grad_() for value in inputs.values())
    torch.library.opcheck(
        torch.ops.genolm.fft_conv_prepared_cpu.default,
        (u, spectrum.values, d, gate_in, gate_out, True, spectrum.size, spectrum.layout),
    )
