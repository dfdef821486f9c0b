"""What every table of the configuration has in common: frozen, strict, no unknown keys, x_ keys kept aside."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ModelWrapValidatorHandler, PrivateAttr, model_validator

EXTENSION_PREFIX = "x_"


class Table(BaseModel):
    """A table: its fields are its keys, spelled alike; `x_` keys are left to the user's modules."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, validate_default=False)

    _extensions: Mapping[str, Any] = PrivateAttr(default_factory=dict)

    @property
    def extensions(self) -> Mapping[str, Any]:
        """The table's keys that begin with x_, as they stand in the file."""
        return self._extensions

    @model_validator(mode="wrap")
    @classmethod
    def set_extensions_aside(cls, data: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        """Unknown keys are refused, except those that begin with x_."""
        if not isinstance(data, dict):
            return handler(data)
        aside = {key: value for key, value in data.items() if key.startswith(EXTENSION_PREFIX)}
        if not aside:
            return handler(data)
        table = handler({key: value for key, value in data.items() if key not in aside})
        table._extensions = aside
        return table
