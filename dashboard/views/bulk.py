"""One action on many executions: choose, preview, try on a few, watch, cancel."""

from collections.abc import Callable
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from dashboard.bulk import LABELS, asks_for_total, bulk_page, bulk_version
from dashboard.bulk_options import OptionsForm, options_form
from dashboard.filters import ListFilters
from dashboard.outline_params import whole_number
from dashboard.statuses import BULK_STATUSES
from durable_engine.access import check_permission, require_permission
from durable_engine.queries.bulk import BulkActionView, bulk_action, list_bulk_actions
from durable_engine.services.actors import Actor
from durable_engine.services.bulk import (
    PERMISSIONS,
    cancel_bulk_action,
    change_bulk_options,
    continue_bulk_action,
    create_bulk_action,
    start_bulk_action,
)
from durable_engine.services.exceptions import BulkActionNotFound, DurableServiceError, InvalidInput


@require_permission("durable_engine.view_execution")
@never_cache
@require_safe
def bulk_list(request: HttpRequest) -> HttpResponse:
    """List bulk actions, newest first."""
    page = list_bulk_actions(request.GET.get("cursor"))
    context = {
        "section": "executions",
        "rows": [(each, LABELS.get(each.action, each.action), BULK_STATUSES[each.status]) for each in page.items],
        "newer_url": f"?cursor={page.previous}" if page.previous else "",
        "older_url": f"?cursor={page.next}" if page.next else "",
    }
    return render(request, "dashboard/bulk_list.html", context)


@require_permission("durable_engine.view_execution")
@require_POST
def bulk_create(request: HttpRequest) -> HttpResponse:
    """Freeze the ticked executions, or all that match; lead to what the action would do."""
    action = request.POST.get("action", "")
    filters = ListFilters.of_query_string(request.POST.get("filters", ""))
    back = f"{reverse('dashboard:execution-list')}?{filters.query_string}"
    if action in PERMISSIONS:
        check_permission(request.user, PERMISSIONS[action])
    try:
        if request.POST.get("scope") == "matching":
            bulk_id = create_bulk_action(action, actor=_actor(request), filters=filters.for_query())
        else:
            bulk_id = create_bulk_action(action, actor=_actor(request), execution_ids=_ids(request))
    except DurableServiceError as error:
        messages.error(request, str(error))
        return redirect(back)
    return redirect("dashboard:bulk-detail", bulk_id)


@require_permission("durable_engine.view_execution")
@never_cache
@require_safe
def bulk_detail(request: HttpRequest, bulk_id: UUID) -> HttpResponse:
    """Show what a bulk action would do, or how far it is and what became of each execution."""
    return _page(request, _bulk_or_404(bulk_id))


@require_permission("durable_engine.view_execution")
@never_cache
@require_safe
def bulk_poll(request: HttpRequest, bulk_id: UUID) -> HttpResponse:
    """Answer 204 while nothing has changed, else the changed regions."""
    action = _bulk_or_404(bulk_id)
    if bulk_version(action) == request.GET.get("v"):
        return HttpResponse(status=204)
    status, after = request.GET.get("status", ""), whole_number(request.GET.get("after", ""))
    return render(request, "dashboard/bulk_poll.html", bulk_page(action, request.user, status=status, after=after))


@require_permission("durable_engine.view_execution")
@require_POST
def bulk_options(request: HttpRequest, bulk_id: UUID) -> HttpResponse:
    """Say what it is to do in particular, such as on which operation, before anybody starts it."""
    action = _bulk_or_404(bulk_id)
    check_permission(request.user, PERMISSIONS[action.action])
    form = options_form(action, request.POST)
    if form is None:
        return _page(request, action, problem="It takes no options, or not any more.", status=409)
    if not form.is_valid():
        return _page(request, action, form=form, status=422)
    return _change(request, bulk_id, lambda action, _: change_bulk_options(action.id, form.chosen), form)


@require_permission("durable_engine.view_execution")
@require_POST
def bulk_start(request: HttpRequest, bulk_id: UUID) -> HttpResponse:
    """Begin, with the first few alone when asked to."""

    def start(action: BulkActionView, actor: Actor) -> None:
        canary = request.POST.get("canary", "").strip()
        typed = request.POST.get("typed_total", "").replace(",", "").strip()
        if asks_for_total(action) and typed != str(action.total):
            problem = f"type {action.total} to say that you mean so many executions."
            raise InvalidInput("typed_total", problem)
        if canary and not whole_number(canary):
            raise InvalidInput("canary", f"{canary[:20]!r} is not a number of executions.", "Give a whole number.")
        reason = request.POST.get("reason", "")
        seen = request.POST.get("seen_options")
        first = whole_number(canary) or None
        start_bulk_action(action.id, actor=actor, canary=first, reason=reason, seen_options=seen)

    return _change(request, bulk_id, start)


@require_permission("durable_engine.view_execution")
@require_POST
def bulk_continue(request: HttpRequest, bulk_id: UUID) -> HttpResponse:
    """Do the rest after the first few."""
    return _change(request, bulk_id, lambda action, actor: continue_bulk_action(action.id, actor=actor))


@require_permission("durable_engine.view_execution")
@require_POST
def bulk_cancel(request: HttpRequest, bulk_id: UUID) -> HttpResponse:
    """Do nothing more."""
    reason = request.POST.get("reason", "")
    return _change(request, bulk_id, lambda action, actor: cancel_bulk_action(action.id, actor=actor, reason=reason))


def _change(
    request: HttpRequest,
    bulk_id: UUID,
    change: Callable[[BulkActionView, Actor], None],
    form: OptionsForm | None = None,
) -> HttpResponse:
    """Make a change that needs the right of the action itself; show a refusal on the page."""
    action = _bulk_or_404(bulk_id)
    check_permission(request.user, PERMISSIONS[action.action])
    try:
        change(action, _actor(request))
    except BulkActionNotFound as error:
        raise Http404(str(error)) from None
    except DurableServiceError as error:
        status, problem = 422 if error.status_code == 400 else error.status_code, str(error)
        if form is not None and error.field in form.fields:
            form.add_error(error.field, problem)
            problem = ""
        return _page(request, _bulk_or_404(bulk_id), problem=problem, form=form, status=status)
    return redirect("dashboard:bulk-detail", bulk_id)


def _page(
    request: HttpRequest,
    action: BulkActionView,
    *,
    problem: str = "",
    form: OptionsForm | None = None,
    status: int = 200,
) -> HttpResponse:
    wanted, after = request.GET.get("status", ""), whole_number(request.GET.get("after", ""))
    context = bulk_page(action, request.user, status=wanted, after=after, form=form)
    context |= {"problem": problem, "typed": request.POST}
    return render(request, "dashboard/bulk_detail.html", context, status=status)


def _bulk_or_404(bulk_id: UUID) -> BulkActionView:
    action = bulk_action(bulk_id)
    if action is None:
        raise Http404(f"There is no bulk action {bulk_id}.")
    return action


def _ids(request: HttpRequest) -> list[UUID]:
    ids = []
    for text in request.POST.getlist("ids"):
        try:
            ids.append(UUID(text))
        except ValueError:
            raise InvalidInput("ids", f"{text[:40]!r} is no id of an execution.") from None
    return ids


def _actor(request: HttpRequest) -> Actor:
    return Actor.of_user(request.user)  # type: ignore[arg-type]  # the decorators let no anonymous in
