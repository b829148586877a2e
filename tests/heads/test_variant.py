import math

import torch

from genolm.heads.variant import VariantHead, state_change


def test_the_change_is_that_at_the_site_and_that_of_the_sum_over_the_root_of_the_length():
    hidden = torch.zeros(2, 1, 9, 2, dtype=torch.float64)
    hidden[0, 0, 4] = torch.tensor([1.0, 2.0])
    hidden[1, 0, 5] = torch.tensor([4.0, 8.0])
    hidden[1, 0, 7] = torch.tensor([2.0, 1.0])
    change = state_change(hidden, torch.tensor([[4], [5]]))
    assert change.difference.tolist() == [[3.0, 6.0, 5 / math.sqrt(9), 7 / math.sqrt(9)]]
    assert change.context.tolist() == [[2.5, 5.0]]


def test_only_a_head_that_is_not_antisymmetric_tells_equal_alleles_apart_by_context():
    hidden = torch.randn(1, 3, 9, 4).expand(2, -1, -1, -1)
    change = state_change(hidden, torch.full((2, 3), 4))
    for width in (None, 6):
        odd = VariantHead(4, 1, hidden=width, antisymmetric=True)
        assert odd(change).abs().max() == 0
        assert odd.out.bias is None
        assert VariantHead(4, 1, hidden=width, antisymmetric=False)(change).std() > 0
