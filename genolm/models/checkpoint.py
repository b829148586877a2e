"""Tensors out of original training checkpoints, without running any code that they name.

Such files are pickles that name classes of OmegaConf, Lightning and torchmetrics. Here every name
outside a short list of tensor builders stands for an inert placeholder.
"""

import pickle
import zipfile
from collections import OrderedDict, defaultdict
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from genolm.errors import InputError, UsageError
from genolm.models.backbone import GenolmModel

_BUILTINS = {"dict": dict, "list": list, "set": set, "int": int, "long": int, "float": float}
# Protocol 2, which torch writes, calls the module by its old name.
_BUILTIN_MODULES = ("builtins", "__builtin__")
_ALLOWED: dict[tuple[str, str], Any] = {
    ("torch._utils", "_rebuild_tensor_v2"): torch._utils._rebuild_tensor_v2,
    ("torch._utils", "_rebuild_parameter"): torch._utils._rebuild_parameter,
    ("collections", "OrderedDict"): OrderedDict,
    ("collections", "defaultdict"): defaultdict,
    **{(module, name): kind for module in _BUILTIN_MODULES for name, kind in _BUILTINS.items()},
}


class _Placeholder:
    """Takes whatever a pickle does to an object, and keeps none of it."""

    def __new__(cls, *args: object, **kwargs: object) -> "_Placeholder":
        return super().__new__(cls)

    def __init__(self, *args: object, **kwargs: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        pass

    def __setitem__(self, key: object, value: object) -> None:
        pass

    def append(self, value: object) -> None:
        pass

    def extend(self, values: object) -> None:
        pass

    def add(self, value: object) -> None:
        pass


class _Unpickler(pickle.Unpickler):
    def find_class(self, module_name: str, global_name: str, /) -> Any:
        return _ALLOWED.get((module_name, global_name), _Placeholder)


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read the tensors of a checkpoint.

    Args:
        path: File written by torch.save, by Lightning or otherwise.

    Returns:
        Name to tensor: those under "state_dict" if there is such a key, else those at the top.

    Raises:
        UsageError: If there is no such file.
        InputError: If the file is no such checkpoint, is damaged, or holds no tensors.
    """
    if not path.is_file():
        raise UsageError(f"no checkpoint {path}")
    if not zipfile.is_zipfile(path):
        raise InputError(f"{path} is no checkpoint that torch wrote, or it is cut short")
    with zipfile.ZipFile(path) as archive:
        if any(Path(name).name == "constants.pkl" for name in archive.namelist()):
            raise InputError(f"{path} is a TorchScript program, not a checkpoint")
    reader = SimpleNamespace(Unpickler=_Unpickler, __name__="genolm")
    try:
        content = torch.load(path, map_location="cpu", pickle_module=reader, weights_only=False)
    except (RuntimeError, pickle.UnpicklingError, EOFError, TypeError, AttributeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{path} cannot be read as a checkpoint: {reason}") from error
    if isinstance(content, Mapping) and isinstance(content.get("state_dict"), Mapping):
        content = content["state_dict"]
    tensors = content.items() if isinstance(content, Mapping) else ()
    named = {key: value for key, value in tensors if isinstance(value, Tensor)}
    if not named:
        raise InputError(f"{path} holds no named tensors")
    return {str(key): value.detach() for key, value in named.items()}


def fill(model: GenolmModel, tensors: Mapping[str, Tensor], source: Path) -> None:
    """Load converted tensors into a fresh model.

    Tensors that the config gives, and weights that are shared, may be absent.

    Raises:
        InputError: If a tensor is missing, left over, or of another shape.
    """
    own = model.state_dict()
    shapes = [key for key, value in tensors.items() if key in own and own[key].shape != value.shape]
    shared = set(model.all_tied_weights_keys)
    buffers = {name for name, _ in model.named_buffers()}
    problems = {
        "has other shapes for": shapes,
        "has, beyond this config,": sorted(tensors.keys() - own.keys()),
        "lacks": sorted(own.keys() - tensors.keys() - shared - buffers),
    }
    for what, keys in problems.items():
        if keys:
            raise InputError(f"{source} {what} {len(keys)} tensors, such as {keys[0]}")
    model.load_state_dict(dict(tensors), strict=False)
    nn.Module.train(model, False)
