"""People, groups and requests for tests of approvals, made as the product makes them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any
from uuid import uuid4

from django.contrib.auth.models import Group as AuthGroup
from django.contrib.auth.models import Permission as AuthPermission
from django.contrib.auth.models import User as AuthUser
from django.db import connection
from django.test import Client

from approvals import Group
from approvals.models import ApprovalRequest
from approvals.sdk.spec import freeze
from approvals.services.decisions import Decided, decide
from approvals.services.opening import open_request
from durable_engine.models import Callback, Execution, callback_uuid
from tests.factories import make_callback, make_execution


def user(name: str, *groups: str, rights: Sequence[str] = (), **columns: Any) -> AuthUser:
    """A user in groups that are made when they are missing; `rights` are code names of the approvals app."""
    columns.setdefault("email", f"{name}@example.com")
    found = AuthUser.objects.create(username=name, **columns)
    found.groups.set([AuthGroup.objects.get_or_create(name=group)[0] for group in groups])
    wanted = AuthPermission.objects.filter(content_type__app_label="approvals", codename__in=rights)
    found.user_permissions.set(wanted)
    return found


def waiting_execution(**columns: Any) -> Execution:
    """An execution that waits for the callback `1-1`, as `wait_for_approval` leaves it."""
    execution = make_execution(status="SUSPENDED", ready_at=None, **columns)
    make_callback(execution, "1-1", name="manager create callback id", parent_id="1")
    return execution


def opened(
    *, execution: Execution | None = None, operation_id: str = "1-1", name: str = "manager", **arguments: Any
) -> ApprovalRequest:
    """A request as a handler opens it; by default the group finance is asked."""
    execution = execution or waiting_execution()
    execution.refresh_from_db()
    if not Callback.objects.filter(pk=callback_uuid(execution.pk, operation_id)).exists():
        make_callback(execution, operation_id, name=f"{name} create callback id")
    given = {"title": "Refund 120 EUR", "assignees": [Group("finance")], "notify": ["email"], **arguments}
    return open_request(callback_uuid(execution.pk, operation_id), name, freeze(**given))


def vote(request: ApprovalRequest, actor: AuthUser, choice: str = "approve", **options: Any) -> Decided:
    """Answer a request as its page does."""
    given = {"operation_id": uuid4().hex, "digest": request.digest, **options}
    return decide(request.pk, actor=actor, choice=choice, **given)


def at_once(*actions: Callable[[], Any]) -> list[Any]:
    """Run the actions in threads that begin together; return what each returned or raised."""
    barrier = threading.Barrier(len(actions))
    results: list[Any] = [None] * len(actions)

    def run(index: int, action: Callable[[], Any]) -> None:
        try:
            barrier.wait(30)
            results[index] = action()
        except Exception as error:  # noqa: BLE001 - handed to the test
            results[index] = error
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=each, daemon=True) for each in enumerate(actions)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive(), "a transaction never ended"
    return results


def client_of(person: AuthUser) -> Client:
    """A browser in which the person is logged in."""
    client = Client()
    client.force_login(person)
    return client


def page_of(person: AuthUser, url: str, **query: str) -> str:
    """A page as the person sees it."""
    response = client_of(person).get(url, query)
    assert response.status_code == 200
    return response.content.decode()
