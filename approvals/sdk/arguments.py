"""What can be said about an approval."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Required, TypedDict

from approvals.sdk.people import Assignee, User
from approvals.sdk.policy import After, Choice, Escalation, Every, Quorum
from durable_engine.sdk.durations import Duration


class AskArguments(TypedDict, total=False):
    """The keywords of `ask`, and of the two others; `title` and `assignees` are needed.

    What people see, frozen when the request is opened:

    - `title`: one line, 200 characters. `description`: Markdown.
    - `details`: read-only facts as a dict of JSON values.
    - `requester`: the user name of the person who wants it, who may not decide unless `requester_may_decide`.

    Who decides:

    - `assignees`: `User`, `Group` and `Permission` objects; groups are looked up at the moment of deciding.
    - `fallback`: asked instead when nobody of the assignees could decide.
    - `exclude`: user names that may not decide, for example `earlier.people`. `separate`: nobody may who has decided
      another request of this execution.
    - `quorum`: a number, "all", "60%", `{"legal": 1, "finance": 2}` or a `Quorum`.

    When:

    - `due`: by when it should be decided. `expires`: when it ends by itself.
    - `on_expire`: "raise" `ApprovalExpired`, "reject", "approve", or a JSON value that becomes `decision.value`.
    - `remind`: `After(hours=24)`, `Every(hours=12, max=3)`. `escalate`: `After(days=1).add(Group("directors"))`.

    How people learn of it:

    - `notify`: "email", "webhook:<name>", "apprise:<name>".
    - `link`: "login" or "confirm", what the link in a mail leads to. `bulk`: may be decided together with others.
    """

    title: Required[str]
    description: str
    details: Mapping[str, Any] | None
    assignees: Required[Sequence[Assignee] | Assignee]
    fallback: Sequence[Assignee] | Assignee
    requester: str | User | None
    requester_may_decide: bool
    exclude: Iterable[str | User]
    separate: bool
    quorum: int | str | Mapping[str, int] | Quorum
    due: Duration | timedelta | None
    expires: Duration | timedelta | None
    on_expire: Any
    remind: Iterable[After | Every]
    escalate: Iterable[Escalation]
    notify: Sequence[str]
    link: str
    bulk: bool


class ApprovalArguments(AskArguments, total=False):
    """The keywords of `wait_for_approval` and `create_approval`: those of `ask`, and two more.

    - `form`: a Django form, a JSON Schema (a dict), a dataclass or a Pydantic model; None: buttons only.
    - `choices`: the buttons; Approve and Reject by default.
    """

    form: Any
    choices: Iterable[Choice] | None
