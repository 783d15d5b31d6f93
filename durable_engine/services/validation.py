"""What may enter the engine from outside: JSON inputs, names, tags, durations, reasons and error objects."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from durable_engine.sdk.config import MAX_TENANT_ID
from durable_engine.services.exceptions import InvalidInput

MAX_INPUT_BYTES: Final = 6_291_456  # 6 MiB, as the Lambda API
MAX_CALLBACK_RESULT_BYTES: Final = 262_144
MAX_ERROR_BYTES: Final = 32_768
MAX_DEPTH: Final = 64
MAX_DELAY_SECONDS: Final = 366 * 86_400
MAX_TAGS: Final = 50
MAX_TAG_KEY: Final = 128
MAX_TAG_VALUE: Final = 256
MAX_REASON: Final = 2_000
# Python refuses to read longer ones (sys.get_int_max_str_digits), so the handler could not.
MAX_INTEGER_DIGITS: Final = 4_300
NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
QUEUE: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
MAX_PRIORITY: Final = 1_000
ERROR_FIELDS: Final = ("ErrorType", "ErrorMessage", "ErrorData", "StackTrace")


@dataclass(frozen=True, slots=True)
class JsonText:
    """Checked JSON text, its value, and the hash of its canonical form."""

    text: str
    value: Any
    payload_hash: str


def checked_input(text: str, *, field: str = "input") -> JsonText:
    """Return an execution's input with its hash, after all checks.

    The hash is of what a handler reads, so white space, the order of keys and escapes don't count, `1.0` equals `1.00`,
    and `1` differs from `1.0`, as it does for the handler.

    Raises:
        InvalidInput: not a str, over 6 MiB of UTF-8, not JSON, nested deeper than 64, or not storable as text.
    """
    checked_text(text, field=field, limit=MAX_INPUT_BYTES)
    value = parse_json(text, field=field)
    canonical = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    try:
        digest = hashlib.sha256(canonical.encode("utf-8")).hexdigest()
    except UnicodeEncodeError:
        raise _lone_surrogate(field) from None
    return JsonText(text, value, digest)


def checked_text(text: object, *, field: str, limit: int) -> str:
    """Return `text` if Postgres can store it as it is and it has at most `limit` bytes of UTF-8."""
    if not isinstance(text, str):
        raise InvalidInput(field, f"must be text, not {type(text).__name__}.", "Serialise the value first.")
    try:
        size = len(text.encode("utf-8"))
    except UnicodeEncodeError:
        raise _lone_surrogate(field) from None
    if size > limit:
        fix = "Store the data elsewhere and pass a reference to it."
        raise InvalidInput(field, f"has {size:,} bytes; at most {limit:,} are accepted.", fix)
    if "\x00" in text:
        raise InvalidInput(field, "contains a NUL character.", "Remove it, or encode the data, for example as base64.")
    return text


def parse_json(text: str, *, field: str) -> Any:
    """Return the value of strict JSON text (no NaN, no infinity) that is nested at most 64 deep."""
    problem = "is not valid JSON"
    try:
        value = json.loads(text, parse_constant=_refuse_constant, parse_int=_integer, parse_float=_number)
    except RecursionError:
        raise _too_deep(field) from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno} column {error.colno}"
        fix = "Text must be in double quotes, names too."
        raise InvalidInput(field, f"{problem}: {error.msg} at {where}.", fix) from None
    except ValueError as error:
        raise InvalidInput(field, f"{problem}: {error}.", "Send such a number as text.") from None
    if _depth_exceeds(value, MAX_DEPTH):
        raise _too_deep(field)
    return value


def checked_name(name: object) -> str:
    """Return the execution name if it is 1 to 64 letters, digits, dashes or underscores."""
    if not isinstance(name, str) or not NAME.fullmatch(name):
        fix = "Use 1 to 64 letters, digits, dashes and underscores."
        raise InvalidInput("name", f"{_shown(name)} is not a name for an execution.", fix)
    return name


def checked_tenant(tenant_id: object) -> str | None:
    """Return a tenant's id, of 1 to 256 printable characters, or None."""
    if tenant_id is None:
        return None
    if not isinstance(tenant_id, str) or not 1 <= len(tenant_id) <= MAX_TENANT_ID or not tenant_id.isprintable():
        fix = f"Use 1 to {MAX_TENANT_ID} printable characters."
        raise InvalidInput("tenant_id", f"{_shown(tenant_id)} is not a tenant's id.", fix)
    return tenant_id


def checked_priority(priority: object) -> int:
    """Return the priority, 0 for None."""
    if priority is None:
        return 0
    if type(priority) is int and -MAX_PRIORITY <= priority <= MAX_PRIORITY:
        return priority
    fix = f"Give a whole number from -{MAX_PRIORITY} to {MAX_PRIORITY}; higher goes first."
    raise InvalidInput("priority", f"{_shown(priority)} is not a priority.", fix)


def checked_queue(queue: object) -> str:
    """Return the name of a queue if it is 1 to 64 letters, digits, dashes, underscores or dots."""
    if isinstance(queue, str) and QUEUE.fullmatch(queue):
        return queue
    fix = "Use 1 to 64 letters, digits, '-', '_' and '.'."
    raise InvalidInput("queue", f"{_shown(queue)} is not the name of a queue.", fix)


def checked_delay(seconds: object) -> float:
    """Return the delay in seconds, 0 for None."""
    if seconds is None:
        return 0.0
    # Every comparison with NaN is false, so it is refused here too.
    if isinstance(seconds, int | float) and not isinstance(seconds, bool) and 0 <= seconds <= MAX_DELAY_SECONDS:
        return float(seconds)
    fix = f"Give a number of seconds from 0 to {MAX_DELAY_SECONDS} (366 days)."
    raise InvalidInput("delay", f"{_shown(seconds)} is not a delay.", fix)


def checked_tags(tags: Mapping[str, str] | None) -> dict[str, str]:
    """Return the tags: at most 50, names to 128 and values to 256 characters."""
    if tags is None:
        return {}
    if not isinstance(tags, Mapping):
        raise InvalidInput(
            "tags", f"must map text to text, not be {type(tags).__name__}.", 'Example: {"team": "billing"}.'
        )
    if len(tags) > MAX_TAGS:
        raise InvalidInput("tags", f"has {len(tags)} entries; at most {MAX_TAGS} are accepted.")
    for key, value in tags.items():
        _check_tag(key, value)
    return dict(tags)


def checked_reason(reason: str) -> str:
    """Return the reason somebody gave, without surrounding white space."""
    return checked_text(reason, field="reason", limit=MAX_REASON).strip()


def checked_error(error: Mapping[str, object], *, field: str = "error") -> dict[str, object]:
    """Return an error object: `ErrorType`, `ErrorMessage`, `ErrorData` as text, `StackTrace` as a list of text.

    Each is optional; other names are refused. At most 32 KiB as JSON.
    """
    if not isinstance(error, Mapping):
        raise InvalidInput(field, f"must be an object, not {type(error).__name__}.", f"Its fields: {_fields()}.")
    for name, value in error.items():
        if name not in ERROR_FIELDS:
            raise InvalidInput(field, f"has the unknown field {_shown(name)}.", f"Its fields: {_fields()}.")
        _check_error_field(field, name, value)
    kept = {name: value for name, value in error.items() if value is not None}
    checked_text(json.dumps(kept, ensure_ascii=False), field=field, limit=MAX_ERROR_BYTES)
    return kept


def _check_error_field(field: str, name: str, value: object) -> None:
    if name == "StackTrace":
        if value is not None and not (isinstance(value, list | tuple) and all(isinstance(line, str) for line in value)):
            raise InvalidInput(field, "StackTrace must be a list of text.")
        lines = value or ()
    elif value is not None and not isinstance(value, str):
        raise InvalidInput(field, f"{name} must be text, not {type(value).__name__}.")
    else:
        lines = (value or "",)
    for line in lines:
        checked_text(line, field=f"{field}.{name}", limit=MAX_ERROR_BYTES)


def _check_tag(key: object, value: object) -> None:
    for what, text, limit in (("name", key, MAX_TAG_KEY), ("value", value, MAX_TAG_VALUE)):
        if not isinstance(text, str) or len(text) > limit or (what == "name" and not text):
            fix = f"Names have 1 to {MAX_TAG_KEY} characters, values at most {MAX_TAG_VALUE}."
            raise InvalidInput("tags", f"{_shown(text)} is not a tag's {what}.", fix)
        checked_text(text, field="tags", limit=4 * limit)


def _depth_exceeds(value: object, limit: int) -> bool:
    level, depth = _containers([value]), 0
    # Ends with the value, not with the limit: most are two or three deep.
    while level and depth < limit:
        level = _containers(
            [child for parent in level for child in (parent.values() if isinstance(parent, dict) else parent)]
        )
        depth += 1
    return bool(level)


def _containers(values: list[object]) -> list[dict[str, object] | list[object]]:
    return [value for value in values if isinstance(value, dict | list)]


def _refuse_constant(name: str) -> NoReturn:
    message = f"{name} is not a JSON number"
    raise ValueError(message)


def _integer(text: str) -> int:
    if len(text) > MAX_INTEGER_DIGITS:
        message = f"an integer has {len(text)} digits, at most {MAX_INTEGER_DIGITS} can be read"
        raise ValueError(message)
    return int(text)


def _number(text: str) -> float:
    if math.isinf(value := float(text)):
        message = f"the number {text[:40]} is out of range"
        raise ValueError(message)
    return value


def _lone_surrogate(field: str) -> InvalidInput:
    return InvalidInput(field, "contains half of a surrogate pair, which is no character.", "Send valid Unicode text.")


def _too_deep(field: str) -> InvalidInput:
    return InvalidInput(field, f"is nested deeper than {MAX_DEPTH} levels.", "Flatten it, or pass parts as JSON text.")


def _fields() -> str:
    return ", ".join(ERROR_FIELDS)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
