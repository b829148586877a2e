import pytest
import torch

from genolm.errors import UsageError
from genolm.scoring.runtime import Runtime


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"device": "tpu"}, "--device tpu: choose one of auto, cpu, cuda"),
        ({"dtype": "int8"}, "--dtype int8: choose one of float32, bfloat16, float16"),
        ({"batch_size": 0}, "--batch-size 0: at least 1, or auto"),
        ({"threads": 0}, "--threads 0: at least 1"),
    ],
)
def test_a_wrong_option_is_named_with_its_choices(options, message):
    with pytest.raises(UsageError, match=message):
        Runtime(**options).check()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
def test_cuda_where_there_is_none_is_wrong_usage():
    with pytest.raises(UsageError, match="no CUDA device"):
        Runtime(device="cuda").check()


def test_a_model_is_loaded_for_evaluation_with_the_threads_asked_for(model_folders):
    model, tokenizer = Runtime(device="cpu", threads=2).load(str(model_folders / "ps"))
    assert torch.get_num_threads() == 2
    assert not model.training
    assert tokenizer.mask_token_id == 3
