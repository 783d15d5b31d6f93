"""What goes wrong with an approval, for handler authors."""

from __future__ import annotations

from durable_engine.sdk.exceptions import DurableExecutionsError, ValidationError


class InvalidApproval(ValidationError):
    """An argument of an approval cannot be used; the message names it and says what to give instead."""


class ApprovalError(DurableExecutionsError):
    """An approval did not end with somebody's answer."""


class ApprovalNotOpened(ApprovalError):
    """Nobody was asked: the people do not exist, or could never reach the quorum."""


class ApprovalRejected(ApprovalError):
    """Raised by `Decision.require()`: it was rejected."""


class ApprovalExpired(ApprovalError):
    """Nobody decided in time, and `on_expire` is `raise`."""


class ApprovalWithdrawn(ApprovalError):
    """The question was taken back before it was decided."""
