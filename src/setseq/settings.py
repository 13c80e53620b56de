"""What all settings share: frozen, keyword-only, checked, with errors of one line."""

from collections.abc import Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ModelWrapValidatorHandler, ValidationError
from pydantic import model_validator as validator

from setseq.errors import SettingsError


class Settings(BaseModel):
    """What all settings share: frozen, nothing unknown, errors of one line."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @validator(mode="wrap")
    @classmethod
    def _one_line(cls, data: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        try:
            return handler(data)
        except ValidationError as error:
            raise SettingsError(_explained(error, sorted(cls.model_fields))) from error

    @classmethod
    def resolve(cls, *layers: Mapping[str, Any]) -> Self:
        """Settings from several layers, the later ones winning; None means not given.

        Raises:
            SettingsError: an unknown setting, or a value out of its range.
        """
        merged: dict[str, Any] = {}
        for layer in layers:
            merged |= {name: value for name, value in layer.items() if value is not None}
        return cls.model_validate(merged)


def _explained(error: ValidationError, known: list[str]) -> str:
    first = error.errors()[0]
    name = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return f"unknown setting {name!r}; known: {', '.join(known)}"
    message = first["msg"].removeprefix("Value error, ")
    message = message[0].lower() + message[1:].replace("valid tuple", "valid list")
    return f"setting {name} is {first['input']!r}; {message}"
