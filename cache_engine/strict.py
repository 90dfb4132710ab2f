"""The base class of every record that holds input from outside, and the engine's two exceptions."""

from __future__ import annotations

import re
import reprlib
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

LONGEST_SENTENCE = 4_000  # characters of an error; the list of described transformers takes half of these


class EngineError(Exception):
    """An error for the user, in one sentence that names the cause and the remedy.

    A sentence may quote what a visitor sent: a longer sentence loses its middle, and is made ``writable``.
    """

    def __init__(self, sentence: str) -> None:
        if len(sentence) > LONGEST_SENTENCE:
            half = LONGEST_SENTENCE // 2
            sentence = f"{sentence[:half]} ... {sentence[-half:]}"
        super().__init__(writable(sentence))


class Cancelled(Exception):
    """Raised when the user stopped the run. A cancelled run is not an error."""


def whole(value: object) -> object:
    """Turn a float such as 28.0 into 28, because sliders send floats. The strict check
    then sees an integer.
    """
    return int(value) if isinstance(value, float) and value.is_integer() else value


Whole = Annotated[int, BeforeValidator(whole)]
DIGITS = "^[01]*$"  # the pattern of a mask


class Strict(BaseModel):
    """A frozen record that raises EngineError for unknown keys, wrong types, NaN, and values out of range.

    A boolean is not accepted as a number.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)

    # ``/``: a key that is called "self" is an unknown field too, and not a second value of the first argument
    def __init__(self, /, **data: Any) -> None:
        try:
            super().__init__(**data)
        except ValidationError as error:
            raise EngineError(self._sentence(error)) from None

    def replaced(self, /, **changes: Any) -> Any:
        """Return a copy with some fields changed. The copy is validated too."""
        return type(self)(**{**self.model_dump(), **changes})

    @classmethod
    def _sentence(cls, error: ValidationError) -> str:
        first = error.errors()[0]
        field = one_line(str(first["loc"][0]))[:60] if first["loc"] else cls.__name__
        if first["type"] == "extra_forbidden":
            known = (
                f"known fields are {', '.join(cls.model_fields)}"
                if cls.model_fields
                else "this record has no fields"
            )
            return f"{field}: unknown field; {known}."
        if first["type"] == "missing":
            return f"{field}: missing; give it a value."
        wanted = cls._wanted(field, of_item=len(first["loc"]) > 1)
        return f"{field}: {short_repr(first['input'])} is not valid; {wanted}"

    @classmethod
    def _wanted(cls, field: str, *, of_item: bool) -> str:
        """Describe the values that the field accepts. ``of_item``: True if an item of the field's list is
        wrong, not the list.
        """
        wanted = cls.model_json_schema()["properties"].get(field, {})
        if of_item and wanted.get("items", {}).get("type") == "string":
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
            return f"give ones and zeros only, at most {wanted['maxLength']}."
        if "maxLength" in wanted:
            return f"give a text of {wanted.get('minLength', 0)} to {wanted['maxLength']} characters."
        return f"give a value of type {wanted.get('type', 'as documented')}."


def writable(text: str) -> str:
    """Return the text with lone surrogates, which JSON may hold and no encoding can write, as escapes."""
    return text.encode(errors="backslashreplace").decode()


def lines_of(text: str) -> list[str]:
    """Return the lines of a text, stripped, without the empty ones.

    A line ends at ``\\n`` or ``\\r\\n`` alone. ``str.splitlines`` also splits at U+2028 and others, which
    texts and JSON strings may hold.
    """
    return [line.strip() for line in text.split("\n") if line.strip()]


def first_line(error: BaseException, most: int = 160) -> str:
    """Return the type of an error and the first line of its message, to be named in a sentence."""
    lines = lines_of(str(error))
    text = one_line(lines[0])[:most].rstrip(".: ") if lines else ""
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def one_line(text: str) -> str:
    """Return the text with its line breaks and other control characters written as escapes."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]", lambda found: repr(found[0])[1:-1], text)


_BRIEF = reprlib.Repr()
_BRIEF.maxlist = _BRIEF.maxtuple = _BRIEF.maxdict = _BRIEF.maxset = _BRIEF.maxstring = _BRIEF.maxother = 60


def short_repr(value: object, most: int = 40) -> str:
    """Return a value as an error message shows it: on one line, with at most ``most`` characters."""
    text = repr(value[:most]) if isinstance(value, str) else _BRIEF.repr(value)
    return text if len(text) <= most else f"{text[: most - 3]}..."
