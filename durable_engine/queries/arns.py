"""Names of functions and executions in the form AWS clients use (ARNs)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from django.conf import settings

LONGEST_ARN: Final = 1024
LATEST: Final = "$LATEST"
_EXECUTION: Final = re.compile(
    r"arn:[a-zA-Z0-9-]+:lambda:[a-zA-Z0-9-]+:[0-9]{12}:function:(?P<function>[a-zA-Z0-9_-]{1,140})"
    r":(?:\$LATEST(?:\.PUBLISHED)?|[0-9]{1,9})/durable-execution/(?P<name>[a-zA-Z0-9_-]{1,64})/(?P<id>[a-zA-Z0-9_-]{1,64})"
)


@dataclass(frozen=True, slots=True)
class ExecutionArn:
    """What an execution's ARN names. Region and account may have been others when it was given out."""

    function: str
    name: str
    execution_id: UUID


def function_arn(function: str, qualifier: str | None = None) -> str:
    """Return the ARN of a function, qualified if asked for."""
    bare = f"arn:aws:lambda:{settings.DURABLE_REGION}:{settings.DURABLE_ACCOUNT_ID}:function:{function}"
    return bare if qualifier is None else f"{bare}:{qualifier}"


def execution_arn(function: str, name: str, execution_id: UUID | str) -> str:
    """Return the ARN of an execution: one execution has one, whatever version it runs."""
    return f"{function_arn(function, LATEST)}/durable-execution/{name}/{execution_id}"


def parse_execution_arn(text: str) -> ExecutionArn | None:
    """Return what the ARN names, or None if it has not the form of one."""
    match = _EXECUTION.fullmatch(text) if len(text) <= LONGEST_ARN else None
    if match is None:
        return None
    try:
        execution_id = UUID(match["id"])
    except ValueError:
        return None
    return ExecutionArn(match["function"], match["name"], execution_id)
