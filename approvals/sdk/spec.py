"""What an approval asks for, frozen as JSON: the same on every replay, and what the request keeps for ever."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

from approvals.sdk.exceptions import InvalidApproval
from approvals.sdk.form_schema import form_schema
from approvals.sdk.people import User, people_as_json
from approvals.sdk.policy import (
    After,
    Choice,
    Escalation,
    Every,
    Quorum,
    choices_as_json,
    escalations_as_json,
    reminders_as_json,
)
from durable_engine.sdk.durations import Duration, seconds_of

LONGEST_TITLE = 200
LONGEST_DESCRIPTION = 20_000
LARGEST_DETAILS = 100_000
MOST_PEOPLE = 200
# The callback's own timeout stands behind the request's: it closes what no scheduler was there to close.
GRACE_SECONDS = 3_600.0
LONGEST_EXPIRY = 365 * 86_400.0  # with the grace it stays within what a callback may have
ON_EXPIRE = ("raise", "reject", "approve")
# An escaped NUL, not the six characters themselves behind an escaped backslash.
_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")
CHANNELS = ("email", "webhook", "apprise")


@dataclass(frozen=True)
class ApprovalSpec:
    """An approval as its handler asks for it, checked and turned into JSON values.

    `subject` is what people see and what the digest names; `policy` is how it is decided.
    """

    subject: Mapping[str, Any]
    policy: Mapping[str, Any]
    digest: str

    @property
    def expires_seconds(self) -> float | None:
        """How long people have, or None without an end."""
        seconds: float | None = self.policy["expires_seconds"]
        return seconds

    @property
    def backstop(self) -> Duration:
        """The timeout of the callback: after the request's own end; 0, which is none, without one."""
        return Duration(0 if self.expires_seconds is None else self.expires_seconds + GRACE_SECONDS)


def freeze(
    *,
    title: str,
    description: str = "",
    details: Mapping[str, Any] | None = None,
    form: Any = None,
    choices: Iterable[Choice] | None = None,
    assignees: Any = (),
    fallback: Any = (),
    requester: str | User | None = None,
    requester_may_decide: bool = False,
    exclude: Iterable[str | User] = (),
    separate: bool = False,
    quorum: Any = 1,
    due: Duration | timedelta | None = None,
    expires: Duration | timedelta | None = None,
    on_expire: Any = "raise",
    remind: Iterable[After | Every] = (),
    escalate: Iterable[Escalation] = (),
    notify: Sequence[str] = ("email",),
    link: str = "login",
    bulk: bool = False,
) -> ApprovalSpec:
    """Check the arguments of an approval and return them frozen.

    Raises:
        InvalidApproval: names the argument and says what to give instead.
    """
    people = people_as_json(assignees, "assignees")
    if not people:
        raise InvalidApproval('assignees is empty, so nobody could decide: give for example [Group("finance")]')
    if len(people) > MOST_PEOPLE:
        raise InvalidApproval(f"assignees has {len(people)} entries; at most {MOST_PEOPLE}: use a group")
    subject = {
        "title": _text(title, "title", LONGEST_TITLE, required=True),
        "description": _text(description, "description", LONGEST_DESCRIPTION),
        "details": _details(details),
        "form": form_schema(form),
        "choices": choices_as_json(choices),
        "requester": _user_name(requester, "requester") or "",
    }
    # Once more as a whole: what came through a form or a name can be stored too.
    subject = {name: as_json(value, name) for name, value in subject.items()}
    _check_size(subject["form"], "form")
    due_seconds, expires_seconds = _seconds(due, "due"), _seconds(expires, "expires")
    if expires_seconds and expires_seconds > LONGEST_EXPIRY:
        raise InvalidApproval("expires must be at most 365 days")
    if due_seconds and expires_seconds and due_seconds > expires_seconds:
        raise InvalidApproval("due is later than expires: the request would end before it is due")
    if link not in ("login", "confirm"):
        raise InvalidApproval(f'link must be "login" or "confirm", not {link!r}')
    policy = {
        "assignees": people,
        "fallback": people_as_json(fallback, "fallback"),
        "quorum": Quorum.of(quorum).as_json(),
        "requester_may_decide": bool(requester_may_decide),
        "exclude": sorted({_user_name(each, "exclude") or "" for each in exclude} - {""}),
        "separate": bool(separate),
        "due_seconds": due_seconds,
        "expires_seconds": expires_seconds,
        "on_expire": _on_expire(on_expire),
        "timers": [*reminders_as_json(remind), *escalations_as_json(escalate)],
        "notify": _channels(notify),
        "link": link,
        "bulk": bool(bulk),
    }
    return ApprovalSpec(subject, as_json(policy, "approval"), digest_of(subject))


def digest_of(subject: Mapping[str, Any]) -> str:
    """Return the name of exactly this content: the SHA-256 of its canonical JSON, 64 hexadecimal digits."""
    canonical = json.dumps(subject, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()


def as_json(value: Any, argument: str) -> Any:
    """Return a value as JSON built-ins; dates, Decimals, UUIDs and enums become text.

    Raises:
        InvalidApproval: there is something else inside.
    """
    try:
        text = json.dumps(value, default=_plain, allow_nan=False, ensure_ascii=False)
        text.encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidApproval(f"{argument} can't be kept: {error}") from None
    if _NUL.search(text):
        raise InvalidApproval(f"{argument} has a NUL character, which can't be stored; remove it")
    return json.loads(text)


def _plain(value: object) -> object:
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, Decimal | UUID):
        return str(value)
    if isinstance(value, Enum):
        return value.value
    raise TypeError(f"a {type(value).__name__} is no JSON value; turn it into text first")


def _details(details: object) -> dict[str, Any]:
    if details is None:
        return {}
    if not isinstance(details, Mapping):
        raise InvalidApproval(f'details must be a dict, for example {{"order": order}}, not {type(details).__name__}')
    plain: dict[str, Any] = as_json(dict(details), "details")
    _check_size(plain, "details")
    return plain


def _check_size(value: object, argument: str) -> None:
    size = len(json.dumps(value, ensure_ascii=False))
    if size > LARGEST_DETAILS:
        raise InvalidApproval(f"{argument} has {size:,} characters as JSON; at most {LARGEST_DETAILS:,}: pass a link")


def _text(text: object, argument: str, longest: int, *, required: bool = False) -> str:
    if not isinstance(text, str):
        raise InvalidApproval(f"{argument} must be text, not {type(text).__name__}")
    if "\x00" in text:
        raise InvalidApproval(f"{argument} has a NUL character, which can't be stored; remove it")
    if len(text) > longest or (required and not text.strip()):
        raise InvalidApproval(f"{argument} must have {'1 to ' if required else 'at most '}{longest:,} characters")
    return text


def _user_name(user: object, argument: str) -> str | None:
    if user is None:
        return None
    name = user.name if isinstance(user, User) else user
    if not isinstance(name, str) or not 0 < len(name) <= 254 or "\x00" in name:
        raise InvalidApproval(f"{argument} must be a user name, not {user!r}")
    return name


def _seconds(length: Duration | timedelta | None, argument: str) -> float | None:
    return None if length is None else seconds_of(length, argument, more_than_zero=True)


def _on_expire(value: Any) -> dict[str, Any]:
    if isinstance(value, str):
        if value not in ON_EXPIRE:
            raise InvalidApproval(f'on_expire must be "raise", "reject", "approve" or a JSON value, not {value!r}')
        return {"kind": value}
    return {"kind": "value", "value": as_json(value, "on_expire")}


def _channels(channels: object) -> list[str]:
    if isinstance(channels, str) or not isinstance(channels, Iterable):
        raise InvalidApproval(f'notify must be a list such as ["email", "webhook:crm"], not {channels!r}')
    found = []
    for each in channels:
        kind, _, name = each.partition(":") if isinstance(each, str) else ("", "", "")
        if kind not in CHANNELS or bool(name) != (kind != "email"):
            raise InvalidApproval(f'notify has {each!r}: use "email", "webhook:<name>" or "apprise:<name>"')
        found.append(each)
    return list(dict.fromkeys(found))
