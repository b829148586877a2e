"""Weights, gradients and moments shared out over the processes (`train.sharding: fsdp`).

PyTorch's FSDP2 does it: every process keeps its rows of each tensor, and a block's weights exist
whole only while it runs. What is written and published are whole tensors, in the files of any
other run: a checkpoint can be gone on from with and without sharding.
"""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor
from transformers import PreTrainedModel
from transformers.trainer import OPTIMIZER_NAME, SCHEDULER_NAME

from genolm.errors import UsageError
from genolm.models.backbone import Backbone
from genolm.training.ranks import Ranks
from genolm.training.trainer import RunTrainer


def check_sharding(wanted: bool, ranks: Ranks) -> None:
    """Refuse to share weights out where nobody is there to take them.

    Raises:
        UsageError: There is only one process.
    """
    if wanted and ranks.size == 1:
        raise UsageError("train.sharding: fsdp needs several processes; start it with torchrun")


def shard_weights(model: PreTrainedModel, device: torch.device, ranks: Ranks) -> None:
    """Leave this process its share of a model's weights, in place.

    Args:
        model: On its device, with the same weights in every process.
        device: Of the model.
        ranks: The processes, at least two.
    """
    mesh = init_device_mesh(device.type, (ranks.size,))
    for backbone in model.modules():
        if isinstance(backbone, Backbone):
            for block in backbone.layers:
                fully_shard(block, mesh=mesh)
    fully_shard(model, mesh=mesh)
    # The trainer's library leaves such a model as it is, instead of wrapping it for copies.
    model._is_accelerate_prepared = True  # type: ignore[assignment]  # accelerate's own mark


def join_weights(model: PreTrainedModel) -> PreTrainedModel:
    """Return a model with whole weights, the same one if they are; all processes come here."""
    if not isinstance(model, FSDPModule):
        return model
    kind: Any = next(kind for kind in type(model).__mro__ if not issubclass(kind, FSDPModule))
    whole: PreTrainedModel = kind(model.config)
    nn.Module.to(whole, model.device)
    whole.load_state_dict(_join(model.state_dict()))
    return whole


def _join(state: Any) -> Any:
    """Gather every tensor of a state dictionary, in the order in which they stand there."""
    if isinstance(state, dict):
        return {key: _join(value) for key, value in state.items()}
    return state.full_tensor() if isinstance(state, DTensor) else state


class ShardingTrainer(RunTrainer):
    """A trainer of a model after `shard_weights`, which writes and reads whole tensors."""

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """Write the weights; every process gives its share, and the first one writes."""
        model: Any = self.model
        weights = _join(model.state_dict())
        if self.args.should_save:
            for name in model.all_tied_weights_keys:  # stored once, under the other name
                weights.pop(name, None)
            self._save(output_dir, state_dict=weights)

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        assert self.optimizer is not None
        assert self.lr_scheduler is not None
        moments = _join(self.optimizer.state_dict())
        if self.args.should_save:
            torch.save(moments, Path(output_dir) / OPTIMIZER_NAME)
            torch.save(self.lr_scheduler.state_dict(), Path(output_dir) / SCHEDULER_NAME)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        """Do nothing: the weights were read before they were shared out."""

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        if checkpoint is None:
            return
        assert self.optimizer is not None
        assert self.lr_scheduler is not None
        state = torch.load(Path(checkpoint) / OPTIMIZER_NAME, map_location="cpu", weights_only=True)
        parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        for index, moments in state["state"].items():
            state["state"][index] = {
                name: _like(value, parameters[index]) for name, value in moments.items()
            }
        self.optimizer.load_state_dict(state)
        self.lr_scheduler.load_state_dict(
            torch.load(Path(checkpoint) / SCHEDULER_NAME, weights_only=True)
        )


def _like(value: Any, parameter: Tensor) -> Any:
    """Share a moment out as its parameter is; a step count stays as it is."""
    if not isinstance(parameter, DTensor) or getattr(value, "shape", None) != parameter.shape:
        return value
    value = value.to(parameter.device)
    mesh, places = parameter.device_mesh, parameter.placements
    # Every process has the whole of it, and takes its share.
    return distribute_tensor(value, mesh, places, src_data_rank=None)
