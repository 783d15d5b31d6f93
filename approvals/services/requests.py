"""Everything that changes a request, by name; answers are in `decisions`.

Each function is one transaction: it locks the request, asks `rules` whether the person may, writes the row, its history
and its messages. Each returns the request as it then stands.
"""

from approvals.services.handling import (
    ask_requester,
    claim_request,
    comment_on_request,
    delegate_request,
    release_request,
    reply_to_question,
)
from approvals.services.opening import open_request
from approvals.services.supervising import extend_request, reassign_request
from approvals.services.withdrawing import withdraw_request

__all__ = [
    "ask_requester",
    "claim_request",
    "comment_on_request",
    "delegate_request",
    "extend_request",
    "open_request",
    "reassign_request",
    "release_request",
    "reply_to_question",
    "withdraw_request",
]
