"""How a function is named: by its bare name, as `name:qualifier`, or by an ARN of any region and account."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import get_close_matches
from typing import NamedTuple

from durable_engine.sdk.exceptions import ValidationError

NAMES_SHOWN = 20

_REFERENCE = re.compile(
    r"(?:(?:arn:[a-z0-9-]+:lambda:[a-z0-9-]*:)?[0-9]{12}:function:)?"
    r"(?P<name>[A-Za-z0-9_-]{1,140})(?::(?P<qualifier>\$?[A-Za-z0-9_.-]{1,128}))?"
)


class FunctionReference(NamedTuple):
    """A function's name and version; None means the newest one."""

    name: str
    version: int | None


def parse_function_name(text: object, argument: str = "function_name") -> FunctionReference:
    """Return what a name means. A qualifier of digits is a version; `$LATEST` and aliases mean the newest one.

    Raises:
        ValidationError: it is no name; names `argument` and the forms that are accepted.
    """
    match = _REFERENCE.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise ValidationError(
            f"{argument}: {str(text)[:200]!r} must be the name of a function, name:version, or an ARN "
            "(arn:aws:lambda:REGION:ACCOUNT:function:NAME)"
        )
    qualifier = match["qualifier"] or ""
    version = int(qualifier) if qualifier.isdigit() and len(qualifier) < 10 else None
    if qualifier.isdigit() and not version:
        raise ValidationError(f"{argument}: {text!r} has no possible version: versions are whole numbers from 1")
    return FunctionReference(match["name"], version)


def known_first(name: str, known: Sequence[str]) -> list[str]:
    """Return the known names: those that look like `name` first, then the others, sorted."""
    close = get_close_matches(name, known, n=3, cutoff=0.5)
    return [*close, *sorted(set(known) - set(close))]


def not_found(name: str, version: int | None, known: Sequence[str]) -> tuple[str, str]:
    """Return what to say about a function that is not there: the problem, and what to do about it.

    `known` are the names of all functions, or, when only the `version` is missing, the versions of this one.
    """
    shown = ", ".join(known[:NAMES_SHOWN])
    shown += f" and {len(known) - NAMES_SHOWN} more" if len(known) > NAMES_SHOWN else ""
    if version is not None:
        return f"There is no version {version} of function {name!r}.", f"Known versions: {shown}."
    problem = f"There is no function {name!r}."
    if not known:
        return problem, "No function is registered: put handlers into durable_functions.py of an installed app."
    close = get_close_matches(name, known, n=1, cutoff=0.5)
    return problem, f"Did you mean {close[0]!r}? Known: {shown}." if close else f"Known: {shown}."
