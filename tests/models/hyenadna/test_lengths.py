"""Sequences beyond the filters are refused before any work, with the model that would take them."""

import pytest
import torch


@pytest.mark.parametrize(
    ("length", "fitting"),
    [
        (65, "hyenadna-tiny-1k-seqlen"),
        (1_027, "hyenadna-tiny-16k-seqlen-d128"),
        (32_770, "hyenadna-small-32k-seqlen"),
        (32_771, "hyenadna-medium-160k-seqlen"),
        (1_000_002, "hyenadna-large-1m-seqlen"),
    ],
)
def test_the_smallest_published_model_that_fits_is_named(length, fitting, make):
    with pytest.raises(ValueError, match=rf" {length} tokens.*at most 64 .*is {fitting}$"):
        make("hyenadna")(torch.full((1, length), 7))


def test_it_is_said_if_there_is_none(make):
    with pytest.raises(ValueError, match="no published HyenaDNA takes so many"):
        make("hyenadna")(torch.full((1, 1_000_003), 7))


@pytest.mark.parametrize("kind", ["hyenadna", "hyenadna_classifier", "hyenadna_token"])
def test_nothing_is_computed_before(kind, make):
    model = make(kind)
    ran = []
    for module in model.base_model.modules():
        if module is not model.base_model:
            module.register_forward_pre_hook(lambda module, inputs: ran.append(module))
    with pytest.raises(ValueError, match="65 tokens"):
        model(torch.full((1, 65), 7))
    with pytest.raises(ValueError, match="65 tokens"):
        model(inputs_embeds=torch.zeros(1, 65, 16))
    assert not ran
    model(torch.full((1, 64), 7))
    assert ran


def test_other_mixers_have_no_limit(make):
    assert make("hyenadna_mamba")(torch.full((1, 2000), 7)).logits.shape == (1, 2000, 16)
