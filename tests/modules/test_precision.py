"""Half precision is widened, and nothing is narrowed."""

import pytest
import torch

from genolm.modules.precision import at_least_float32


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (torch.float16, torch.float32),
        (torch.bfloat16, torch.float32),
        (torch.float32, torch.float32),
        (torch.float64, torch.float64),
    ],
)
def test_half_precision_is_widened_and_the_rest_is_kept(given, wanted):
    assert at_least_float32(torch.ones(2, dtype=given)).dtype == wanted


def test_a_wide_tensor_is_not_copied():
    tensor = torch.ones(2)
    assert at_least_float32(tensor) is tensor
