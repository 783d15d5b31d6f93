"""Messages to the outside: enqueued in the transaction of the fact they tell of, delivered by the scheduler."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from django.db import transaction
from django.db.models import F

from durable_engine.models import OutboxMessage, OutboxStatus
from durable_engine.storage.clock import ClockTimestamp

CHANNELS: Final = ("email", "webhook", "apprise")
# 30 s, 1 min, 2 min … up to an hour between attempts: given up after about seven hours.
MAX_ATTEMPTS: Final = 14
FIRST_RETRY_SECONDS: Final = 30.0
LONGEST_RETRY_SECONDS: Final = 3_600.0
# Longer than any delivery takes: a message whose deliverer died is taken again after that.
LEASE_SECONDS: Final = 120.0
LONGEST_ERROR: Final = 500
KEPT_FOR: Final = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class NewMessage:
    """What to tell whom. The same `dedupe_key` is told once, however often it is enqueued.

    `topic` names what makes the content when it is delivered (`extensions.register_messages`), from `payload`.
    """

    dedupe_key: str
    topic: str
    channel: str
    recipient: str
    payload: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Claimed:
    """A message to deliver now; `attempts` includes this one."""

    id: UUID
    dedupe_key: str
    topic: str
    channel: str
    recipient: str
    payload: Mapping[str, Any]
    attempts: int


def enqueue(messages: Iterable[NewMessage]) -> None:
    """Write messages in the caller's transaction; those whose key is known already are left as they are.

    Raises:
        ValueError: a channel is not email, webhook or apprise.
    """
    rows = []
    for each in messages:
        if each.channel not in CHANNELS:
            raise ValueError(f"channel {each.channel!r} must be one of {', '.join(CHANNELS)}")
        rows.append(
            OutboxMessage(
                dedupe_key=each.dedupe_key[:255],
                topic=each.topic,
                channel=each.channel,
                recipient=each.recipient,
                payload=dict(each.payload),
            )
        )
    if rows:
        OutboxMessage.objects.bulk_create(rows, ignore_conflicts=True)


@transaction.atomic
def claim_due(limit: int) -> list[Claimed]:
    """Take due messages for a while: whoever dies with them loses them to the next who asks."""
    due = OutboxMessage.objects.filter(status=OutboxStatus.PENDING, next_try_at__lte=ClockTimestamp())
    rows = list(due.order_by("next_try_at").select_for_update(skip_locked=True)[:limit])
    for row in rows:
        row.attempts += 1
    lease = ClockTimestamp() + timedelta(seconds=LEASE_SECONDS)
    if rows:
        OutboxMessage.objects.filter(pk__in=[row.pk for row in rows]).update(
            attempts=F("attempts") + 1, next_try_at=lease
        )
    return [
        Claimed(row.pk, row.dedupe_key, row.topic, row.channel, row.recipient, row.payload, row.attempts)
        for row in rows
    ]


def finish(message: Claimed, status: OutboxStatus, error: str = "") -> bool:
    """Record the end of a message. False, and without effect, when another deliverer has taken it over."""
    ended = _mine(message).update(status=status, finished_at=ClockTimestamp(), last_error=error[:LONGEST_ERROR])
    return bool(ended)


def try_again(message: Claimed, error: str) -> bool:
    """Record a failed attempt and plan the next. False, and without effect, after the last one."""
    if message.attempts >= MAX_ATTEMPTS:
        return False
    delay = min(LONGEST_RETRY_SECONDS, FIRST_RETRY_SECONDS * 2.0 ** (message.attempts - 1))
    next_try_at = ClockTimestamp() + timedelta(seconds=delay)
    _mine(message).update(next_try_at=next_try_at, last_error=error[:LONGEST_ERROR])
    return True


def forget_finished(limit: int) -> int:
    """Delete messages that were sent, dropped or given up thirty days ago; returns how many."""
    old = OutboxMessage.objects.exclude(status=OutboxStatus.PENDING).filter(
        finished_at__lte=ClockTimestamp() - KEPT_FOR
    )
    return OutboxMessage.objects.filter(pk__in=old.order_by("finished_at").values("pk")[:limit]).delete()[0]


def _mine(message: Claimed) -> Any:
    # `attempts` is the fence: it grows with every claim.
    return OutboxMessage.objects.filter(pk=message.id, status=OutboxStatus.PENDING, attempts=message.attempts)
