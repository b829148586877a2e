import signal

import pytest
import torch
from safetensors import SafetensorError
from transformers import PreTrainedModel

from genolm import load
from genolm.errors import InputError, UsageError
from genolm.genome.fasta import Fasta
from genolm.training import trainer
from genolm.training.pretrain import pretrain
from genolm.training.run_folder import RunFolder
from tests.training.interruptions import PowerCut, at_step, cut_power, patched
from tests.training.outcomes import metrics, same, weights

MODELS = {
    "masked_lm": {"family": "caduceus", "d_model": 8, "n_layer": 1, "rcps": True},
    "causal_lm": {"family": "hyenadna", "d_model": 8, "n_layer": 1},
}


def press_ctrl_c():
    signal.raise_signal(signal.SIGINT)


def lines(recipe):
    """metrics.jsonl without what depends on the clock."""
    clocked = ("seconds", "tokens_per_second", "mfu", "peak_memory_bytes")
    read = RunFolder(recipe.output).read_lines()
    return [{key: x for key, x in line.items() if key not in clocked} for line in read]


def steps_of_checkpoints(recipe):
    return sorted(int(f.name.split("-")[1]) for f in (recipe.output / "checkpoints").iterdir())


@pytest.mark.parametrize("objective", MODELS)
def test_a_run_leaves_what_the_contract_says(pretraining, objective, capsys):
    recipe = pretraining(model=MODELS[objective], objective=objective)
    assert pretrain(recipe) == recipe.output / "model"
    figures = metrics(recipe)
    names = {
        "causal_lm": {"order_0", "order_3", "order_5", "order_7"},
        "masked_lm": {"two_sided_2", "two_sided_3", "two_sided_4"},
    }[objective]
    for part in ("valid", "test"):
        assert {"loss", "bits_per_base", "n_targets", "markov"} <= figures[part].keys()
        assert figures[part]["markov"].keys() == figures["markov"].keys() == names
    model, tokenizer = load(recipe.output / "model")
    assert (model.config.objective, model.config.training_length) == (objective, 32)
    assert tokenizer("ACGT")["input_ids"][:4] == [7, 8, 9, 10]
    assert "precision: float32" in (recipe.output / "recipe.yaml").read_text()
    said = capsys.readouterr()
    assert said.out == ""
    assert "step 3: valid loss" in said.err
    assert f"counting: {min(names)}" in said.err


def test_the_published_model_has_the_loss_that_was_reported(pretraining, causal):
    recipe = pretraining(model=causal, objective="causal_lm", train={"test_windows": None})
    pretrain(recipe)
    model, _ = load(recipe.output / "model")
    with Fasta(recipe.data.fasta) as fasta:
        bases = fasta.fetch("II", 0, 32 * (3000 // 32))
    ids = torch.tensor(["ACGT".index(base) + 7 for base in bases]).view(-1, 32)
    with torch.no_grad():
        loss = model(ids, labels=ids).loss
    assert metrics(recipe)["valid"]["loss"] == pytest.approx(float(loss), rel=1e-5)


def test_training_teaches(pretraining, causal):
    fast = {"steps": 40, "batch_size": 8, "learning_rate": 2e-2, "eval_every": 40}
    recipe = pretraining(model=causal, objective="causal_lm", train=fast)
    pretrain(recipe)
    logged = [line["loss"] for line in lines(recipe) if "loss" in line]
    assert logged[-1] < logged[0] - 0.5


@pytest.mark.parametrize("objective", MODELS)
def test_resuming_equals_not_stopping_bit_for_bit(
    pretraining, tmp_path, objective, capsys, power_cut
):
    options = {"train": {"accumulate": 2}, "model": MODELS[objective], "objective": objective}
    whole = pretraining(output=tmp_path / "whole", **options)
    pretrain(whole)
    stopped = pretraining(output=tmp_path / "stopped", **options)
    with power_cut(5):
        pretrain(stopped)
    assert not (stopped.output / "model").exists()
    pretrain(stopped)
    assert "resuming at step 4" in capsys.readouterr().err
    assert same(weights(whole), weights(stopped))
    assert lines(whole) == lines(stopped)
    assert {k: v for k, v in metrics(whole).items() if k != "seconds"} == {
        k: v for k, v in metrics(stopped).items() if k != "seconds"
    }


def test_a_run_in_stages_of_weighed_bases_goes_on_as_if_it_had_not_stopped(
    pretraining, tmp_path, power_cut
):
    stages = [{"length": 8, "steps": 2}, {"length": 16, "steps": 2}]
    options = {"train": {"length_stages": stages}, "data": {"soft_mask_weight": 0.5}}
    whole, stopped = (pretraining(output=tmp_path / n, **options) for n in ("whole", "stopped"))
    pretrain(whole)
    for step in (3, 5):
        with power_cut(step):
            pretrain(stopped)
    pretrain(stopped)
    assert same(weights(whole), weights(stopped))
    plain = pretraining(output=tmp_path / "plain")
    pretrain(plain)
    assert not same(weights(whole), weights(plain))


def test_two_processes_do_not_train_in_one_folder(pretraining):
    recipe = pretraining()
    held = RunFolder(recipe.output).hold()
    with held, pytest.raises(UsageError, match="another process trains in this folder"):
        pretrain(recipe)


def test_workers_do_not_change_the_result(pretraining, tmp_path):
    runs = [
        pretraining(output=tmp_path / str(workers), data={"workers": workers}, train={"steps": 3})
        for workers in (0, 2)
    ]
    for recipe in runs:
        pretrain(recipe)
    assert same(*(weights(recipe) for recipe in runs))


def test_ctrl_c_saves_the_step_and_the_run_goes_on_from_it(pretraining, tmp_path, capsys):
    whole, stopped = (pretraining(output=tmp_path / name) for name in ("whole", "stopped"))
    pretrain(whole)
    with at_step(3, press_ctrl_c), pytest.raises(KeyboardInterrupt):
        pretrain(stopped)
    assert steps_of_checkpoints(stopped) == [2, 3]
    assert "stopped at step 3; the same command goes on from there" in capsys.readouterr().err
    pretrain(stopped)
    assert "resuming at step 3" in capsys.readouterr().err
    assert same(weights(whole), weights(stopped))


def test_a_second_ctrl_c_stops_at_once(pretraining):
    recipe = pretraining()
    before = signal.getsignal(signal.SIGINT)

    def press_twice():
        press_ctrl_c()
        press_ctrl_c()

    with at_step(3, press_twice), pytest.raises(KeyboardInterrupt):
        pretrain(recipe)
    assert steps_of_checkpoints(recipe) == [2]
    assert signal.getsignal(signal.SIGINT) is before


def test_a_checkpoint_that_was_cut_short_is_not_used(pretraining, tmp_path, capsys):
    whole, stopped = (pretraining(output=tmp_path / name) for name in ("whole", "stopped"))
    pretrain(whole)
    killing = patched(trainer, "mark_complete", lambda folder: cut_power())
    with killing, pytest.raises(PowerCut):
        pretrain(stopped)
    assert steps_of_checkpoints(stopped) == [2]
    pretrain(stopped)
    assert "resuming" not in capsys.readouterr().err
    assert same(weights(whole), weights(stopped))
    assert lines(whole) == lines(stopped)


def test_a_finished_run_says_so_and_is_left_alone(pretraining, capsys):
    recipe = pretraining(train={"steps": 2})
    pretrain(recipe)
    before = (recipe.output / "metrics.json").stat().st_mtime_ns
    assert pretrain(recipe) == recipe.output / "model"
    assert "is done" in capsys.readouterr().err
    assert (recipe.output / "metrics.json").stat().st_mtime_ns == before


def test_restart_begins_anew_with_another_recipe(pretraining):
    pretrain(pretraining(train={"steps": 2}))
    other = pretraining(train={"steps": 3})
    with pytest.raises(UsageError, match=r"different in train\.steps"):
        pretrain(other)
    pretrain(other, restart=True)
    assert metrics(other)["steps"] == 3
    assert max(line["step"] for line in lines(other)) == 3


def test_a_death_between_the_last_step_and_the_end_costs_no_step(pretraining, capsys):
    recipe = pretraining(train={"steps": 2})
    killing = patched(PreTrainedModel, "save_pretrained", save_all_but("model", cut_power))
    with killing, pytest.raises(PowerCut):
        pretrain(recipe)
    assert not (recipe.output / "model").exists()
    before = lines(recipe)
    pretrain(recipe)
    assert "resuming at step 2" in capsys.readouterr().err
    assert lines(recipe) == before
    load(recipe.output / "model")


def save_all_but(name, action):
    """``save_pretrained`` that does something else when it comes to the model's own folder."""
    original = PreTrainedModel.save_pretrained

    def save(self, folder, *args, **kwargs):
        original(self, folder, *args, **kwargs)
        if str(folder).endswith(f"partial.{name}"):
            action()

    return save


@pytest.mark.parametrize(
    "error", [SafetensorError("I/O error: No space left"), RuntimeError("PytorchStreamWriter")]
)
def test_a_full_disk_is_one_os_error_and_no_half_model(pretraining, error):
    def fail():
        raise error

    recipe = pretraining(train={"steps": 2})
    failing = patched(PreTrainedModel, "save_pretrained", save_all_but("model", fail))
    with failing, pytest.raises(OSError, match="model: could not be written: ") as caught:
        pretrain(recipe)
    assert "\n" not in str(caught.value)
    assert sorted(file.name for file in recipe.output.iterdir()) == [
        "baselines.json",
        "checkpoints",
        "metrics.jsonl",
        "recipe.yaml",
        "run.json",
    ]


def test_a_full_disk_at_a_checkpoint_is_an_os_error(pretraining, monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("[enforce fail at inline_container.cc] . unexpected pos\nmore")

    monkeypatch.setattr(torch, "save", fail)
    with pytest.raises(OSError, match="checkpoint-2: could not be written"):
        pretrain(pretraining())


def test_the_clock_ends_a_run_which_then_counts_as_done(pretraining, capsys):
    recipe = pretraining(train={"max_minutes": 1e-6})
    pretrain(recipe)
    assert metrics(recipe)["steps"] == 1
    pretrain(recipe)
    assert "is done" in capsys.readouterr().err


def test_a_loss_that_is_no_number_ends_the_run(pretraining):
    recipe = pretraining(train={"learning_rate": 1e30, "grad_clip": 0, "warmup": 0, "log_every": 1})
    with pytest.raises(ValueError, match=r"no longer a number at step .*train\.learning_rate"):
        pretrain(recipe)


def test_changed_bases_are_noticed(pretraining, tmp_path):
    fasta = tmp_path / "genome.fa"
    fasta.write_text(f">I\n{'ACGT' * 500}\n>II\n{'ACGG' * 500}\n>III\n{'ACCC' * 500}\n")
    recipe = pretraining(data={"fasta": fasta}, train={"steps": 2})
    pretrain(recipe)
    fasta.write_text(f">I\n{'ACGT' * 500}\n>II\n{'ACGG' * 500}\n>III\n{'ACCT' * 501}\n")
    with pytest.raises(UsageError, match="data has changed"):
        pretrain(recipe)


def test_a_model_may_be_trained_further(pretraining, tmp_path):
    first = pretraining(train={"steps": 2}, output=tmp_path / "first")
    pretrain(first)
    more = pretraining(model={"path": first.output / "model"}, train={"steps": 2})
    pretrain(more)
    assert not same(weights(first), weights(more))
    assert metrics(more)["parameters"] == metrics(first)["parameters"]


def test_without_lists_the_ends_of_the_contigs_are_held_out(pretraining):
    nothing = {"train": None, "valid": None, "test": None}
    recipe = pretraining(data=nothing, train={"steps": 1, "test_windows": None})
    pretrain(recipe)
    assert metrics(recipe)["test"]["n_targets"] > 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"model": {"family": "caduceus", "d_modle": 8}}, "model.d_modle .* model.d_model?"),
        ({"model": {"family": "caduceus", "d_model": "x"}}, "model: .*d_model must be int"),
        ({"model": {"family": "mamba"}}, "model: no family 'mamba'; there are caduceus"),
        ({"model": {"preset": "tiny"}}, "model: no preset 'tiny'"),
        ({"model": {"family": "hyenadna"}}, "model: hyenadna has no task 'masked_lm'"),
        ({"objective": "causal_lm"}, "model: .*bidirectional: false"),
        ({"model": {"path": "/nowhere"}}, "model.path: .*nowhere"),
        ({"data": {"train": "IV"}}, "data.train: the genome has no contig 'IV'"),
        ({"data": {"test": "I"}}, "data.test: contig I is already in data.train"),
        ({"train": {"backend": "cuda"}}, "train.backend: no backend 'cuda'"),
        (
            {
                "model": {"family": "hyenadna", "d_model": 8, "max_seq_len": 16},
                "objective": "causal_lm",
            },
            "data.length: 32 is more than the model's maximum of 16",
        ),
    ],
)
def test_what_does_not_fit_is_a_usage_error_before_anything_is_written(pretraining, options, said):
    recipe = pretraining(**options)
    with pytest.raises(UsageError, match=said):
        pretrain(recipe)
    assert not recipe.output.exists()


def test_a_folder_without_weights_is_a_usage_error(pretraining, tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text('{"model_type": "caduceus"}')
    with pytest.raises(UsageError, match=r"model\.path: .* no weights"):
        pretrain(pretraining(model={"path": tmp_path / "model"}))


def test_no_window_is_an_input_error(pretraining):
    with pytest.raises(InputError, match="no window of 4,000 bases left for train"):
        pretrain(pretraining(data={"length": 4000}))


@pytest.mark.parametrize(
    ("split", "key"), [("test", "train.test_windows"), ("valid", "train.eval_windows")]
)
def test_windows_in_which_nothing_is_asked_for_are_an_input_error_before_a_run_begins(
    pretraining, genome, tmp_path, split, key
):
    short = tmp_path / "genome.fa"  # of 8 bases of IV, none is one of the 1 in 32
    short.write_text(f"{genome.read_text()}>IV\nACGTACGTAC\n")
    recipe = pretraining(data={"fasta": short, "length": 8, split: "IV"})
    with pytest.raises(InputError, match=rf"data\.{split}: no base to guess in the 1 .*{key}"):
        pretrain(recipe)
    assert not recipe.output.exists()


def test_a_device_that_is_not_there_is_a_usage_error(pretraining):
    with pytest.raises(UsageError, match="choose auto, cpu or cuda"):
        pretrain(pretraining(), device="tpu")
