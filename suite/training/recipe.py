"""Recipes: everything a training run depends on, frozen and checked before anything starts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from suite.errors import RecipeError
from suite.training.precision import fastest_precision


class Recipe(BaseModel):
    """What every network's recipe has in common; each network adds its own fields.

    Two runs of one recipe on the same data and machine give the same weights.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    seed: int = Field(0, ge=0, description="of initialisation, order, augmentation and dropout")
    split_seed: int = Field(0, ge=0, description="of the patient-wise split")
    size: int = Field(256, ge=32, le=2048, description="side of the square network input in pixels")
    epochs: int = Field(20, ge=1)
    batch_size: int = Field(8, ge=1)
    learning_rate: float = Field(1e-3, gt=0)
    weight_decay: float = Field(1e-4, ge=0)
    warmup: float = Field(0.05, ge=0, lt=1, description="share of the steps with a rising learning rate")
    ema_decay: float = Field(0.0, ge=0, lt=1, description="of the weights' moving average; 0 = none")
    precision: Literal["auto", "32-true", "bf16-mixed", "16-mixed"] = Field(
        "auto", description="auto: what this machine is quick at, written out in the run's card"
    )
    workers: int = Field(0, ge=0, description="loader processes; the result does not depend on it")
    limit: int = Field(0, ge=0, description="use at most this many training records; 0 = all")
    validate_every: int = Field(1, ge=1, description="epochs between two validations")
    patience: int = Field(0, ge=0, description="stop after so many epochs without a better figure; 0 = never")

    @model_validator(mode="before")
    @classmethod
    def _settle_precision(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("precision", "auto") == "auto":
            own = cls.model_fields["precision"].default  # the gate insists on single precision
            return {**values, "precision": fastest_precision() if own == "auto" else own}
        return values

    @classmethod
    def from_settings(cls, settings: Sequence[str]) -> Self:
        """The default recipe with ``key=value`` settings applied.

        Raises:
            RecipeError: a key is unknown, a value is of the wrong type or outside its range.
        """
        values: dict[str, str] = {}
        for setting in settings:
            key, separator, value = setting.partition("=")
            if not separator:
                raise RecipeError(
                    f"--set {setting!r} is not of the form key=value; for example --set epochs=5."
                )
            values[key.strip()] = value.strip()
        return cls.checked(values)

    @classmethod
    def defaults(cls) -> dict[str, Any]:
        """Every key at its default."""
        return {key: field.default for key, field in cls.model_fields.items()}

    @classmethod
    def checked(cls, values: object) -> Self:
        """A recipe from a mapping of names to values (strings are converted).

        Raises:
            RecipeError: as for ``from_settings``.
        """
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise RecipeError(_sentence(cls, error)) from None


def _sentence(recipe: type[Recipe], error: ValidationError) -> str:
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"]) or "recipe"
    if first["type"] == "extra_forbidden":
        return f"recipe key {key!r} is unknown; use one of {', '.join(sorted(recipe.model_fields))}."
    wanted = getattr(recipe.model_fields.get(key), "description", None)
    if first["type"] == "string_pattern_mismatch" and wanted:
        return f"recipe key {key!r} has the value {first['input']!r}; wanted: {wanted}."
    reason = f"{first['msg'][0].lower()}{first['msg'][1:]}"
    return f"recipe key {key!r} has the value {first['input']!r}: {reason}; correct it."
