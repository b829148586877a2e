import pytest
import torch

from genolm_kernels import fft_conv
from genolm_kernels.fft_conv import BACKENDS
from genolm_kernels.fft_conv.cpu import transform_size

FAST = [backend.name for backend in BACKENDS if backend.name != "reference"]
ALL = ["reference", *FAST]
SHAPES = [(2, 67, 8, 67), (3, 2, 5, 7), (1, 1, 4, 4), (1, 130, 3, 3), (2, 50, 6, 90), (3, 33, 5, 1)]


def make(batch=2, length=67, channels=8, length_k=67, *, skip=True):
    return {
        "u": torch.randn(batch, length, channels),
        "k": torch.randn(length_k, channels),
        "d": torch.randn(channels) if skip else None,
    }


def by_definition(u, k, d):
    """Sum over s of k_s u_{t - s}, plus d u_t: no transform."""
    y = u * d
    for s in range(min(len(k), u.shape[1])):
        y[:, s:] += k[s] * u[:, : u.shape[1] - s]
    return y


@pytest.mark.parametrize("backend", FAST)
@pytest.mark.parametrize("skip", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_agrees_with_the_reference(shape, skip, backend, pieces, assert_agrees):
    assert_agrees(fft_conv, make(*shape, skip=skip), dtype=torch.float32, backend=backend)


@pytest.mark.parametrize("backend", FAST)
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_agrees_with_the_reference_in_every_type(dtype, backend, pieces, assert_agrees):
    assert_agrees(fft_conv, make(), dtype=dtype, backend=backend)


@pytest.mark.parametrize("backend", ALL)
@pytest.mark.parametrize("shape", SHAPES)
def test_is_the_sum_of_the_definition(shape, backend):
    u, k, d = (tensor.double() for tensor in make(*shape).values())
    torch.testing.assert_close(fft_conv(u, k, d, backend=backend), by_definition(u, k, d))


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
def test_gradients_are_derivatives(backend):
    leaves = [t.double().requires_grad_() for t in make(2, 7, 3, 5).values()]
    assert torch.autograd.gradcheck(lambda *values: fft_conv(*values, backend=backend), leaves)


@pytest.mark.parametrize("backend", FAST)
def test_strides_do_not_matter(backend):
    u, k, d = make().values()
    found = fft_conv(u.transpose(1, 2).contiguous().transpose(1, 2), k, d, backend=backend)
    torch.testing.assert_close(found, fft_conv(u, k, d, backend=backend))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"u": torch.zeros(67, 8)}, "u must be"),
        ({"u": torch.zeros(2, 0, 8)}, "length >= 1"),
        ({"k": torch.zeros(8, 67)}, r"k must be \(length_k >= 1, 8\)"),
        ({"k": torch.zeros(0, 8)}, "length_k >= 1"),
        ({"d": torch.zeros(8, 1)}, r"d must be \(8,\)"),
    ],
)
def test_wrong_shapes_are_errors_that_name_the_tensor(changes, message):
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
def test_compiles_into_one_graph_with_gradients(dynamic):
    compiled = torch.compile(fft_conv, fullgraph=True, backend="aot_eager", dynamic=dynamic)
    for length in (30, 31):
        leaves = [t.requires_grad_() for t in make(length=length, length_k=length).values()]
        found, wanted = compiled(*leaves), fft_conv(*leaves)
        torch.testing.assert_close(found, wanted)
        torch.testing.assert_close(
            torch.autograd.grad(found.sum(), leaves), torch.autograd.grad(wanted.sum(), leaves)
        )


@pytest.mark.parametrize("skip", [False, True])
def test_operator_keeps_the_rules_of_torch(skip):
    leaves = [t if t is None else t.requires_grad_() for t in make(skip=skip).values()]
    torch.library.opcheck(torch.ops.genolm.fft_conv_cpu.default, leaves)
