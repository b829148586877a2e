"""Tensors out of original training checkpoints, without running any code that they name.

Such files are pickles that name classes of OmegaConf, Lightning and torchmetrics. Here every name
outside a short list of tensor builders stands for an inert placeholder; a file that names what
only an attack would name is refused as a whole, inert as it would be.
"""

import pickle
import re
import zipfile
from collections import OrderedDict, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from genolm.errors import InputError, UsageError
from genolm.models.backbone import GenolmModel

LABEL_HEAD = re.compile(r"^(score|kmer_term)\.")
HEAD = re.compile(rf"^lm_head\.|{LABEL_HEAD.pattern}")
# Lightning, distributed training and torch.compile each put a name of theirs before all others.
WRAPPERS = re.compile(r"^(?:(?:model|module|_orig_mod)\.)+")
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
# No framework's checkpoint has reason to name these, and whoever runs them owns the machine.
_HOSTILE_BUILTINS = frozenset(
    {"__import__", "breakpoint", "compile", "eval", "exec", "execfile", "input", "open"}
)
_HOSTILE_MODULES = frozenset(
    {
        "_pickle",
        "asyncio",
        "code",
        "codeop",
        "commands",
        "ctypes",
        "ftplib",
        "http",
        "importlib",
        "marshal",
        "nt",
        "os",
        "pdb",
        "pickle",
        "pip",
        "posix",
        "pty",
        "runpy",
        "shutil",
        "signal",
        "smtplib",
        "socket",
        "subprocess",
        "sys",
        "telnetlib",
        "timeit",
        "urllib",
        "webbrowser",
    }
)


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


class _HostileError(pickle.UnpicklingError):
    pass


class _Unpickler(pickle.Unpickler):
    def find_class(self, module_name: str, global_name: str, /) -> Any:
        if _is_hostile(module_name, global_name):
            raise _HostileError(f"{module_name}.{global_name}")
        return _ALLOWED.get((module_name, global_name), _Placeholder)


def _is_hostile(module_name: str, global_name: str) -> bool:
    if module_name in _BUILTIN_MODULES:
        return global_name.split(".")[0] in _HOSTILE_BUILTINS
    return module_name.split(".")[0] in _HOSTILE_MODULES


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read the tensors of a checkpoint.

    Args:
        path: File written by torch.save, by Lightning or otherwise.

    Returns:
        Name to tensor: those under "state_dict" if there is such a key, else those at the top.

    Raises:
        UsageError: If there is no such file.
        InputError: If the file is no such checkpoint, is damaged, holds no tensors, or asks for
            code to be run.
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
    except _HostileError as error:
        raise InputError(
            f"{path} is refused: it asks its reader to run {error}, which no checkpoint needs; "
            "nothing of it was run"
        ) from error
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


@dataclass(frozen=True)
class Filled:
    """What became of a model's tensors.

    Attributes:
        mapped: Those that the file holds.
        shared: Those that are another one's second name.
        derived: Those that follow from the config, where the file lacks them.
        initialised: Those of a head that the file does not have.
    """

    mapped: tuple[str, ...]
    shared: tuple[str, ...]
    derived: tuple[str, ...]
    initialised: tuple[str, ...]


def fill(model: GenolmModel, tensors: Mapping[str, Tensor], source: Path) -> Filled:
    """Load converted tensors into a fresh model, and put it in evaluation mode.

    Args:
        model: Fresh model.
        tensors: Name to tensor, named as the model's own.
        source: Where they come from, for messages.

    Returns:
        Which came from the file, and what became of the others: tensors that the config gives,
        weights that are shared, and a head may be absent.

    Raises:
        InputError: If a tensor of the backbone is missing, or one is left over or of another
            shape.
    """
    own = model.state_dict()
    _check_shapes(own, tensors, source)
    shared = own.keys() & set(model.all_tied_weights_keys)
    given = {name for name, _ in model.named_buffers()}
    if not getattr(model.config, "train_freq", True):  # the original keeps these nowhere
        given |= {name for name in own if name.endswith(".freq")}
    absent = own.keys() - tensors.keys() - shared
    heads = {key for key in absent - given if HEAD.match(key)}
    problems = {
        "holds, beyond this config,": tensors.keys() - own.keys(),
        "lacks": absent - given - heads,
    }
    for what, keys in problems.items():
        if keys:
            raise InputError(
                f"{source} {what} {len(keys)} tensors, such as {min(keys)}: the config says "
                f"n_layer {model.config.n_layer}, d_model {model.config.d_model}"
            )
    model.load_state_dict(dict(tensors), strict=False)
    nn.Module.train(model, False)
    parts = (own.keys() & tensors.keys(), shared - tensors.keys(), absent & given, heads)
    return Filled(*(tuple(sorted(part)) for part in parts))


def _check_shapes(own: Mapping[str, Tensor], tensors: Mapping[str, Tensor], source: Path) -> None:
    wrong = sorted(
        key for key in own.keys() & tensors.keys() if own[key].shape != tensors[key].shape
    )
    if wrong:
        first = wrong[0]
        raise InputError(
            f"{source}: {first} should be {tuple(own[first].shape)} by the config, but is "
            f"{tuple(tensors[first].shape)}"
            + (f"; {len(wrong) - 1} more tensors differ" if len(wrong) > 1 else "")
        )
