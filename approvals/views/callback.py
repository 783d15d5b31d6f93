"""Callbacks whose handlers asked nobody in particular: their list, and the page on which one is decided."""

from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from approvals.forms import DecisionForm
from approvals.language import in_the_reader_s_language
from approvals.queries.callbacks import plain_callbacks
from approvals.queries.requests import request_of_callback
from approvals.services import callbacks as services
from durable_engine.access import require_permission
from durable_engine.queries.callbacks import CallbackView, callback_of
from durable_engine.services.actors import APPROVALS, Actor
from durable_engine.services.exceptions import CallbackClosed, CallbackNotFound, DurableServiceError

ROWS_A_PAGE = 50
DONE = {
    "approve": _("You approved it. The execution goes on."),
    "reject": _("You rejected it. The execution goes on with that answer."),
    "answer": _("Your answer was sent. The execution goes on."),
    "fail": _("The callback was completed as failed. The execution goes on."),
}


@require_permission("durable_engine.decide_callback")
@never_cache
@in_the_reader_s_language
@require_safe
def callback_list(request: HttpRequest) -> HttpResponse:
    """List the callbacks whose handlers asked nobody in particular, oldest first."""
    page = plain_callbacks(request.GET.get("cursor"), ROWS_A_PAGE)
    context = {
        "section": "approvals",
        "callbacks": page.items,
        "newer_url": f"?cursor={page.previous}" if page.previous else "",
        "older_url": f"?cursor={page.next}" if page.next else "",
        "newer_label": gettext_noop("Previous"),
        "older_label": gettext_noop("Next"),
        "server_now": timezone.now().isoformat(),
    }
    return render(request, "approvals/callback_list.html", context)


@require_permission("durable_engine.decide_callback")
@never_cache
@in_the_reader_s_language
@require_http_methods(["GET", "HEAD", "POST"])
def callback_decide(request: HttpRequest, execution_id: UUID, operation_id: str) -> HttpResponse:
    """Show what is asked, and take the decision; if certain people are asked, lead to their request."""
    asked = request_of_callback(execution_id, operation_id) if "\x00" not in operation_id else None
    if asked is not None:
        return redirect("approvals:request-detail", asked.pk)
    callback = _callback_or_404(execution_id, operation_id)
    if request.method != "POST":
        return _page(request, callback, DecisionForm())
    form = DecisionForm(request.POST)
    if not form.is_valid():
        return _page(request, callback, form, status=422)
    try:
        _carry_out(form, callback, Actor.of_user(request.user, APPROVALS))  # type: ignore[arg-type]  # not anonymous
    except (CallbackClosed, CallbackNotFound) as error:
        # Read again: the page then says who was first and when, and what was typed is still there.
        return _page(request, _callback_or_404(execution_id, operation_id), form, problem=str(error), status=409)
    except DurableServiceError as error:
        form.add_error(error.field if error.field in form.fields else None, str(error))
        return _page(request, callback, form, status=422)
    messages.success(request, DONE[form.cleaned_data["decision"]])
    return redirect("approvals:inbox")


def _carry_out(form: DecisionForm, callback: CallbackView, actor: Actor) -> None:
    where, data = (callback.execution_id, callback.operation_id), form.cleaned_data
    match data["decision"]:
        case "answer":
            services.answer(*where, data["result"], actor=actor)
        case "fail":
            services.fail(*where, data["message"], actor=actor)
        case choice:
            services.decide(*where, services.Decision(choice, data["comment"]), actor=actor)


def _callback_or_404(execution_id: UUID, operation_id: str) -> CallbackView:
    callback = None if "\x00" in operation_id else callback_of(execution_id, operation_id)
    if callback is None:
        raise Http404("There is no such request.")
    return callback


def _page(
    request: HttpRequest, callback: CallbackView, form: DecisionForm, *, problem: str = "", status: int = 200
) -> HttpResponse:
    context = {
        "section": "approvals",
        "callback": callback,
        "form": form,
        "problem": problem,
        "is_open": callback.status == "STARTED",
        "server_now": timezone.now().isoformat(),
    }
    return render(request, "approvals/callback_decide.html", context, status=status)
