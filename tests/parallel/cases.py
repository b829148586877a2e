"""What each process of a group does in the tests: a whole model, and its slice of it."""

import torch

from genolm.models.build import build_model
from genolm.parallel import (
    SequenceGroup,
    add_up,
    first_position,
    flip_length,
    next_ones,
    shard_sequence,
    take_slice,
    whole_length,
)
from genolm.parallel.exchange import gather, neighbours, to_channels, to_positions
from genolm_kernels import use_backend

LENGTH = 24
MAMBA2 = {"name": "mamba2", "headdim": 4, "d_state": 4, "ngroups": 2}
HYDRA = {"name": "hydra", "headdim": 4, "d_state": 4, "learnable_init_states": True}
CASES = {
    "hyena": ("hyenadna", "causal_lm", {"max_seq_len": 4096}),
    "hyena-order-3": ("hyenadna", "causal_lm", {"max_seq_len": 24, "hyena_order": 3}),
    "causal-mamba": ("caduceus", "causal_lm", {"bidirectional": False}),
    "causal-mamba2": (
        "caduceus",
        "causal_lm",
        {"bidirectional": False, "mixer": MAMBA2 | {"learnable_init_states": True}},
    ),
    "caduceus": ("caduceus", "masked_lm", {}),
    "caduceus-product": (
        "caduceus",
        "masked_lm",
        {"bidirectional_strategy": "ew_multiply", "bidirectional_weight_tie": False},
    ),
    "caduceus-ps": ("caduceus", "masked_lm", {"rcps": True}),
    "caduceus-ps-plain": ("caduceus", "masked_lm", {"rcps": True, "fused_add_norm": False}),
    "caduceus-ps-mamba2": ("caduceus", "masked_lm", {"rcps": True, "mixer": MAMBA2}),
    "caduceus-hydra": ("caduceus", "masked_lm", {"rcps": True, "mixer": HYDRA}),
    "caduceus-hyena": ("caduceus", "masked_lm", {"rcps": True, "mixer": {"name": "hyena"}}),
}


def make(name):
    family, objective, options = CASES[name]
    model = build_model(family, objective, {"d_model": 8, "n_layer": 2, **options}, seed=1)
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.1 * torch.randn(parameter.shape, generator=generator)
    return model


def batch(length=LENGTH):
    """Ids, labels of which some do not count, and weights, of two sequences."""
    generator = torch.Generator().manual_seed(3)
    ids = torch.randint(7, 11, (2, length), generator=generator)
    labels = ids.masked_fill(torch.rand(ids.shape, generator=generator) < 0.3, -100)
    return {
        "input_ids": ids,
        "labels": labels,
        "loss_weights": torch.rand(ids.shape, generator=generator),
    }


def pass_both_ways(model, inputs):
    """Logits, loss, hidden states, and the gradients by name."""
    output = model(**inputs, output_hidden_states=True)
    output.loss.backward()
    gradients = {name: p.grad for name, p in model.named_parameters() if p.requires_grad}
    return output, gradients


def each(names, function, *arguments):
    """Do several cases in one go of the processes."""
    for name in names:
        try:
            function(name, *arguments)
        except Exception as error:
            error.add_note(f"case {name}")
            raise


def compare(name, dtype, backend, weighted=False, checkpointing=False):
    """Assert that the slices give what whole sequences give in one process."""
    group = SequenceGroup.of()
    inputs = batch()
    if not weighted:
        del inputs["loss_weights"]
    model, other = make(name).to(dtype), make(name).to(dtype)
    if checkpointing:
        other.gradient_checkpointing_enable()
    with use_backend(backend):
        whole, expected = pass_both_ways(model, inputs)
        with shard_sequence(group):
            mine = {key: take_slice(value, group) for key, value in inputs.items()}
            part, found = pass_both_ways(other, mine)
    close = {"rtol": 1e-10, "atol": 1e-10} if dtype == torch.float64 else {"rtol": 0, "atol": 1e-5}
    torch.testing.assert_close(part.loss, whole.loss, **close)
    torch.testing.assert_close(part.logits, take_slice(whole.logits, group), **close)
    for own, all_of_it in zip(part.hidden_states, whole.hidden_states, strict=True):
        torch.testing.assert_close(own, take_slice(all_of_it, group), **close)
    assert expected.keys() == found.keys()
    for key, gradient in expected.items():
        averaged = group.sum(found[key]) / group.size
        assert gradient.abs().max() > 0, key
        scale = max(1.0, gradient.abs().max().item())
        torch.testing.assert_close(averaged / scale, gradient / scale, **close, msg=key)


def saved_bytes(model, inputs):
    """Bytes that the forward pass keeps for the backward pass, parameters left out."""
    kept = {}
    parameters = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}

    def keep(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in parameters:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = model(**inputs).loss
    total = sum(kept.values())  # before the graph goes, and its addresses are given to others
    loss.backward()
    return total


def measure_memory(name, length, most):
    """Assert that a slice keeps its share of what the whole sequence keeps, and little more."""
    group = SequenceGroup.of()
    inputs = batch(length)
    del inputs["loss_weights"]
    model = make(name)
    whole = saved_bytes(model, inputs)
    with shard_sequence(group):
        mine = {key: take_slice(value, group).clone() for key, value in inputs.items()}
        part = saved_bytes(model, mine)
    assert part * group.size < most * whole


def exchange(size):
    """Assert the laws of the exchanges, forwards and backwards."""
    group = SequenceGroup.of()
    whole = torch.randn(2, 5 * size, 3 * size, generator=torch.Generator().manual_seed(1)).double()
    slices = take_slice(whole, group)
    some = slice(3 * group.place, 3 * group.place + 3)
    assert to_channels(slices, group).equal(whole[..., some])
    assert to_positions(to_channels(slices, group), group).equal(slices)
    with shard_sequence(group):
        assert flip_length(slices, 2).equal(take_slice(whole.flip(1, 2), group))
        assert (whole_length(5), first_position(5)) == (5 * size, 5 * group.place)
        assert next_ones(slices[..., 0], 9.0).equal(
            take_slice(torch.cat([whole[:, 1:, 0], whole.new_full((2, 1), 9.0)], 1), group)
        )
    padded = torch.nn.functional.pad(whole, (0, 0, 4, 4))
    start = 5 * group.place
    assert neighbours(slices, 4, group, after=False).equal(padded[:, start : start + 4])
    assert neighbours(slices, 4, group, after=True).equal(padded[:, start + 9 : start + 13])
    with shard_sequence(group):
        for function in (
            lambda x: to_channels(x, group),
            lambda x: flip_length(x),
            lambda x: neighbours(x, 2, group, after=False),
            lambda x: neighbours(x, 2, group, after=True),
            lambda x: gather(x, group),
            lambda x: add_up(x),
        ):
            assert_adjoint(function, slices, group)


def assert_adjoint(function, x, group):
    """Assert <f(x), y> = <x, f'(y)>, added up over the processes, for a linear function."""
    generator = torch.Generator().manual_seed(group.place)
    x = x.clone().requires_grad_()
    found = function(x)
    y = torch.randn(found.shape, generator=generator, dtype=found.dtype)
    found.backward(y)
    there, back = (found.detach() * y).sum(), (x.detach() * x.grad).sum()
    torch.testing.assert_close(group.sum(there), group.sum(back))
