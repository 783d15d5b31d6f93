"""Approvals: handlers ask people, people decide in the browser. What a handler author imports is named here."""

from approvals.sdk.attachments import read_attachment
from approvals.sdk.decision import Decision, VoteOf
from approvals.sdk.exceptions import (
    ApprovalError,
    ApprovalExpired,
    ApprovalNotOpened,
    ApprovalRejected,
    ApprovalWithdrawn,
    InvalidApproval,
)
from approvals.sdk.people import Group, Permission, User
from approvals.sdk.policy import After, Choice, Every, Quorum
from approvals.sdk.waiting import Approval, ask, create_approval, wait_for_approval

__all__ = [
    "After",
    "Approval",
    "ApprovalError",
    "ApprovalExpired",
    "ApprovalNotOpened",
    "ApprovalRejected",
    "ApprovalWithdrawn",
    "Choice",
    "Decision",
    "Every",
    "Group",
    "InvalidApproval",
    "Permission",
    "Quorum",
    "User",
    "VoteOf",
    "ask",
    "create_approval",
    "read_attachment",
    "wait_for_approval",
]
