"""Every address of the product, from its own URL table, and rows for it to show."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.contrib.auth.models import Group as AuthGroup
from django.contrib.auth.models import User
from django.db import models
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone

from approvals.models import ApprovalEvent, ApprovalRequest, Attachment, Vote
from approvals.sdk.people import User as Person
from approvals.services.absences import start_absence, start_delegation
from approvals.services.links import make_link
from approvals.services.requests import ask_requester, comment_on_request
from durable_engine.models import (
    ApiKey,
    AuditEntry,
    Event,
    Function,
    FunctionPause,
    LogRecord,
    RemoteFunction,
    SavedView,
    Schedule,
    SchedulerProcess,
    ScheduleRun,
)
from durable_engine.queries.arns import execution_arn
from durable_engine.queries.bulk_options import BulkOptions
from durable_engine.services.actors import PYTHON_CODE, Actor
from durable_engine.services.api_keys import create_api_key
from durable_engine.services.bulk import create_bulk_action, start_bulk_action
from durable_engine.services.callback_ids import callback_id_for
from tests.approvals.people import opened, user, vote
from tests.factories import make_function, make_worker
from tests.seeds import Story, document_that_waits, error_text, group_of, order_that_failed, order_that_succeeded

PARAMETER = re.compile(r"<\w+:(\w+)>")


@dataclass(frozen=True, slots=True)
class Route:
    """One line of the URL table. `actions` are those of an API's address, by method; pages have none."""

    pattern: str
    view: Callable[..., object]

    @property
    def actions(self) -> Mapping[str, Any]:
        """What an address of an API does for each method."""
        found: Mapping[str, Any] = getattr(self.view, "actions", {})
        return found

    @property
    def is_page(self) -> bool:
        """Whether it is for browsers."""
        return hasattr(self.view, "required_permission")


def routes() -> Iterator[Route]:
    """Every route of the project, in its order."""
    yield from _walk(get_resolver().url_patterns, "")


def _walk(patterns: list[URLPattern | URLResolver], prefix: str) -> Iterator[Route]:
    for each in patterns:
        if isinstance(each, URLResolver):
            yield from _walk(each.url_patterns, f"{prefix}{each.pattern}")
        else:
            yield Route(f"{prefix}{each.pattern}", each.callback)


class World:
    """A row of everything that an address can name, and pages full of the rest. `said` is what people say there."""

    def __init__(self, said: str = "fine") -> None:
        self.ana = user("asked", "finance")
        colleague, _ = user("colleague"), user("asker")
        failed = order_that_failed(name="trip-1", tags={"customer": "acme"})
        waiting = document_that_waits()
        make_function("booking-saga", 1, description="Books a trip")
        make_function("booking-saga", 2)
        make_worker(functions=["booking-saga:1"])
        SchedulerProcess.objects.create(hostname="host", pid=1)
        FunctionPause.objects.create(function="order-processing", paused_by="ana", reason="month end")
        Story(parent_execution_id=failed.id, origin_id=failed.id, origin_kind="rerun")
        Story().stand("PAUSED", pause_kind="divergence", pause_reason="as it was\nas it is", paused_at=timezone.now())
        order_that_succeeded(name="before", function="booking-saga", began=7200)
        LogRecord.objects.create(
            execution=failed.execution, position=1, at=timezone.now(), level="ERROR", operation_id="1-1", message="m"
        )
        group = group_of("booking-saga", failed)
        schedule = Schedule.objects.create(name="nightly", function="booking-saga", cron="0 3 * * *")
        ScheduleRun.objects.create(
            schedule=schedule, due_at=timezone.now(), outcome="STARTED", execution_id=failed.id, note="n"
        )
        AuditEntry.objects.create(
            actor="ana", channel="dashboard", action="stop_execution", execution_id=failed.id, reason="r"
        )
        actor = Actor.of_user(self.ana)
        # One that is drawn up, and one that runs: with its items.
        options = BulkOptions(operation="trip", kind="context")
        bulk = create_bulk_action(
            "rewind", actor=actor, execution_ids=[failed.id, waiting.id], reason="again", options=options
        )
        start_bulk_action(
            create_bulk_action("stop", actor=actor, execution_ids=[waiting.id]), actor=actor, reason="no use"
        )
        request = self._request(colleague, said)
        view = SavedView.objects.create(owner=self.ana, name="mine", query="status=FAILED", is_shared=True)
        self.pair = create_api_key("warehouse", actor=PYTHON_CODE)
        self.rows: dict[str, object] = {
            "execution_id": failed.id,
            "operation_id": "1-1",
            "event_id": 1,
            "bulk_id": bulk,
            "view_id": view.id,
            "group_id": group.id,
            "schedule_id": schedule.id,
            "function": "booking-saga",
            "access_key_id": ApiKey.objects.get().access_key_id,
            "user_id": colleague.pk,
            "kind": "csv",
            "box": "mine",
            "request_id": request.pk,
            "attachment_id": Attachment.objects.get().pk,
            "token": make_link(request, self.ana.pk),
            "absence_id": start_absence(
                actor=self.ana, starts_at=None, ends_at=timezone.now() + timedelta(days=1), note=said
            ).pk,
            "delegation_id": start_delegation(actor=self.ana, to="colleague", reason=said).pk,
            "execution": failed.id,
            "operation": "1-1",
            "key": "none",
            "arn": execution_arn("booking-saga", "trip-1", failed.id),
            "callback_id": callback_id_for(waiting.id, "2"),
        }
        remote = RemoteFunction.objects.create(
            name="priced", url="http://127.0.0.1:1/", queue="durable", invocation_timeout_seconds=1
        )
        of_remote: dict[str, object] = {"function": remote.name, "version": remote.version}
        of_group: dict[str, object] = {"group_id": AuthGroup.objects.create(name="accounting").pk}
        self.of_route: dict[str, dict[str, object]] = {
            **{route.pattern: of_remote for route in routes() if "remote-functions/" in route.pattern},
            **{route.pattern: of_group for route in routes() if route.pattern.startswith("people/groups/")},
            "approvals/callbacks/<uuid:execution_id>/<str:operation_id>/": {
                "execution_id": waiting.id,
                "operation_id": "2",
            },
        }

    def _request(self, colleague: User, said: str) -> ApprovalRequest:
        """One that has been answered once, is talked about, and waits for a second answer."""
        given: dict[str, Any] = {
            "description": "**Please**",
            "details": {"amount": "120"},
            "link": "confirm",
            "quorum": 2,
        }
        request = opened(assignees=[Person("asked"), Person("colleague")], requester="asker", **given)
        cast = vote(request, colleague, comment=said)
        comment_on_request(request.pk, actor=colleague, text=said)
        ask_requester(request.pk, actor=self.ana, text=said)
        return self._with_file(request, cast)

    @staticmethod
    def _with_file(request: ApprovalRequest, cast: Any) -> ApprovalRequest:
        file = {"field": "scan", "name": "scan.pdf", "content_type": "text/html", "size": 2, "sha256": "0" * 64}
        Attachment.objects.create(request=request, vote=request.votes.get(), content=b"hi", **file)
        return request

    def url(self, route: Route) -> str:
        """The address of a route; a parameter that nothing here has a value for is an error."""
        values = self.rows | self.of_route.get(route.pattern, {})
        path = PARAMETER.sub(lambda found: str(values[found[1]]), route.pattern)
        return "/2015-03-31/" if path.startswith("^") else f"/{path}"


# What is no text of anybody's: the engine reads it, or a page finds a row by it.
KEPT = {
    "function", "key_function", "operation_id", "parent_id", "parent_operation_id", "event_type", "subtype", "kind",
    "pause_kind", "channel", "fingerprint", "digest", "sha256", "payload_hash", "cron", "timezone", "access_key_id",
    "page", "query", "action", "fence", "outcome", "choice", "dedupe_key", "topic", "password", "functions", "queues",
    "config", "durations", "scopes", "choices", "policy", "form", "permission", "limit_key", "codename", "model",
    "app_label", "session_key", "session_data", "origin_kind", "health", "level",
}  # fmt: skip


# What is checked before it is stored, so that pages count on it.
CHECKED = {Function: {"name"}, Schedule: {"input"}, LogRecord: {"fields", "level"}, RemoteFunction: {"name"}}
# The database refuses to change them; they are made with the text.
APPEND_ONLY = {ApprovalEvent, Vote}


def poison(text: str) -> None:
    """Put a text into every field of every row that somebody could have written it into, as far as it has room."""
    written: list[type[models.Model]] = [*_models("durable_engine"), *_models("approvals"), User]
    for model in written:
        if model in APPEND_ONLY:
            continue
        for row in model._default_manager.all():
            changed = _poisoned(model, row, text)
            if changed:
                model._default_manager.filter(pk=row.pk).update(**changed)


def _models(app: str) -> list[type[models.Model]]:
    from django.apps import apps

    return list(apps.get_app_config(app).get_models())


def _poisoned(model: type[models.Model], row: models.Model, text: str) -> dict[str, Any]:
    changed: dict[str, Any] = {}
    for field in model._meta.concrete_fields:
        if field.name in KEPT or field.primary_key or field.choices or getattr(row, field.attname) is None:
            continue
        if model is Event or field.name in CHECKED.get(model, ()):
            continue
        if isinstance(field, models.JSONField):
            changed[field.name] = _in_json(getattr(row, field.attname), text)
        elif isinstance(field, (models.CharField, models.TextField)):
            room = field.max_length or 10_000
            # A name that has to differ from row to row keeps a few of its own characters.
            is_unique = field.unique or field.name == "name"
            changed[field.name] = f"{text[: room - 8]}{str(row.pk)[-8:]}" if is_unique else text[:room]
    if model is Event:
        changed |= _event_texts(row, text)
    return changed


def _event_texts(row: Any, text: str) -> dict[str, Any]:
    return {
        "payload": None if row.payload is None else json.dumps({text: [text, {"a": text}]}),
        "error": None if row.error is None else error_text(text, text, (f'  File "/app/{text}", line 1, in {text}\n',)),
        "name": None if row.name is None else text[:256],
    }


def _in_json(value: Any, text: str) -> Any:
    """The same shape with the text in place of every text, and under a key of its own where keys are free."""
    if isinstance(value, dict):
        return {key: _in_json(each, text) for key, each in value.items()} | ({text: text} if value else {})
    if isinstance(value, list):
        return [_in_json(each, text) for each in value]
    return text if isinstance(value, str) else value
