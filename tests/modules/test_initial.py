"""Modules that say what their tensors start as."""

import torch

from genolm.modules.initial import HasInitialValues, set_initial_values
from genolm.modules.short_conv import ShortConv


def test_a_module_without_memory_is_left_alone():
    with torch.device("meta"):
        conv = ShortConv(4, 3)
    assert conv.weight.is_meta
    conv.to_empty(device="cpu")
    torch.nn.init.constant_(conv.weight, torch.nan)
    set_initial_values(conv)
    assert not conv.weight.isnan().any()


def test_values_are_named_after_own_tensors_and_fit_them():
    conv = ShortConv(4, 3)
    assert isinstance(conv, HasInitialValues)
    values = conv.initial_values()
    assert values.keys() == dict(conv.named_parameters()).keys()
    for name, value in values.items():
        assert value.shape == getattr(conv, name).shape
    assert not conv.initial_values()["weight"].equal(values["weight"])


def test_a_module_without_own_tensors_has_nothing_to_say():
    assert not isinstance(torch.nn.ReLU(), HasInitialValues)
