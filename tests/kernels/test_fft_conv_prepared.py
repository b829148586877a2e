"""Filters turned to spectra beforehand serve like the filters themselves."""

import pytest
import torch

from genolm_kernels import fft_conv, prepare_filter
from genolm_kernels.native import library


@pytest.fixture(params=["compiled", "torch"])
def code(request, monkeypatch):
    if request.param == "torch":
        monkeypatch.setenv("GENOLM_NATIVE", "off")
    elif library() is None:
        pytest.skip("there is no compiled library")
    return request.param


def make(batch=2, length=61, channels=20, length_k=61):
    shape = (batch, length, channels)
    tensors = torch.randn(shape), torch.randn(length_k, channels), torch.randn(channels)
    return dict(zip("ukd", tensors, strict=True)) | {
        "gate_in": torch.randn(shape),
        "gate_out": torch.randn(shape),
    }


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize(
    "shape", [(2, 61, 20, 61), (1, 1, 17, 1), (2, 40, 16, 70), (1, 2100, 5, 9)]
)
def test_serve_like_the_filters(shape, reverse, code):
    inputs = make(*shape)
    spectrum = prepare_filter(inputs["k"], shape[1])
    found = fft_conv(**inputs | {"k": spectrum}, reverse=reverse)
    torch.testing.assert_close(found, fft_conv(**inputs, reverse=reverse), rtol=1e-5, atol=1e-4)


def test_serve_shorter_sequences_too(code):
    inputs = make(length=37)
    spectrum = prepare_filter(inputs["k"])
    torch.testing.assert_close(
        fft_conv(**inputs | {"k": spectrum}), fft_conv(**inputs), rtol=1e-5, atol=1e-4
    )


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("inference", [False, True])
def test_let_gradients_through_to_everything_else(inference, reverse, code):
    inputs = make()
    with torch.inference_mode(inference):
        spectrum = prepare_filter(inputs["k"])
    leaves = {name: value.requires_grad_() for name, value in inputs.items() if name != "k"}
    cotangent = torch.randn(2, 61, 20)
    results = []
    for k in (spectrum, inputs["k"]):
        y = fft_conv(**leaves, k=k, reverse=reverse)
        results.append(torch.autograd.grad(y, tuple(leaves.values()), cotangent))
    for found, wanted in zip(*results, strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-5, atol=2e-4)


def test_compile_into_one_graph(code):
    inputs = make()
    spectrum = prepare_filter(inputs["k"])
    compiled = torch.compile(fft_conv, fullgraph=True, backend="aot_eager")
    assert compiled(**inputs | {"k": spectrum}).equal(fft_conv(**inputs | {"k": spectrum}))


def test_of_float64_are_as_exact_as_the_filters(code):
    inputs = {name: value.double() for name, value in make().items()}
    spectrum = prepare_filter(inputs["k"])
    assert spectrum.dtype == torch.float64
    torch.testing.assert_close(
        fft_conv(**inputs | {"k": spectrum}), fft_conv(**inputs), rtol=1e-12, atol=1e-11
    )


def test_of_torchs_layout_serve_every_backend():
    inputs = make()
    spectrum = prepare_filter(inputs["k"], backend="reference")
    wanted = fft_conv(**inputs)
    for backend in ("cpu", "reference"):
        found = fft_conv(**inputs | {"k": spectrum}, backend=backend)
        torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-4)


def test_follow_no_later_change_of_the_filters(code):
    inputs = make()
    spectrum = prepare_filter(inputs["k"])
    before = fft_conv(**inputs | {"k": spectrum})
    inputs["k"] += 1
    assert fft_conv(**inputs | {"k": spectrum}).equal(before)


@pytest.mark.skipif(library() is None, reason="there is no compiled library")
def test_are_refused_where_they_do_not_fit(monkeypatch):
    inputs = make()
    spectrum = prepare_filter(inputs.pop("k"))
    wrong = {
        r"prepared for 20 channels and up to 61 steps, and u is \(2, 62, 20\)": torch.zeros(
            2, 62, 20
        ),
        r"u is \(2, 61, 21\)": torch.zeros(2, 61, 21),
        "prepared in torch.float32, too narrow for u in torch.float64": inputs["u"].double(),
    }
    for message, u in wrong.items():
        with pytest.raises(ValueError, match=message):
            fft_conv(u, spectrum)
    with pytest.raises(ValueError, match=r"'reference' cannot run.*prepared for the compiled code"):
        fft_conv(inputs["u"], spectrum, backend="reference")
    with pytest.raises(ValueError, match=r"was prepared as 'packed 3'.*prepare it anew"):
        fft_conv(inputs["u"], spectrum._replace(layout="packed 3"))
    monkeypatch.setenv("GENOLM_NATIVE", "off")
    with pytest.raises(ValueError, match="prepare it anew"):
        fft_conv(inputs["u"], spectrum)


def test_of_wrong_shapes_are_errors():
    with pytest.raises(
        ValueError, match=r"k must be floats \(length_k >= 1, channels\), got \(4,\)"
    ):
        prepare_filter(torch.zeros(4))
    with pytest.raises(ValueError, match="length must be at least 1, got 0"):
        prepare_filter(torch.zeros(4, 2), 0)
    with pytest.raises(ValueError, match="no backend 'cuda'"):
        prepare_filter(torch.zeros(4, 2), backend="cuda")
