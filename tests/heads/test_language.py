"""Language heads: float32 logits, and the equivariant formula."""

import pytest
import torch

from genolm.heads.language import make_language_head
from genolm.modules.linear import set_compute_dtype

COMPLEMENT = (3, 2, 1, 0, 4)


def test_logits_are_float32_at_least():
    hidden = torch.randn(2, 3, 8, generator=torch.Generator().manual_seed(0))
    for complement, channels in ((None, 8), (COMPLEMENT, 4)):
        head = make_language_head(channels, 5, complement)
        assert head.bfloat16()(hidden.bfloat16()).dtype == torch.float32
        assert head.double()(hidden.double()).dtype == torch.float64


def test_the_equivariant_head_adds_what_both_strands_say():
    torch.manual_seed(0)
    head = make_language_head(4, 5, COMPLEMENT)
    hidden = torch.randn(2, 3, 8)
    first, second = hidden.chunk(2, dim=-1)
    weight = head.lm_head.weight
    wanted = first @ weight.T + second.flip(-1) @ weight[list(COMPLEMENT)].T
    assert torch.allclose(head(hidden), wanted, atol=1e-6)


def test_the_stored_complement_map_is_used():
    torch.manual_seed(0)
    head, other = make_language_head(4, 5, COMPLEMENT), make_language_head(4, 5, range(5))
    hidden = torch.randn(2, 3, 8)
    assert not torch.allclose(head(hidden), other(hidden))
    other.load_state_dict(head.state_dict())
    assert other(hidden).equal(head(hidden))


@pytest.mark.parametrize("complement", [None, COMPLEMENT])
def test_heads_stay_exact_when_the_rest_is_narrowed(complement):
    head = make_language_head(4, 5, complement)
    hidden = torch.randn(2, 3, 4 if complement is None else 8)
    before = head(hidden)
    set_compute_dtype(head, torch.bfloat16)
    assert head(hidden).equal(before)
