"""How values become the text a history stores, and values again.

`ExtendedTypeSerDes`, the default inside a handler, stores plain values as ordinary JSON and tags everything else:
`{"t": tag, "v": …}` with every nested value tagged likewise. The tags of the AWS SDK are kept (n s i f b B u d dt D t
l m); ours are `mk` (a dict whose keys are not all strings), `set`, `fset`, `tm`, `td`, and, restored only from the
allow-list in `type_registry`, `dc` dataclass, `en` enum, `nt` named tuple, `pm` Pydantic model and `ex` exception.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from durable_engine.sdk import extended_types
from durable_engine.sdk.exceptions import SerDesError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class SerDesContext:
    """Whose value is being stored."""

    operation_id: str = ""
    durable_execution_arn: str = ""


class SerDes(ABC, Generic[T]):
    """A pair of functions between values and text. Must be deterministic: replay reads what was once written."""

    @abstractmethod
    def serialize(self, value: T, serdes_context: SerDesContext) -> str:
        """Return the text to store; raise for a value that cannot be stored."""

    @abstractmethod
    def deserialize(self, data: str, serdes_context: SerDesContext) -> T:
        """Return the value of a stored text."""


class PassThroughSerDes(SerDes[str]):
    """Stores strings as they are; the default for callback results."""

    def serialize(self, value: str, serdes_context: SerDesContext) -> str:
        """Return the string itself."""
        if not isinstance(value, str):
            raise SerDesError(f"PassThroughSerDes stores strings only, not {type(value).__name__}; give another serdes")
        return value

    def deserialize(self, data: str, serdes_context: SerDesContext) -> str:
        """Return the text itself."""
        return data


class JsonSerDes(SerDes[Any]):
    """Ordinary JSON: tuples come back as lists, dict keys as strings. The default for results of handlers."""

    def serialize(self, value: Any, serdes_context: SerDesContext) -> str:
        """Return JSON text.

        Raises:
            SerDesError: a value inside is not a JSON built-in, or is NaN or infinite.
        """
        try:
            return json.dumps(value, allow_nan=False)
        except (TypeError, ValueError, RecursionError) as error:
            raise SerDesError(f"{error}; JSON holds dict, list, str, int, float, bool and None") from error

    def deserialize(self, data: str, serdes_context: SerDesContext) -> Any:
        """Return the decoded JSON."""
        return json.loads(data)


class ExtendedTypeSerDes(SerDes[Any]):
    """JSON that also keeps datetimes, Decimals, UUIDs, bytes, tuples, sets, dataclasses, enums and Pydantic models."""

    def serialize(self, value: Any, serdes_context: SerDesContext) -> str:
        """Return JSON text.

        Raises:
            SerDesError: a type is not supported or not registered; names the type, its place and the fix.
        """
        return extended_types.encode(value)

    def deserialize(self, data: str, serdes_context: SerDesContext) -> Any:
        """Return the value; an unknown tag or a class outside the allow-list is a SerDesError."""
        return extended_types.decode(data)


DEFAULT_JSON_SERDES = JsonSerDes()
EXTENDED_TYPES_SERDES = ExtendedTypeSerDes()
PASS_THROUGH_SERDES = PassThroughSerDes()
