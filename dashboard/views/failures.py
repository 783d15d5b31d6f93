"""Failures by what looks alike: the list of groups, one group, and what is said about it."""

from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

from django import forms
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from dashboard.asking import Asked, ask_or_act
from dashboard.failures import RETRIES, TABS, group_page, group_url, list_page, title_of
from durable_engine.access import require_permission
from durable_engine.queries.bulk_options import BulkOptions
from durable_engine.queries.failures import GroupView, group_with, standing_members
from durable_engine.queries.functions import VersionView, versions_of
from durable_engine.services.actors import Actor
from durable_engine.services.bulk import MAX_ITEMS, create_bulk_action
from durable_engine.services.failures import mute_group, reopen_group, resolve_group


class RetryForm(forms.Form):
    """On which version the executions go on."""

    version = forms.TypedChoiceField(required=False, coerce=int, empty_value=None)

    def __init__(self, versions: Sequence[VersionView], data: QueryDict | None) -> None:
        super().__init__(data)
        choices = [(str(each.version), f"v{each.version}") for each in versions]
        field: Any = self.fields["version"]
        field.choices = [("", "The version each ran with"), *choices]
        if len(choices) < 2:
            del self.fields["version"]


ask = require_http_methods(["GET", "HEAD", "POST"])
LONGEST_NAME = 140


@require_permission("durable_engine.view_execution")
@never_cache
@require_safe
def failure_list(request: HttpRequest) -> HttpResponse:
    """List groups of failures, the one that failed last first."""
    status = request.GET.get("status", "")
    function = request.GET.get("function", "").replace("\x00", "")[:LONGEST_NAME]
    context = list_page(status if status in TABS else "OPEN", function, request.GET.get("cursor"))
    return render(request, "dashboard/failure_list.html", context)


@require_permission("durable_engine.view_execution")
@never_cache
@require_safe
def failure_detail(request: HttpRequest, group_id: UUID) -> HttpResponse:
    """Show one group: what it is, when it failed, its executions."""
    with_messages = request.user.has_perm("durable_engine.view_payload")
    context = group_page(_group_or_404(group_id), request.GET.get("cursor"), with_messages=with_messages)
    return render(request, "dashboard/failure_detail.html", context)


@require_permission("durable_engine.operate_execution")
@never_cache
@ask
def failure_resolve(request: HttpRequest, group_id: UUID) -> HttpResponse:
    """Say that the problem is mended."""
    effect = "It leaves the open failures. When something of it fails after this, it opens again by itself."
    asked = Asked("Resolve this group?", effect, "Resolve", "The group is resolved.")
    return _ask(request, group_id, asked, resolve_group)


@require_permission("durable_engine.operate_execution")
@never_cache
@ask
def failure_mute(request: HttpRequest, group_id: UUID) -> HttpResponse:
    """Say that nobody needs to look."""
    effect = "It leaves the open failures and stays away, whatever fails, until somebody reopens it."
    asked = Asked("Mute this group?", effect, "Mute", "The group is muted.")
    return _ask(request, group_id, asked, mute_group)


@require_permission("durable_engine.operate_execution")
@never_cache
@ask
def failure_reopen(request: HttpRequest, group_id: UUID) -> HttpResponse:
    """Put a group back among the open ones."""
    asked = Asked("Reopen this group?", "It is among the open failures again.", "Reopen", "The group is open again.")
    return _ask(request, group_id, asked, reopen_group)


@require_permission("durable_engine.operate_execution")
@never_cache
@ask
def failure_retry(request: HttpRequest, group_id: UUID) -> HttpResponse:
    """Draw up a bulk action on the executions that still stand as they failed; nothing is done before it is started."""
    group = _group_or_404(group_id)
    action, verb = RETRIES[group.kind]
    asked = Asked(
        f"{verb} this group?",
        "The next page shows what would happen to each execution. Nothing is done before you start it there.",
        "Show what would happen",
        "Look at it, then start it.",
        subject=f"{group.function}: {title_of(group)}",
    )
    data = request.POST if request.method == "POST" else None
    form = RetryForm(versions_of(group.function), data) if action == "redrive" else None

    def draw_up(actor: Actor, reason: str) -> str:
        options = BulkOptions(form.cleaned_data.get("version") if form is not None else None)
        ids = standing_members(group, MAX_ITEMS)
        bulk_id = create_bulk_action(action, actor=actor, execution_ids=ids, reason=reason, options=options)
        return reverse("dashboard:bulk-detail", args=[bulk_id])

    return ask_or_act(request, asked, draw_up, back_url=group_url(group_id), section="failures", form=form)


def _ask(request: HttpRequest, group_id: UUID, asked: Asked, service: Callable[..., None]) -> HttpResponse:
    group = _group_or_404(group_id)
    named = Asked(asked.title, asked.effect, asked.button, asked.done, f"{group.function}: {title_of(group)}")

    def act(actor: Actor, reason: str) -> None:
        service(group_id, actor=actor, reason=reason)

    return ask_or_act(request, named, act, back_url=group_url(group_id), section="failures")


def _group_or_404(group_id: UUID) -> GroupView:
    group = group_with(group_id)
    if group is None:
        raise Http404(f"There is no group of failures {group_id}.")
    return group
