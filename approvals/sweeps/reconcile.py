"""What nobody does by a decision: requests whose execution went on or ended without them, and people who have left."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import UUID

from django.db import InterfaceError, OperationalError
from django.db.models import Q

from approvals.clock import database_now
from approvals.models import ApprovalRequest, Draft, LinkToken, RequestState
from approvals.sdk.spec import ApprovalSpec
from approvals.services.changes import Change, changing
from approvals.services.ending import close_as_ended
from approvals.services.exceptions import RequestNotFound
from approvals.services.health import check_health
from approvals.services.opening import open_request
from approvals.storage import unasked_copies
from durable_engine.models import Callback, CallbackStatus

BATCH = 500
LOOKED_AT = 2_000
CHECKED_AT_ONCE = 100
LINKS_KEPT_FOR = timedelta(days=90)
CHECKED_EVERY = timedelta(minutes=15)

logger = logging.getLogger(__name__)


class _Rotation:
    """Where the last look at the pending requests ended: the next goes on from there, or from the start at the end.

    With thousands pending, a look at all of them would cost seconds each time; of a few, every look sees all.
    """

    after: tuple[datetime, UUID] | None = None


def reconcile() -> int:
    """Close pending requests whose callback no longer waits; returns how many were closed."""
    pending = ApprovalRequest.objects.filter(state=RequestState.PENDING)
    if _Rotation.after is not None:
        at, last = _Rotation.after
        # The first condition lets Postgres go to the place in the index.
        pending = pending.filter(urgent_at__gte=at).filter(Q(urgent_at__gt=at) | Q(pk__gt=last))
    rows = list(pending.order_by("urgent_at", "id").values_list("pk", "callback_key", "urgent_at")[:LOOKED_AT])
    _Rotation.after = (rows[-1][2], rows[-1][0]) if len(rows) == LOOKED_AT else None
    keys = [callback_key for _, callback_key, _ in rows]
    # An execution that ends closes its callbacks; one that is deleted takes them along.
    waiting = set(Callback.objects.filter(pk__in=keys, status=CallbackStatus.STARTED).values_list("pk", flat=True))
    return _each([pk for pk, callback_key, _ in rows if callback_key not in waiting], close_as_ended)


def ask_again() -> int:
    """Open the requests of executions that go on from others: their open callbacks were copied, their people not asked.

    Answers that were given to the other one do not count here. Returns how many were opened.
    """
    return sum(_ask_again(callback_key, source_id) for callback_key, source_id in unasked_copies(BATCH))


def _ask_again(callback_key: UUID, source_id: UUID) -> bool:
    source = ApprovalRequest.objects.get(pk=source_id)
    subject = {
        "title": source.title,
        "description": source.description,
        "details": source.details,
        "form": source.form,
        "choices": source.choices,
        "requester": source.requester_label,
    }
    try:
        open_request(callback_key, source.name, ApprovalSpec(subject, source.policy, source.digest), copied_from=source)
    except (OperationalError, InterfaceError):
        raise
    except Exception:
        logger.exception("approval request %s could not be asked again", source_id)
        return False
    return True


def check_satisfiable_again() -> int:
    """Look at some pending requests whether anybody can still decide them: people leave, groups are emptied."""
    now = database_now()
    pending = ApprovalRequest.objects.filter(state=RequestState.PENDING, checked_at__lte=now - CHECKED_EVERY)
    ids = list(pending.order_by("checked_at").values_list("pk", flat=True)[:CHECKED_AT_ONCE])
    # First, so that one that fails is not looked at again at once.
    ApprovalRequest.objects.filter(pk__in=ids).update(checked_at=now)
    return _each(ids, check_health)


def forget_leftovers() -> int:
    """Delete what nobody can use any longer: unsent answers to closed requests, and links that are long over."""
    closed = Draft.objects.exclude(request__state=RequestState.PENDING).values("pk")[:BATCH]
    over = LinkToken.objects.filter(expires_at__lte=database_now() - LINKS_KEPT_FOR).values("pk")[:BATCH]
    drafts, links = Draft.objects.filter(pk__in=closed), LinkToken.objects.filter(pk__in=over)
    return max(drafts.delete()[0], links.delete()[0])


def _each(ids: list[UUID], action: Callable[[Change], bool]) -> int:
    done = 0
    for request_id in ids:
        try:
            with changing(request_id, skip_locked=True) as change:
                if change.request.is_open:
                    done += action(change)
        except RequestNotFound:
            continue
        except (OperationalError, InterfaceError):
            raise
        except Exception:
            logger.exception("approval request %s", request_id)
    return len(ids) if done else 0
