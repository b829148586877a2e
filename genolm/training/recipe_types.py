"""How a value written in YAML becomes the value a recipe key holds.

YAML is looser than a recipe may be: PyYAML reads ``1e-3`` as text and a contig called ``1`` as a
number, and Python counts ``true`` as 1. Each type here says what it takes and refuses the rest.
"""

from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)


class Section(BaseModel):
    """A mapping of a recipe: unknown keys are refused and values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _refuse_bool(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("a number is needed, not true or false")
    return value


def _read_whole_number(value: object) -> object:
    """Read ``1e6`` and ``1000.0`` as the whole numbers they are; leave the rest to pydantic."""
    if isinstance(_refuse_bool(value), str):
        try:
            value = float(str(value).replace("_", ""))
        except ValueError:
            raise ValueError(f"a whole number is needed, not {value!r}") from None
    if isinstance(value, float) and not value.is_integer():
        raise ValueError(f"a whole number is needed, not {value!r}")
    return value


def _read_name(value: object) -> object:
    return str(_refuse_bool(value)) if isinstance(value, int) else value


def _read_names(value: object) -> object:
    """Read one name as a list of one; a contig called ``1`` is a name, not a number."""
    listed = list(value) if isinstance(value, list | tuple) else [value]
    return None if value is None else tuple(_read_name(item) for item in listed)


def told_as(what: str) -> WrapValidator:
    """Say what a value of several kinds may be in one complaint, instead of one for each kind."""

    def check(value: Any, read: ValidatorFunctionWrapHandler) -> Any:
        try:
            return read(value)
        except ValidationError:
            raise ValueError(f"{what} is needed, not {value!r}") from None

    return WrapValidator(check)


Count = Annotated[int, BeforeValidator(_read_whole_number), Field(gt=0)]
Whole = Annotated[int, BeforeValidator(_read_whole_number), Field(ge=0)]
Positive = Annotated[float, BeforeValidator(_refuse_bool), Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, BeforeValidator(_refuse_bool), Field(ge=0, allow_inf_nan=False)]
Fraction = Annotated[float, BeforeValidator(_refuse_bool), Field(ge=0, le=1, allow_inf_nan=False)]
Share = Annotated[float, BeforeValidator(_refuse_bool), Field(gt=0, le=1, allow_inf_nan=False)]
Momentum = Annotated[float, BeforeValidator(_refuse_bool), Field(ge=0, lt=1, allow_inf_nan=False)]
Names = Annotated[tuple[str, ...], BeforeValidator(_read_names), Field(min_length=1)]
Name = Annotated[str, BeforeValidator(_read_name), Field(min_length=1)]
