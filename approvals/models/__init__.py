"""The tables of the approvals, one a file. Rows change only through `approvals.services`."""

from approvals.models.attachment import Attachment
from approvals.models.candidate import Candidate, CandidateSource
from approvals.models.delegation import Delegation
from approvals.models.draft import Draft
from approvals.models.event import ActorKind, ApprovalEvent, EventKind
from approvals.models.link_token import LinkToken
from approvals.models.notification_preference import NotificationPreference
from approvals.models.out_of_office import OutOfOffice
from approvals.models.request import ApprovalRequest, RequestHealth, RequestState
from approvals.models.timer import ApprovalTimer, TimerKind
from approvals.models.vote import Vote

__all__ = [
    "ActorKind",
    "ApprovalEvent",
    "ApprovalRequest",
    "ApprovalTimer",
    "Attachment",
    "Candidate",
    "CandidateSource",
    "Delegation",
    "Draft",
    "EventKind",
    "LinkToken",
    "NotificationPreference",
    "OutOfOffice",
    "RequestHealth",
    "RequestState",
    "TimerKind",
    "Vote",
]
