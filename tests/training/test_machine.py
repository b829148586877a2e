import pytest
import torch

import genolm_kernels
from genolm.errors import UsageError
from genolm.models import build_model
from genolm.modules.linear import Linear
from genolm.training import machine
from genolm.training.run_folder import RunFolder
from genolm.training.trainer import Pace, training_arguments


@pytest.mark.parametrize(
    ("flags", "precision"),
    [
        ("flags : sse avx512f avx512_bf16 avx", "bf16"),
        ("flags : amx_bf16 amx_tile", "bf16"),
        ("flags : sse avx512f", "float32"),
        ("flags : not_avx512_bf16_at_all", "float32"),
    ],
)
def test_auto_precision_follows_the_flags_of_the_cpu(tmp_path, monkeypatch, flags, precision):
    (tmp_path / "cpuinfo").write_text(flags)
    monkeypatch.setattr(machine, "CPU_INFO", tmp_path / "cpuinfo")
    assert machine.choose_precision("auto", torch.device("cpu")) == precision


def test_without_a_list_of_flags_precision_is_float32(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "CPU_INFO", tmp_path / "none")
    assert machine.choose_precision("auto", torch.device("cpu")) == "float32"


@pytest.mark.parametrize(
    ("capability", "precision"),
    [((7, 0), "float32"), ((7, 5), "float32"), ((8, 0), "bf16"), ((9, 0), "bf16")],
    ids=["V100", "T4", "A100", "H100"],
)
def test_auto_precision_follows_the_generation_of_the_gpu(monkeypatch, capability, precision):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert machine.choose_precision("auto", torch.device("cuda")) == precision


def test_a_precision_asked_for_is_taken():
    for wanted in ("float32", "bf16"):
        assert machine.choose_precision(wanted, torch.device("cpu")) == wanted


def test_fp16_is_for_gpus_and_refused_elsewhere_in_one_line():
    assert machine.choose_precision("fp16", torch.device("cuda")) == "fp16"
    with pytest.raises(UsageError, match=r"train\.precision: fp16 needs .* choose bf16 or float32"):
        machine.choose_precision("fp16", torch.device("cpu"))


def test_fp16_is_left_to_autocast_and_a_scaler(tmp_path, finetuning):
    model = build_model("caduceus", "masked_lm", {"d_model": 8, "n_layer": 1}, seed=0)
    machine.set_precision(model, "fp16")
    linears = [module for module in model.modules() if isinstance(module, Linear)]
    assert {module.compute_dtype for module in linears} == {None}
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    pace = Pace(steps=1, batch_size=1, eval_every=1, save_every=1, seed=0, workers=0)
    for precision in ("fp16", "bf16", "float32"):
        train = finetuning(train={"precision": precision}).train
        arguments = training_arguments(
            RunFolder(tmp_path), train, pace, torch.device("cpu"), best_by=None
        )
        # bf16 is ours: linear layers alone, without autocast.
        assert (arguments.fp16, arguments.bf16) == (precision == "fp16", False)


def test_bf16_multiplies_narrowly_and_keeps_float32_weights():
    model = build_model("caduceus", "masked_lm", {"d_model": 8, "n_layer": 1}, seed=0)
    machine.set_precision(model, "bf16")
    linears = [module for module in model.modules() if isinstance(module, Linear)]
    assert {module.compute_dtype for module in linears if not module.full_precision} == {
        torch.bfloat16
    }
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    machine.set_precision(model, "float32")
    assert {module.compute_dtype for module in linears} == {None}


def test_checkpointing_goes_to_every_block_and_a_part_that_is_not_there_is_refused():
    model = build_model("hyenadna", "causal_lm", {"d_model": 8, "n_layer": 2}, seed=0)
    for parts, names in (("both", {"mixer", "mlp"}), ("mlp", {"mlp"}), ("none", set())):
        machine.set_checkpointing(model, parts)
        assert [block.recomputed for block in model.hyena.backbone.layers] == [names] * 2
    model = build_model("caduceus", "masked_lm", {"d_model": 8, "n_layer": 1}, seed=0)
    with pytest.raises(UsageError, match=r"train\.checkpointing: .* have no mlp"):
        machine.set_checkpointing(model, "both")


def test_a_backend_holds_for_the_block(monkeypatch):
    asked = []
    monkeypatch.setattr(machine, "use_backend", lambda name: asked.append(name) or _Nothing())
    with machine.kernel_backend("reference"), machine.kernel_backend(None):
        pass
    assert asked == ["reference"]


class _Nothing:
    def __enter__(self):
        return self

    def __exit__(self, *error):
        return None


def test_an_unknown_backend_is_a_usage_error_that_lists_the_known_ones():
    known = {name for names in genolm_kernels.backends().values() for name in names}
    with pytest.raises(UsageError) as caught, machine.kernel_backend("abacus"):
        pass
    assert all(name in str(caught.value) for name in known)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_cuda_without_a_device_is_a_usage_error():
    with pytest.raises(UsageError, match="no CUDA device"):
        machine.choose_device("cuda")
    assert machine.choose_device("auto").type == "cpu"
