"""A mixer that keeps its filters' spectra never uses those of filters that it no longer has."""

import copy
import io
import pickle

import pytest
import torch

from genolm.mixers import spectrum_cache
from genolm_kernels import use_backend


@pytest.fixture
def mixer(make):
    return make("hyena", d_model=16, l_max=40).eval()


@pytest.fixture
def x():
    return torch.randn(2, 29, 16, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def made(monkeypatch):
    """The lengths that spectra were made for, as they are made."""
    lengths = []
    prepare = spectrum_cache.prepare_filter

    def counted(taps):
        lengths.append(len(taps))
        return prepare(taps)

    monkeypatch.setattr(spectrum_cache, "prepare_filter", counted)
    return lengths


def run(mixer, x):
    with torch.no_grad():
        return mixer(x)


def run_anew(mixer, x):
    """What a mixer that never kept anything computes from the same weights."""
    return run(copy.deepcopy(mixer), x)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_kept_spectra_change_no_number(dtype, mixer, x):
    mixer, x = mixer.to(dtype), x.to(dtype)
    first, second = run(mixer, x), run(mixer, x)
    assert mixer.spectra.nbytes() > 0
    assert first.equal(second)
    mixer.train()
    tolerance = 1e-12 if dtype == torch.float64 else 1e-6
    wanted = run(mixer, x)
    assert (first - wanted).abs().max() <= tolerance * wanted.abs().max()


def test_spectra_are_made_once_for_each_length(mixer, x, made):
    for length in (29, 29, 17, 29, 17):
        run(mixer, x[:, :length])
    assert made == [29, 17]


NAMES = [
    "implicit_filter.0.weight",
    "implicit_filter.0.bias",
    "implicit_filter.2.weight",
    "implicit_filter.6.weight",
    "implicit_filter.1.freq",
    "modulation.deltas",
    "pos_emb.z",
    "pos_emb.t",
]
WAYS = {
    "in place": lambda tensor: tensor.mul_(1.5),
    "through data": lambda tensor: tensor.data.mul_(1.5),
    "new memory": lambda tensor: setattr(tensor, "data", tensor.data * 1.5),
    "one number": lambda tensor: tensor.data.flatten()[:1].add_(0.7),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", NAMES)
def test_a_change_of_any_tensor_in_any_way_is_seen(name, way, mixer, x):
    tensor = dict(mixer.filter_fn.state_dict(keep_vars=True))[name]
    before = run(mixer, x)
    with torch.no_grad():
        WAYS[way](tensor)
    after = run(mixer, x)
    assert after.equal(run_anew(mixer, x))
    if name != "pos_emb.t" or way != "one number":  # the window at time 0 is 1 at most
        assert not after.equal(before)


def test_a_change_is_seen_at_every_length(mixer, x):
    for length in (29, 12):
        run(mixer, x[:, :length])
    with torch.no_grad():
        mixer.filter_fn.implicit_filter.get_submodule("6").weight.mul_(2)
    for length in (12, 29):
        found = run(mixer, x[:, :length])
        assert found.equal(run_anew(mixer, x[:, :length]))


@pytest.mark.parametrize("assign", [False, True])
def test_loading_other_weights_is_seen(assign, mixer, x, make):
    other = make("hyena", d_model=16, l_max=40, seed=3).eval()
    before = run(mixer, x)
    mixer.load_state_dict(other.state_dict(), assign=assign)
    assert run(mixer, x).equal(run(other, x))
    assert not run(mixer, x).equal(before)


def test_a_step_of_training_is_seen(mixer, x):
    run(mixer, x)
    mixer.train()
    optimizer = torch.optim.AdamW(mixer.parameters(), lr=0.1)
    mixer(x).square().mean().backward()
    optimizer.step()
    mixer.eval()
    assert run(mixer, x).equal(run_anew(mixer, x))


def test_another_floor_or_another_layer_is_seen(mixer, x):
    run(mixer, x)
    mixer.filter_fn.modulation.shift = 0.3
    assert run(mixer, x).equal(run_anew(mixer, x))
    filters = mixer.filter_fn.implicit_filter
    torch.nn.utils.parametrizations.weight_norm(filters.get_submodule("2"))
    with torch.no_grad():
        filters.get_submodule("2").parametrizations.weight.original0.mul_(3)
    found = run(mixer, x)
    mixer.train()
    torch.testing.assert_close(found, run(mixer, x))


def test_a_hook_on_the_filters_is_called_after_all(mixer, x):
    before = run(mixer, x)
    last = mixer.filter_fn.implicit_filter.get_submodule("6")
    handle = last.register_forward_hook(lambda module, inputs, output: output * 0)
    changed = run(mixer, x)
    assert not torch.allclose(changed, before)
    handle.remove()
    assert run(mixer, x).equal(before)


def test_another_type_drops_what_was_kept(mixer, x):
    run(mixer, x)
    mixer.double()
    assert mixer.spectra.nbytes() == 0
    wide = run(mixer, x.double())
    assert wide.dtype == torch.float64
    assert wide.equal(run_anew(mixer, x.double()))


def test_training_keeps_nothing(mixer, x):
    run(mixer, x)
    mixer.train()
    assert mixer.spectra.nbytes() == 0
    run(mixer, x)
    assert mixer.spectra.nbytes() == 0


def test_where_gradients_are_wanted_the_filters_get_them(mixer, x):
    run(mixer, x)
    mixer(x).sum().backward()
    for name, parameter in mixer.filter_fn.named_parameters():
        assert parameter.grad is not None, name


@pytest.mark.parametrize("inference", [False, True])
def test_gradients_reach_the_inputs_through_kept_spectra(inference, mixer, x, made):
    mixer.requires_grad_(False)
    with torch.inference_mode(inference), torch.no_grad():
        mixer(x)
    kept, anew = x.clone().requires_grad_(), x.clone().requires_grad_()
    mixer(kept).square().sum().backward()
    assert made == [29]
    mixer.train()
    mixer(anew).square().sum().backward()
    torch.testing.assert_close(kept.grad, anew.grad, rtol=1e-4, atol=1e-4)


def test_weights_made_in_inference_mode_may_change_as_well(make, x):
    with torch.inference_mode():
        mixer = make("hyena", d_model=16, l_max=40).eval()
        mixer(x)
        mixer.filter_fn.implicit_filter.get_submodule("6").weight.mul_(2)
        found = mixer(x)
        mixer.train()
        torch.testing.assert_close(found, mixer(x), rtol=1e-5, atol=1e-5)


def test_copies_and_files_leave_the_spectra_behind(mixer, x):
    names = set(mixer.state_dict())
    size = len(pickle.dumps(mixer))
    run(mixer, x)
    assert mixer.spectra.nbytes() > 0
    assert set(mixer.state_dict()) == names
    assert len(pickle.dumps(mixer)) == size
    file = io.BytesIO()
    torch.save(mixer, file)
    file.seek(0)
    again = torch.load(file, weights_only=False)
    for other in (copy.deepcopy(mixer), pickle.loads(pickle.dumps(mixer)), again):
        assert other.spectra.nbytes() == 0
        assert run(other, x).equal(run(mixer, x))


def test_compiled_mixers_follow_their_weights(mixer, x):
    wanted = run(mixer, x)
    compiled = torch.compile(mixer, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(run(compiled, x), wanted, rtol=1e-5, atol=1e-5)
    with torch.no_grad():
        mixer.filter_fn.implicit_filter.get_submodule("6").weight.mul_(2)
    torch.testing.assert_close(run(compiled, x), run_anew(mixer, x), rtol=1e-5, atol=1e-5)


def test_another_backend_takes_no_spectra_that_are_not_for_it(mixer, x, monkeypatch):
    wanted = run(mixer, x)
    with use_backend("reference"):
        torch.testing.assert_close(run(mixer, x), wanted, rtol=1e-5, atol=1e-5)
    monkeypatch.setenv("GENOLM_NATIVE", "off")
    torch.testing.assert_close(run(mixer, x), wanted, rtol=1e-5, atol=1e-5)


def test_no_more_is_kept_than_the_limit(mixer, x, monkeypatch, made):
    run(mixer, x)
    one = mixer.spectra.nbytes()
    monkeypatch.setattr(spectrum_cache, "MOST_BYTES", 2 * one)
    for length in (28, 27, 26, 29):
        found = run(mixer, x[:, :length])
        assert 0 < mixer.spectra.nbytes() <= 2 * one
        assert found.equal(run_anew(mixer, x[:, :length]))
    monkeypatch.setattr(spectrum_cache, "MOST_BYTES", one // 2)
    mixer.spectra.clear()
    made.clear()
    run(mixer, x)
    assert mixer.spectra.nbytes() == 0


def test_every_long_convolution_of_a_higher_order_is_kept(make, x, made):
    mixer = make("hyena", d_model=16, order=4, l_max=40).eval()
    first = run(mixer, x)
    assert run(mixer, x).equal(first)
    assert made == [29, 29, 29]
