"""Position-wise work in pieces gives what it gives whole."""

import pytest
import torch

from genolm.modules import by_rows, mlp
from genolm.modules.by_rows import is_plain
from genolm.modules.linear import Linear
from genolm.modules.mlp import MLP


@pytest.mark.parametrize("rows", [1, 7, 29, 58, 100])
@pytest.mark.parametrize("turned", [False, True])
def test_pieces_are_put_together_in_order(rows, turned, monkeypatch):
    monkeypatch.setattr(by_rows, "MOST_ROWS", rows)
    x = torch.arange(2 * 29 * 3.0).view(2, 29, 3)
    if turned:
        x = x.mT.contiguous().mT
    found = by_rows.by_rows(lambda piece: torch.cat([piece, -piece], dim=-1), x)
    assert found.equal(torch.cat([x, -x], dim=-1))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_large_mlp_without_gradients_goes_in_pieces_and_gives_the_same(dtype, monkeypatch):
    network = MLP(6, 10).to(dtype)
    x = torch.randn(3, 17, 6, dtype=dtype)
    wanted = network(x)
    sizes = []
    monkeypatch.setattr(by_rows, "MOST_ROWS", 20)
    monkeypatch.setattr(mlp, "MOST_HIDDEN", 3 * 17 * 10 - 1)
    network.fc1.register_forward_hook(lambda module, inputs, output: sizes.append(output.shape[1]))
    with torch.no_grad():
        found = network(x)
    assert sizes == [20, 20, 11]
    torch.testing.assert_close(found, wanted)
    network(x).sum().backward()
    assert sizes[3:] == [17]
    with torch.no_grad():
        network(x[:, :16])
    assert sizes[4:] == [16]


def test_plain_is_the_class_itself_without_hooks():
    class Other(Linear):
        pass

    module = Linear(2, 2)
    assert is_plain(module, Linear)
    assert not is_plain(Other(2, 2), Linear)
    for register in (module.register_forward_hook, module.register_forward_pre_hook):
        handle = register(lambda *arguments: None)
        assert not is_plain(module, Linear)
        handle.remove()
    assert is_plain(module, Linear)
