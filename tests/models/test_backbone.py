"""What a file lacks is given its first value; what it holds is kept; blocks can be recomputed."""

import pytest
import torch
from safetensors.torch import load_file, save_file

from genolm.modules.initial import HasInitialValues
from genolm.modules.linear import Linear
from genolm_kernels import bidirectional_scan, fft_conv, selective_scan

# Tensors that a formula gives: equal in every model of a config.
FIXED = ("A_log", ".D", ".freq", "pos_emb.z", "pos_emb.t", "deltas", "complement_map")

# Tensors that stay float32 in a model of half precision, beside Hyena's filters.
WIDE = ("A_log", ".D", "dt_proj.bias", "dt_bias", "init_states")


@pytest.fixture
def garbage(monkeypatch):
    """Fill memory that nobody initialised with NaN, or with an absurd number."""

    def poison(tensor):
        if tensor.is_meta:
            return tensor
        return tensor.fill_(torch.nan if tensor.is_floating_point() else -99)

    plain = torch.empty_like
    monkeypatch.setattr(torch, "empty_like", lambda *args, **kw: poison(plain(*args, **kw)))


def keep_only(folder, wanted):
    path = folder / "model.safetensors"
    kept = {key: value for key, value in load_file(path).items() if wanted(key)}
    save_file(kept, path, metadata={"format": "pt"})
    return kept


def assert_initialised(model):
    for name, value in model.state_dict().items():
        assert not value.isnan().any(), name
        assert (value > -50).all(), name


def test_a_file_without_tensors_gives_a_freshly_initialised_model(kind, make, tmp_path, garbage):
    model = make(kind)
    model.save_pretrained(tmp_path)
    keep_only(tmp_path, lambda key: "norm" in key or "ln_f" in key)
    again = type(model).from_pretrained(tmp_path)
    assert_initialised(again)
    own = again.state_dict()
    for prefix, module in again.named_modules():
        if isinstance(module, HasInitialValues):
            drawn_anew = module.initial_values()
            for name, value in module.initial_values().items():
                key = f"{prefix}.{name}"
                if key.endswith(FIXED) and value.equal(drawn_anew[name]):
                    assert torch.allclose(own[key], value.to(own[key].dtype)), key


def test_a_file_with_half_the_tensors_keeps_them_and_fills_in_the_rest(
    kind, make, tmp_path, garbage
):
    model = make(kind)
    model.save_pretrained(tmp_path)
    for parity in (0, 1):
        model.save_pretrained(tmp_path)
        names = sorted(load_file(tmp_path / "model.safetensors"))
        kept = keep_only(tmp_path, lambda key, half=names[parity::2]: key in half)
        again = type(model).from_pretrained(tmp_path)
        assert_initialised(again)
        for key, value in kept.items():
            assert again.state_dict()[key].equal(value), key


def test_derived_buffers_may_be_absent_without_a_trace(make, tmp_path, bases):
    model = make("hyenadna")
    model.save_pretrained(tmp_path)
    keep_only(tmp_path, lambda key: not key.endswith(("pos_emb.z", "pos_emb.t", "deltas")))
    again = type(model).from_pretrained(tmp_path)
    assert torch.allclose(again(bases).logits, model(bases).logits, atol=1e-5)


def test_saving_and_loading_returns_the_same_model(kind, make, tmp_path, bases):
    model = make(kind)
    model.save_pretrained(tmp_path)
    again = type(model).from_pretrained(tmp_path)
    assert again(bases).logits.equal(model(bases).logits)
    assert again.state_dict().keys() == model.state_dict().keys()
    for name, value in model.state_dict().items():
        assert again.state_dict()[name].dtype == value.dtype, name
        assert again.state_dict()[name].equal(value), name
    for name in type(model.config).kinds():
        assert getattr(again.config, name) == getattr(model.config, name), name


def test_shared_weights_are_stored_once_and_stay_shared(make, tmp_path):
    model = make("ps")
    model.save_pretrained(tmp_path)
    names = load_file(tmp_path / "model.safetensors")
    assert not [name for name in names if "mamba_rev.in_proj" in name or "lm_head.weight" in name]
    again = type(model).from_pretrained(tmp_path)
    assert again.lm_head.lm_head.weight is again.get_input_embeddings().weight


def test_a_file_that_repeats_shared_weights_is_read_and_shares_them(make, tmp_path, bases):
    model = make("ph")
    model.save_pretrained(tmp_path)
    path = tmp_path / "model.safetensors"
    tensors = load_file(path)
    again = {
        key.replace("mamba_fwd", "mamba_rev"): value.clone()
        for key, value in tensors.items()
        if "mamba_fwd.in_proj" in key or "mamba_fwd.out_proj" in key
    }
    head = tensors["caduceus.backbone.embeddings.word_embeddings.weight"].clone()
    save_file({**tensors, **again, "lm_head.weight": head}, path, metadata={"format": "pt"})
    loaded, found = type(model).from_pretrained(tmp_path, output_loading_info=True)
    assert not found["unexpected_keys"]
    assert not found["missing_keys"]
    assert loaded.lm_head.weight is loaded.get_input_embeddings().weight
    assert loaded(bases).logits.equal(model(bases).logits)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("kind", ["ps", "hyenadna", "hydra", "ps_mamba2", "ps_token"])
def test_half_precision_keeps_states_and_filters_in_float32(kind, dtype, make, tmp_path, bases):
    model = make(kind)
    model.save_pretrained(tmp_path)
    narrow = type(model).from_pretrained(tmp_path, dtype=dtype)
    for name, value in narrow.named_parameters():
        wide = name.endswith(WIDE) or "filter_fn" in name
        assert value.dtype == (torch.float32 if wide else dtype), name
    narrow.save_pretrained(tmp_path)
    again = type(model).from_pretrained(tmp_path)
    for name, value in narrow.state_dict().items():
        assert again.state_dict()[name].dtype == value.dtype, name
        assert again.state_dict()[name].equal(value), name
    logits = narrow(bases).logits
    assert logits.dtype == torch.float32
    assert (
        torch.nn.functional.cosine_similarity(
            logits.flatten(), model(bases).logits.flatten(), dim=0
        )
        > 0.99
    )


@pytest.mark.filterwarnings("ignore:`gradient_checkpointing_enable` is deprecated")
def test_recomputing_blocks_changes_no_gradient(kind, make, bases):
    gradients = []
    for recompute in (False, True):
        model = make(kind)
        if recompute:
            model.gradient_checkpointing_enable()
        model.train()
        labels = torch.tensor([0, 1, 2]) if "classifier" in kind else bases
        model(bases, labels=labels).loss.backward()
        gradients.append({name: value.grad for name, value in model.named_parameters()})
    assert gradients[0].keys() == gradients[1].keys()
    for name, value in gradients[0].items():
        assert value is None or torch.allclose(value, gradients[1][name], atol=1e-6), name


def test_autocast_keeps_losses_gradients_and_logits_close_and_float32(kind, make, bases):
    labels = torch.tensor([0, 1, 2]) if "classifier" in kind else bases
    found = []
    for enabled in (False, True):
        model = make(kind).train()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled):
            output = model(bases, labels=labels)
        output.loss.backward()
        assert output.logits.dtype == torch.float32
        gradients = torch.cat([value.grad.flatten() for value in model.parameters()])
        found.append((output.loss.item(), gradients))
    (exact, wide), (loss, narrow) = found
    assert loss == pytest.approx(exact, rel=0.02)
    assert narrow.dtype == torch.float32
    assert (narrow - wide).norm() < 0.1 * wide.norm()


@pytest.fixture
def float32_islands(monkeypatch):
    """Watch what must be float32 while a model runs in half precision; the names that were."""
    found = set()

    def watch(name, tensors):
        assert all(t is None or t.dtype == torch.float32 for t in tensors), name
        found.add(name)

    def scan(first, second, z, **options):
        for inputs in (first, second):
            watch("scan", (inputs.A, inputs.D, inputs.delta_bias))
        return bidirectional_scan(first, second, z, **options)

    def one_scan(u, delta, A, B, C, D, z, bias, **options):
        watch("scan", (A, D, bias))
        y, state = selective_scan(
            *(u, delta, A, B, C, D, z, bias), **options, return_last_state=True
        )
        watch("state", [state])
        return y

    def convolve(v, long_filter, skip, **options):
        watch("filter", (long_filter, skip))
        return fft_conv(v, long_filter, skip, **options)

    monkeypatch.setattr("genolm.mixers.mamba.bidirectional_scan", scan)
    monkeypatch.setattr("genolm.mixers.mamba.selective_scan", one_scan)
    monkeypatch.setattr("genolm.mixers.hyena.fft_conv", convolve)
    return found, watch


@pytest.mark.parametrize(
    ("kind", "islands"),
    [
        ("ps", {"scan", "stream"}),
        ("ps_unfused", {"scan", "stream"}),
        ("mamba", {"scan", "state", "stream"}),
        ("hyenadna", {"filter", "stream"}),
        ("ps_hyena", {"filter", "stream"}),
    ],
)
def test_float16_has_islands_of_float32(kind, islands, make, bases, float32_islands):
    found, watch = float32_islands
    model = make(kind).train()
    exact = model(bases, labels=bases).loss
    for block in model.base_model.backbone.layers:
        block.register_forward_hook(
            # The stream: what a block returns, or returns beside the mixer's output.
            lambda _, __, out: watch("stream", [out[1] if isinstance(out, tuple) else out])
        )
    narrow = []
    for module in model.modules():
        if isinstance(module, Linear) and not module.full_precision:
            module.register_forward_hook(lambda _, __, out: narrow.append(out.dtype))
    with torch.autocast("cpu", dtype=torch.float16):
        output = model(bases, labels=bases)
    assert set(narrow) == {torch.float16}
    assert found == islands
    assert output.logits.dtype == torch.float32
    assert output.loss.item() == pytest.approx(exact.item(), rel=1e-2)
    (output.loss * 2.0**10).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad.dtype == torch.float32, name
        assert parameter.grad.isfinite().all(), name


def test_every_parameter_receives_a_gradient(kind, make, bases):
    model = make(kind).train()
    labels = torch.tensor([0, 1, 2]) if "classifier" in kind else bases
    model(bases, labels=labels).loss.backward()
    for name, value in model.named_parameters():
        assert value.grad is not None, name
        assert value.grad.abs().max() > 0, name


def test_embeddings_may_stand_in_for_ids(make, bases):
    for kind in ("ph", "hyenadna"):
        model = make(kind)
        embedded = model.get_input_embeddings()(bases)
        assert model(inputs_embeds=embedded).logits.equal(model(bases).logits)
    model = make("ps")
    first = model.caduceus(bases, output_hidden_states=True).hidden_states[0]
    assert torch.allclose(model(inputs_embeds=first).logits, model(bases).logits, atol=1e-6)


def test_ids_of_another_shape_are_refused(make, bases):
    model = make("ph")
    with pytest.raises(ValueError, match=r"\(batch, length\)"):
        model(bases[0])
    with pytest.raises(ValueError, match="either input_ids or inputs_embeds"):
        model()


def test_a_tuple_comes_back_on_request(make, bases):
    for kind in ("ph", "hyenadna", "ps_classifier"):
        model = make(kind)
        logits = model(bases, return_dict=False)[0]
        assert logits.equal(model(bases).logits)
