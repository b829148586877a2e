"""Configs: strict about names and types, tolerant of what hub files carry."""

import copy
import json
import pickle
from pathlib import Path

import pytest

import genolm.models
from genolm.models.caduceus.configuration_caduceus import CaduceusConfig
from genolm.models.configuration import maximum_length
from genolm.models.hyenadna.configuration_hyenadna import HyenaDNAConfig

CONFIGS = [CaduceusConfig, HyenaDNAConfig]


def test_no_configuration_file_switches_type_checks_off():
    folder = Path(genolm.models.__file__).parent
    files = list(folder.rglob("configuration*.py"))
    assert len(files) >= 3
    for path in files:
        assert "from __future__ import annotations" not in path.read_text()


@pytest.mark.parametrize("kind", CONFIGS)
def test_a_misspelt_option_is_refused_with_the_known_ones(kind):
    with pytest.raises(ValueError, match=r"no option 'd_modle'; it has .*d_model.*n_layer"):
        kind(d_modle=3)


@pytest.mark.parametrize("kind", CONFIGS)
def test_a_value_of_the_wrong_type_is_refused_at_once_and_later(kind):
    with pytest.raises(ValueError, match="n_layer must be int, got 'two'"):
        kind(n_layer="two")
    config = kind()
    with pytest.raises(ValueError, match="conjoin_eval must be bool, got 1"):
        config.conjoin_eval = 1
    with pytest.raises(ValueError, match="pooling_strategy must be 'mean'"):
        config.pooling_strategy = "average"


def test_every_key_of_the_published_folders_is_known(golden):
    for name in ("caduceus_ps_fused_even", "hyenadna_hf_seqcls"):
        case = golden(name)
        kind = {"caduceus": CaduceusConfig, "hyenadna": HyenaDNAConfig}[case.config["model_type"]]
        config = kind.from_pretrained(case.folder)
        assert not hasattr(config, "auto_map")
        assert config.pad_token_id == 4
        for key, value in case.config.items():
            if key in kind.kinds() and key != "complement_map":
                assert getattr(config, key) == value


@pytest.mark.parametrize("kind", CONFIGS)
def test_keys_of_other_transformers_versions_are_taken(kind):
    old = {"torch_dtype": "float32", "use_cache": False, "bos_token_id": 2, "_name_or_path": "x"}
    generation = {"max_length": 20, "temperature": 1.0}
    config = kind(**old, **generation, auto_map={"AutoConfig": "x.y"}, transformers_version="4.38")
    assert "auto_map" not in config.to_dict()


@pytest.mark.parametrize("kind", CONFIGS)
def test_a_config_survives_file_copy_and_pickle(kind, tmp_path):
    config = kind(d_model=24, training_length=77, num_labels=5, mixer={"name": "mamba"})
    config.save_pretrained(tmp_path)
    again = kind.from_pretrained(tmp_path)
    for other in (again, copy.deepcopy(config), pickle.loads(pickle.dumps(config))):
        assert other.to_dict() == config.to_dict()
    assert (again.hidden_size, again.num_hidden_layers) == (24, 4)


def test_vocabularies_of_12_and_of_16_are_the_same_caduceus():
    small, large = CaduceusConfig(vocab_size=12), CaduceusConfig(vocab_size=16)
    assert small.vocab_size == large.vocab_size == 16
    assert small.complement == large.complement
    assert small.complement[7:16] == (10, 9, 8, 7, 11, 12, 13, 14, 15)


def test_the_complement_map_is_read_by_number_not_by_order():
    ordered = {str(index): other for index, other in enumerate(CaduceusConfig().complement)}
    sorted_as_text = dict(sorted(ordered.items()))
    assert list(sorted_as_text) != list(ordered)
    assert CaduceusConfig(complement_map=sorted_as_text).complement == CaduceusConfig().complement


def test_a_map_that_is_no_complement_is_refused():
    with pytest.raises(ValueError, match="its own inverse"):
        CaduceusConfig(complement_map={7: 8, 8: 9, 9: 7})
    with pytest.raises(ValueError, match="leaves the vocabulary"):
        CaduceusConfig(complement_map={7: 99})


def test_the_map_goes_to_the_file_as_a_table(tmp_path):
    CaduceusConfig().save_pretrained(tmp_path)
    table = json.loads((tmp_path / "config.json").read_text())["complement_map"]
    assert (table["7"], table["11"], len(table)) == (10, 11, 16)


def test_padding_is_4_where_a_file_does_not_say(golden):
    assert CaduceusConfig(pad_token_id=None).pad_token_id == 4
    assert "pad_token_id" not in golden("caduceus_ps_unfused").config


def test_only_hyena_limits_the_length():
    assert maximum_length(CaduceusConfig()) is None
    assert maximum_length(HyenaDNAConfig(max_seq_len=99)) == 99
    assert maximum_length(HyenaDNAConfig(mixer={"name": "mamba"})) is None
    assert maximum_length(CaduceusConfig(mixer={"name": "hyena", "l_max": 50})) == 50


def test_a_model_is_causal_only_if_nothing_sees_later_bases():
    assert HyenaDNAConfig().causal
    assert CaduceusConfig(bidirectional=False).causal
    assert not CaduceusConfig().causal
    assert not CaduceusConfig(bidirectional=False, rcps=True).causal
