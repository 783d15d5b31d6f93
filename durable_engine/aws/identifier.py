"""Which operation it is, as the AWS package names it."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["OperationIdentifier"]


@dataclass(frozen=True)
class OperationIdentifier:
    """The id of an operation, of the context around it, and its name."""

    operation_id: str
    parent_id: str | None = None
    name: str | None = None
