"""What an action says about itself: its parameters are checked against this, and the OpenAPI document is made of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from durable_engine.api.errors import invalid_parameter

Schema = Mapping[str, Any]

TEXT: Final[Schema] = {"type": "string"}
WHOLE: Final[Schema] = {"type": "integer"}
NUMBER: Final[Schema] = {"type": "number"}
TRUTH: Final[Schema] = {"type": "boolean"}
OBJECT: Final[Schema] = {"type": "object"}
LIST: Final[Schema] = {"type": "array"}
MOMENT: Final[Schema] = {"type": "string", "format": "date-time"}
ANY: Final[Schema] = {}
_TYPES: Final[Mapping[str, tuple[type, ...]]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "object": (dict,),
    "array": (list,),
}


@dataclass(frozen=True, slots=True)
class Documented:
    """One action. `answer` is a schema, or the name of one of `components`; `body` None means that it takes none.

    `schemas` are those of `components` that it adds; `errors` names the one of its refusals.
    """

    tag: str
    summary: str
    answer: str | Schema
    status: int = 200
    query: Mapping[str, Schema] = field(default_factory=dict)
    body: Mapping[str, Schema] | None = None
    required: tuple[str, ...] = ()
    headers: Mapping[str, Schema] = field(default_factory=dict)
    errors: str = "Error"
    schemas: Mapping[str, Schema] = field(default_factory=dict)

    def check(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Return the fields of a body that are there.

        Raises:
            ApiError: one is unknown, missing, or of another type.
        """
        known = self.body or {}
        if unknown := sorted(fields.keys() - known.keys()):
            there = f"There are {', '.join(known)}." if known else "There are none."
            raise invalid_parameter(f"body: {unknown[0][:60]!r} is no field of it. {there}")
        given = {name: value for name, value in fields.items() if value is not None}
        # JSON null is a value where any value is one.
        given |= {name: None for name in fields if name not in given and not known[name].get("type")}
        for name, value in given.items():
            _check_type(name, value, known[name].get("type"))
        if missing := [name for name in self.required if name not in given]:
            raise invalid_parameter(f"{missing[0]} is missing from the body.")
        return given


def _check_type(name: str, value: Any, wanted: str | None) -> None:
    if wanted is None:
        return
    # A truth value is an int for Python, and nowhere else.
    if not isinstance(value, _TYPES[wanted]) or (isinstance(value, bool) and wanted != "boolean"):
        article = "an" if wanted[0] in "aeiou" else "a"
        raise invalid_parameter(f"{name} must be {article} {wanted}.")
