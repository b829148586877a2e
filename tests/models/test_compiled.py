"""torch.compile and torch.export: whole forward passes, and what cannot be exported."""

import io

import pytest
import torch
from torch.export import Dim

ONE_OF_EACH = ["ph", "ps", "ps_unfused", "mamba", "hydra", "hyenadna", "hyenadna_mamba2"]
HEADS = ["ps_classifier", "hyenadna_classifier", "ps_token", "hyenadna_token"]
DYNAMIC = {0: Dim.DYNAMIC, 1: Dim.DYNAMIC}


@pytest.fixture(autouse=True)
def _fresh_compiler():
    torch.compiler.reset()


def draw(batch, length):
    generator = torch.Generator().manual_seed(batch * 100 + length)
    return torch.randint(7, 12, (batch, length), generator=generator)


@pytest.mark.parametrize("kind", [*ONE_OF_EACH, *HEADS])
def test_a_forward_pass_is_one_graph(kind, make, bases):
    model = make(kind)
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    with torch.no_grad():
        assert torch.allclose(compiled(bases).logits, model(bases).logits, atol=1e-6)


@pytest.mark.parametrize("kind", ["ps", "hyenadna"])
def test_so_are_a_forward_and_a_backward_pass(kind, make, bases):
    model = make(kind).train()
    model(bases, labels=bases).loss.backward()
    wanted = {name: value.grad.clone() for name, value in model.named_parameters()}
    model.zero_grad()
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    compiled(bases, labels=bases).loss.backward()
    for name, value in model.named_parameters():
        assert torch.allclose(value.grad, wanted[name], rtol=1e-4, atol=1e-6), name


@pytest.mark.slow  # a C++ compiler at work
@pytest.mark.parametrize("kind", ["ps", "hyenadna"])
def test_the_default_compiler_gives_the_same_numbers(kind, make, bases):
    model = make(kind)
    with torch.no_grad():
        found = torch.compile(model, fullgraph=True)(bases).logits
        assert torch.allclose(found, model(bases).logits, atol=1e-5)


QUICK = ("ps", "hyenadna")  # of each family one; the rest takes its time


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize(
    "kind",
    [
        kind if kind in QUICK else pytest.param(kind, marks=pytest.mark.slow)
        for kind in [*ONE_OF_EACH, *HEADS]
    ],
)
def test_an_exported_model_takes_other_batches_and_lengths(kind, strict, make):
    model = make(kind)
    with torch.no_grad():
        program = torch.export.export(
            model, (draw(2, 40),), dynamic_shapes=(DYNAMIC,), strict=strict
        )
        for ids in (draw(2, 40), draw(5, 57), draw(3, 19)):
            found = program.module()(ids)
            assert type(found) is type(model(ids))
            assert torch.allclose(found.logits, model(ids).logits, atol=1e-6)


@pytest.mark.parametrize("kind", ["ps", "hyenadna"])
def test_an_exported_model_may_be_saved_and_loaded(kind, make):
    model, file = make(kind), io.BytesIO()
    torch.export.save(torch.export.export(model, (draw(2, 40),), dynamic_shapes=(DYNAMIC,)), file)
    file.seek(0)
    again = torch.export.load(file).module()
    assert torch.allclose(again(draw(3, 50)).logits, model(draw(3, 50)).logits, atol=1e-6)


def test_an_exported_hyena_keeps_its_longest_sequence(make):
    program = torch.export.export(make("hyenadna"), (draw(2, 40),), dynamic_shapes=(DYNAMIC,))
    assert program.module()(draw(2, 64)).logits.shape == (2, 64, 16)
    with pytest.raises(AssertionError, match="<= 64"):
        program.module()(draw(2, 65))


@pytest.mark.parametrize("kind", ["ps", "hyenadna"])
def test_a_model_that_leaves_padding_out_is_compiled_in_parts_and_not_exported(kind, make):
    model, ids = make(kind, mask_padding=True), draw(3, 30)
    ids[0, :5], ids[1, 20:] = 4, 4
    compiled = torch.compile(model, backend="aot_eager")
    assert torch.allclose(compiled(ids).logits, model(ids).logits, atol=1e-6)
    with pytest.raises(ValueError, match="mask_padding: true cannot be exported"):
        torch.export.export(model, (ids,))
