"""Recipes as files: find one, read it, apply ``key=value`` overrides, and say what is wrong.

Every complaint is a :class:`~genolm.errors.UsageError` of one line that names the file, the dotted
key and, for a key that does not exist, the nearest one that does.
"""

import difflib
import os
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

import genolm
from genolm.bundled import bundled_models
from genolm.errors import UsageError
from genolm.training.recipe_finetune import FinetuneRecipe
from genolm.training.recipe_keys import list_keys
from genolm.training.recipe_pretrain import PretrainRecipe

Recipe = TypeVar("Recipe", PretrainRecipe, FinetuneRecipe)
Checked = TypeVar("Checked", bound=BaseModel)


FOLDERS = {
    "pretrain": ["pretrain/", "published/"],
    "finetune": ["finetune/", "finetune/genomic_benchmarks/", "finetune/nucleotide_transformer/"],
    "evaluate": ["evaluate/"],
}
"""Where a recipe of each kind is looked for when its folder is left out."""

REASONS = {
    "dict_type": "must be a section of keys and values",
    "path_type": "must be the name of a file or folder",
    "tuple_type": "must be a list",
    "too_short": "must hold at least one name",
    "model_type": "must be a section of keys and values",
}
"""In our words what pydantic says in those of a programmer."""


class _RecipeLoader(yaml.SafeLoader):
    """YAML in which a key may stand once: PyYAML would silently keep the last."""

    def construct_mapping(
        self, node: yaml.MappingNode, deep: bool = False
    ) -> dict[Hashable, object]:
        seen: set[object] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    problem=f"the key {key} stands twice", problem_mark=key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep=deep)


def load_pretrain_recipe(path: str | Path, overrides: Sequence[str] = ()) -> PretrainRecipe:
    """Read a pretraining recipe.

    Args:
        path: A YAML file, or the name of a shipped recipe (``yeast_caduceus``).
        overrides: ``key=value`` each, the key dotted (``train.steps=100``), the value YAML.

    Returns:
        The recipe, checked; nothing it names has been opened, but every file has been seen.

    Raises:
        UsageError: When the file, a key, a value or a file that the recipe names is wrong.
    """
    source = find_recipe(path, "pretrain")
    recipe = _parse(PretrainRecipe, source, overrides)
    _require_files(source, recipe, ("model.path", "data.fasta", "data.bed"))
    for number, genome in enumerate(recipe.data.genomes):
        for key in ("fasta", "bed"):
            _require_file(source, f"data.genomes.{number}.{key}", getattr(genome, key))
    return recipe


def load_finetune_recipe(path: str | Path, overrides: Sequence[str] = ()) -> FinetuneRecipe:
    """Read a fine-tuning recipe; arguments and errors as for :func:`load_pretrain_recipe`."""
    source = find_recipe(path, "finetune")
    recipe = _parse(FinetuneRecipe, source, overrides)
    files = ("model.path", "data.fasta", "data.train", "data.test", "data.valid")
    _require_files(source, recipe, files)
    return recipe


def recipes_folder() -> Path:
    """Return the folder of the shipped recipes: in an installed wheel, or beside the package."""
    package = Path(genolm.__file__).parent
    packaged = package / "_recipes"
    return packaged if packaged.is_dir() else package.parent / "recipes"


def shipped_recipes() -> dict[str, Path]:
    """Return every shipped recipe by name: ``pretrain/yeast_caduceus``, ``smoke/...``."""
    folder = recipes_folder()
    return {
        file.relative_to(folder).with_suffix("").as_posix(): file
        for file in sorted(folder.rglob("*.yaml"))
    }


def find_recipe(path: str | Path, kind: str | None = None) -> Path:
    """Return the file of a recipe given by path or by shipped name.

    Args:
        path: A file, or a shipped name in full (``pretrain/yeast_caduceus``) or without its folder.
        kind: Whose folders to look in, "pretrain", "finetune" or "evaluate"; None for all.

    Returns:
        The file.

    Raises:
        UsageError: When there is neither such a file nor such a recipe.
    """
    file = Path(path)
    if file.is_file():
        return file
    shipped = shipped_recipes()
    every = [folder for folders in FOLDERS.values() for folder in folders]
    folders = FOLDERS[kind] if kind else every
    for prefix in ("", *folders):
        if (found := shipped.get(f"{prefix}{path}")) is not None:
            return found
    if file.is_dir():
        raise UsageError(f"{file}: a recipe file is needed, and this is a folder")
    near = difflib.get_close_matches(str(path), _every_spelling(shipped), n=1)
    hint = f"; did you mean {near[0]}?" if near else " (`genolm recipes list` names those)"
    raise UsageError(
        f"{path}: there is no such recipe file and no shipped recipe of that name{hint}"
    )


def describe_recipe(file: Path) -> str:
    """Return the first line of a recipe's header comment."""
    first = file.read_text(encoding="utf-8").partition("\n")[0]
    return first.removeprefix("#").strip()


def _every_spelling(shipped: Mapping[str, Path]) -> list[str]:
    return [*shipped, *(name.split("/")[-1] for name in shipped)]


def _parse(kind: type[Recipe], source: Path, overrides: Sequence[str]) -> Recipe:
    values = read_yaml(source)
    for override in overrides:
        apply_override(values, override)
    return check_values(kind, values, source)


def check_values(kind: type[Checked], values: Mapping[str, object], source: str | Path) -> Checked:
    """Return what a mapping of keys says, checked.

    Args:
        kind: Of recipe.
        values: As in a YAML file.
        source: Where they are from, for messages.

    Raises:
        UsageError: A key or a value is wrong.
    """
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        complaints = [_explain(kind, detail) for detail in _most_telling(error.errors())]
        raise UsageError(f"{source}: {'; '.join(complaints)}") from None


def read_yaml(source: Path) -> dict[str, object]:
    """Return the mapping of a YAML file.

    Raises:
        UsageError: It is no YAML, no mapping, or has a key twice.
    """
    try:
        values = yaml.load(source.read_text(encoding="utf-8"), _RecipeLoader)
    except UnicodeDecodeError:
        raise UsageError(f"{source}: not a text file in UTF-8") from None
    except yaml.MarkedYAMLError as error:
        line = f":{error.problem_mark.line + 1}" if error.problem_mark else ""
        raise UsageError(f"{source}{line}: not valid YAML: {error.problem}") from None
    except yaml.YAMLError as error:
        raise UsageError(f"{source}: not valid YAML: {error}") from None
    if not isinstance(values, dict):
        raise UsageError(f"{source}: a recipe is a mapping with model, data, train and output")
    return values


def apply_override(values: dict[str, object], override: str) -> None:
    """Set one dotted key of ``values`` from ``key=value``.

    Raises:
        UsageError: It is not written so, or a part of the key holds a value and no section.
    """
    dotted, equals, text = override.partition("=")
    keys = dotted.strip().split(".")
    if not equals or not all(keys):
        raise UsageError(f"{override!r}: an override is written key=value, as train.steps=100")
    try:
        value = yaml.load(text, _RecipeLoader)
    except yaml.YAMLError:
        raise UsageError(f"{override!r}: the value is not valid YAML") from None
    section = values
    for key in keys[:-1]:
        inner = section.get(key)
        if inner is None:
            inner = section[key] = {}
        if not isinstance(inner, dict):
            raise UsageError(f"{override!r}: {key} holds a value, not a section")
        section = inner
    section[keys[-1]] = value


def _most_telling(details: Sequence[ErrorDetails]) -> Sequence[ErrorDetails]:
    """Misspelt keys alone when there are any: what else is wrong mostly follows from them."""
    return [detail for detail in details if detail["type"] == "extra_forbidden"] or details


def _explain(kind: type[BaseModel], detail: ErrorDetails) -> str:
    dotted = ".".join(str(part) for part in detail["loc"])
    if detail["type"] == "extra_forbidden":
        return _unknown_key(kind, detail["loc"])
    if detail["type"] == "missing":
        return f"{dotted} is required and is not there"
    if detail["type"] == "missing_key":
        return f"{dotted}.{detail['ctx']['key']} is required and is not there"
    if detail["type"] == "value_error":
        return f"{dotted}: {detail['ctx']['error']}".removeprefix(": ")
    reason = REASONS.get(detail["type"], detail["msg"].replace("Input should", "must"))
    return f"{dotted} {reason}, not {detail['input']!r}"


def _unknown_key(kind: type[BaseModel], location: tuple[int | str, ...]) -> str:
    """Name the unknown key and the nearest known one, in its own section first."""
    dotted = ".".join(str(part) for part in location)
    named = ".".join(part for part in location if isinstance(part, str))  # no numbers of items
    known = sorted(key for key, _ in list_keys(kind))
    section = named.rpartition(".")[0]
    here = [key for key in known if key.rpartition(".")[0] == section]
    last_part = {key.rpartition(".")[2]: key for key in reversed(known)}
    word = named.rpartition(".")[2]
    near = difflib.get_close_matches(named, here, n=1) or [
        last_part[name] for name in difflib.get_close_matches(word, last_part, n=1)
    ]
    choices = ", ".join(key.rpartition(".")[2] for key in here)
    hint = f"did you mean {near[0]}?" if near else f"known here: {choices}"
    return f"{dotted} is not a key of a recipe; {hint}"


def _require_files(source: Path, recipe: BaseModel, dotted_keys: Sequence[str]) -> None:
    for dotted in dotted_keys:
        section, key = dotted.split(".")
        path = getattr(getattr(recipe, section), key)
        if dotted == "model.path" and str(path) in bundled_models():
            continue
        _require_file(source, dotted, path)


def _require_file(source: Path, dotted: str, path: Path | None) -> None:
    if path is not None and not os.path.lexists(path):
        raise UsageError(f"{source}: {dotted}: there is no file or folder {path}")
