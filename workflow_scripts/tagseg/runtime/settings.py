"""The base of every settings model: the configuration and the `--settings` of a stage share them."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


class Settings(BaseModel):
    """Settings of a stage: immutable, no unknown keys, no type conversion (`2.0` is not an integer)."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


def _without_repeats(items: list) -> list:
    if len(set(items)) < len(items):
        raise ValueError("an item occurs twice")
    return items


Distinct = AfterValidator(_without_repeats)
Precision = Literal["auto", "float32", "bfloat16"]
InputSize = Annotated[int, Field(ge=32, le=4096)]
InputSizes = Annotated[list[InputSize], Field(min_length=1, max_length=16), Distinct]
"""Sides of square network inputs, pixels."""
Seed = Annotated[int, Field(ge=0, le=2**32 - 1)]
