"""What people do to an execution: a page (or dialog) that asks for a reason, and the POST that acts."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from dashboard.views.common import execution_or_404
from durable_engine.access import require_permission
from durable_engine.queries.executions import execution_revision
from durable_engine.services import executions
from durable_engine.services.actors import Actor
from durable_engine.services.exceptions import DurableServiceError, ExecutionNotFound

# What stands still must not have moved since the person looked. What runs moves with every checkpoint, and whoever
# stops it means to stop it wherever it is.
STANDING_STILL = frozenset({"SUSPENDED", "PAUSED"})

ask_or_act = require_http_methods(["GET", "HEAD", "POST"])


@dataclass(frozen=True, slots=True)
class Question:
    """The words of one action: what it is called, what it will do, what is said once it is done."""

    title: str
    effect: str
    button: str
    button_style: str
    done: str


STOP = Question(
    title="Stop this execution?",
    effect="It ends as Stopped, for good. A step that is running may finish what it does outside, but nothing more is "
    "recorded and no later step runs. Waits and open callbacks are cancelled.",
    button="Stop execution",
    button_style="button-danger-fill",
    done="The execution was stopped.",
)
PAUSE = Question(
    title="Pause this execution?",
    effect="It does nothing until somebody resumes it. A step that is running is cut off and runs again after that. "
    "Callbacks can still be answered; its execution timeout stands still.",
    button="Pause execution",
    button_style="button-primary",
    done="The execution is paused.",
)
RESUME = Question(
    title="Resume this execution?",
    effect="It goes on from its last checkpoint. Waits that fell due meanwhile are over at once.",
    button="Resume execution",
    button_style="button-primary",
    done="The execution goes on.",
)
RETRY = Question(
    title="Retry this step now?",
    effect="Its next attempt starts at once instead of waiting for the rest of its back-off.",
    button="Retry now",
    button_style="button-primary",
    done="The next attempt starts now.",
)


@require_permission("durable_engine.stop_execution")
@never_cache
@ask_or_act
def execution_stop(request: HttpRequest, execution_id: UUID) -> HttpResponse:
    """End an execution."""
    return _ask_or_act(request, execution_id, STOP, partial(executions.stop_execution, execution_id))


@require_permission("durable_engine.operate_execution")
@never_cache
@ask_or_act
def execution_pause(request: HttpRequest, execution_id: UUID) -> HttpResponse:
    """Let an execution stand still."""
    return _ask_or_act(request, execution_id, PAUSE, partial(executions.pause_execution, execution_id))


@require_permission("durable_engine.operate_execution")
@never_cache
@ask_or_act
def execution_resume(request: HttpRequest, execution_id: UUID) -> HttpResponse:
    """Let a paused execution go on."""
    return _ask_or_act(request, execution_id, RESUME, partial(executions.resume_execution, execution_id))


@require_permission("durable_engine.operate_execution")
@never_cache
@ask_or_act
def operation_retry(request: HttpRequest, execution_id: UUID, operation_id: str) -> HttpResponse:
    """Cut a step's back-off short."""
    verb = partial(executions.retry_now, execution_id, operation_id)
    return _ask_or_act(request, execution_id, RETRY, verb, tab="dashboard:execution-steps")


def _ask_or_act(
    request: HttpRequest,
    execution_id: UUID,
    question: Question,
    verb: Callable[..., None],
    tab: str = "dashboard:execution-detail",
) -> HttpResponse:
    if request.method != "POST":
        return _form(request, execution_id, question, tab)
    try:
        verb(
            actor=Actor.of_user(request.user),  # type: ignore[arg-type]  # the decorator let no anonymous in
            reason=request.POST.get("reason", ""),
            seen_revision=request.POST.get("seen_revision") or None,
        )
    except ExecutionNotFound:
        execution_or_404(execution_id)
        raise
    except DurableServiceError as error:
        # What was typed wrong is 422, as everywhere on the pages.
        status = 422 if error.status_code == 400 else error.status_code
        return _form(request, execution_id, question, tab, problem=str(error), status=status)
    messages.success(request, question.done)
    return redirect(tab, execution_id)


def _form(
    request: HttpRequest, execution_id: UUID, question: Question, tab: str, *, problem: str = "", status: int = 200
) -> HttpResponse:
    """The question, with what was typed kept; for a dialog only its inside."""
    # The revision before the status: what changes in between is found when the person answers.
    revision = execution_revision(execution_id)
    execution = execution_or_404(execution_id)
    context = {
        "section": "executions",
        "question": question,
        "execution": execution,
        "problem": problem,
        "reason": request.POST.get("reason", ""),
        "revision": revision if execution.status in STANDING_STILL else "",
        "action_url": request.path,
        "back_url": reverse(tab, args=[execution_id]),
    }
    in_dialog = request.headers.get("X-Dialog") == "1"
    template = "dashboard/action_dialog.html" if in_dialog else "dashboard/action.html"
    response = render(request, template, context, status=status)
    if in_dialog:
        response["X-Dialog"] = "1"
    return response
