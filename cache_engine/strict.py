"""What comes from outside is checked here, once: one strict base whose every complaint is one sentence."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError


class EngineError(Exception):
    """One sentence that says what is wrong and what to do."""


class Cancelled(Exception):
    """The run was stopped on request. Not an error."""


def whole(value: object) -> object:
    """Let 28.0 pass for 28 (sliders send it); everything else meets the strict check."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Whole = Annotated[int, BeforeValidator(whole)]
DIGITS = "^[01]*$"  # the pattern of a mask


class Strict(BaseModel):
    """Base of all that comes from outside: unknown keys, NaN, booleans for numbers and values out of range
    are EngineErrors.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)

    def __init__(self, **data: Any) -> None:
        try:
            super().__init__(**data)
        except ValidationError as error:
            raise EngineError(self._sentence(error)) from None

    def replaced(self, **changes: Any) -> Any:
        """A copy with some fields changed, validated like any other."""
        return type(self)(**{**self.model_dump(), **changes})

    @classmethod
    def _sentence(cls, error: ValidationError) -> str:
        first = error.errors()[0]
        field = str(first["loc"][0]) if first["loc"] else cls.__name__
        if first["type"] == "extra_forbidden":
            known = f"known are {', '.join(cls.model_fields)}" if cls.model_fields else "there is none here"
            return f"{field}: unknown field; {known}."
        if first["type"] == "missing":
            return f"{field}: missing; give it a value."
        return f"{field}: {short_repr(first['input'])} is not valid; {cls._wanted(field, one=len(first['loc']) > 1)}"

    @classmethod
    def _wanted(cls, field: str, *, one: bool) -> str:
        """``one``: it is one of the field's list that is wrong, not the list."""
        wanted = cls.model_json_schema()["properties"].get(field, {})
        if one and wanted.get("items", {}).get("type") == "string":
            wanted = wanted["items"]
        wanted = wanted | next((kind for kind in wanted.get("anyOf", ()) if kind.get("type") != "null"), {})
        if "enum" in wanted:
            return f"choose one of {', '.join(map(str, wanted['enum']))}."
        if wanted.get("type") in ("integer", "number"):
            kind = "a whole number" if wanted["type"] == "integer" else "a number"
            low, high = wanted.get("minimum", wanted.get("ge")), wanted.get("maximum", wanted.get("le"))
            return f"choose {kind} from {low} to {high}."
        if "maxItems" in wanted:
            return f"give a list of at most {wanted['maxItems']}."
        if wanted.get("pattern") == DIGITS:
            return f"give ones and zeros alone, at most {wanted['maxLength']}."
        if "maxLength" in wanted:
            return f"give a text of {wanted.get('minLength', 0)} to {wanted['maxLength']} characters."
        return f"give a value of type {wanted.get('type', 'as documented')}."


def short_repr(value: object) -> str:
    """A value as an error message shows it: short, on one line."""
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
