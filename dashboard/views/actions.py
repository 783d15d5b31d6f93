"""What people do to an execution: a page (or dialog) that asks for a reason, and the POST that acts."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from urllib.parse import urlencode
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from dashboard.action_forms import CompleteForm, ForkForm, NamedVersionForm, VersionForm
from dashboard.actions import ASKED
from dashboard.asking import Asked, ask_or_act
from dashboard.copy_facts import fork_facts, redrive_facts, rewind_facts
from dashboard.start_page import StartPage
from dashboard.views.common import execution_or_404
from durable_engine.access import check_permission, require_permission
from durable_engine.queries.executions import ExecutionSummary, input_of
from durable_engine.queries.functions import function_named
from durable_engine.queries.masking import MASK, holds_mask, masked, masked_keys_of
from durable_engine.queries.operation_windows import operation_of
from durable_engine.services import copies, executions, operations
from durable_engine.services.actors import Actor
from durable_engine.services.deletions import delete_execution
from durable_engine.services.exceptions import ExecutionNotFound, InvalidInput
from durable_engine.services.executions import StartedExecution

# What runs moves with every checkpoint, and whoever stops it means to stop it wherever it is. Anything else must not
# have moved since the person looked.
MOVING = frozenset({"PENDING", "RUNNING"})

asking = require_http_methods(["GET", "HEAD", "POST"])


@require_permission("durable_engine.stop_execution")
@never_cache
@asking
def execution_stop(request: HttpRequest, execution_id: UUID) -> HttpResponse:
    """End an execution."""
    return _change(request, execution_id, "stop", executions.stop_execution)


@require_permission("durable_engine.operate_execution")
@never_cache
@asking
def execution_pause(request: HttpRequest, execution_id: UUID) -> HttpResponse:
    """Let an execution stand still."""
    return _change(request, execution_id, "pause", executions.pause_execution)


@require_permission("durable_engine.operate_execution")
@never_cache
@asking
def execution_resume(request: HttpRequest, execution_id: UUID) -> HttpResponse:
    """Let a paused execution go on."""
    return _change(request, execution_id, "resume", executions.resume_execution)


@require_permission("durable_engine.delete_execution")
@never_cache
@asking
def execution_delete(request: HttpRequest, execution_id: UUID) -> HttpResponse:
    """Delete an execution that has ended."""
    execution = execution_or_404(execution_id)
    after = reverse("dashboard:execution-list")
    return _Change(request, execution, _about(execution, "delete"), after_url=after).answer(delete_execution)


@require_permission("durable_engine.operate_execution")
@never_cache
@asking
def execution_redrive(request: HttpRequest, execution_id: UUID) -> HttpResponse:
    """Let a failed execution go on from what failed."""
    execution = execution_or_404(execution_id)
    form = VersionForm(_posted(request), versions=_versions(execution), current=execution.version)
    change = _Change(request, execution, _about(execution, "redrive", facts=redrive_facts(execution)), form=form)
    return change.answer(copies.redrive_execution, lambda: {"version": form.chosen_version})


@require_permission("durable_engine.start_execution")
@never_cache
@asking
def execution_rerun(request: HttpRequest, execution_id: UUID) -> HttpResponse:
    """Start the same function again with the same input."""
    execution = execution_or_404(execution_id)
    form = NamedVersionForm(_posted(request), versions=_versions(execution), current=execution.version)
    asked = _about(execution, "rerun")
    if request.user.has_perm("durable_engine.view_payload"):
        url = reverse("dashboard:execution-rerun-edited", args=[execution_id])
        asked = replace(asked, other_url=url, other_label="Change the input first")
    change = _Change(request, execution, asked, form=form)
    return change.answer(copies.rerun_execution, lambda: {"name": form.chosen_name, "version": form.chosen_version})


@require_permission("durable_engine.start_execution")
@never_cache
@asking
def execution_rerun_edited(request: HttpRequest, execution_id: UUID) -> HttpResponse:
    """Start the same function again with another input, in a form that begins with the recorded one."""
    check_permission(request.user, "durable_engine.view_payload")
    execution = execution_or_404(execution_id)
    function = function_named(execution.function)
    if function is None:
        raise Http404(f"There is no function {execution.function}.")

    def start(actor: Actor, text: str, name: str | None) -> StartedExecution:
        if holds_mask(text):
            fix = "Type the values, or run it again with the same input."
            raise InvalidInput("input", f"has fields that are masked here ({MASK}).", fix)
        return copies.rerun_execution(execution_id, actor=actor, input_text=text, name=name)

    more = {"section": "executions", "rerun_of": execution}
    recorded = masked(input_of(execution_id) or "null", masked_keys_of(execution.function, execution.version))
    return StartPage(request, function, recorded=recorded, more=more).answer(start)


@require_permission("durable_engine.operate_execution")
@never_cache
@asking
def operation_retry(request: HttpRequest, execution_id: UUID, operation_id: str) -> HttpResponse:
    """Cut a step's back-off short."""
    return _change_operation(request, execution_id, operation_id, "retry", executions.retry_now)


@require_permission("durable_engine.operate_execution")
@never_cache
@asking
def operation_skip(request: HttpRequest, execution_id: UUID, operation_id: str) -> HttpResponse:
    """Let a wait be over."""
    return _change_operation(request, execution_id, operation_id, "skip", operations.skip_wait)


@require_permission("durable_engine.operate_execution")
@never_cache
@asking
def operation_complete(request: HttpRequest, execution_id: UUID, operation_id: str) -> HttpResponse:
    """Give an open operation its outcome by hand."""
    execution = execution_or_404(execution_id)
    form = CompleteForm(_posted(request))
    asked = _about(execution, "complete", operation_id)
    change = _Change(request, execution, asked, form=form, operation_id=operation_id)
    return change.answer(partial(operations.complete_operation, operation_id=operation_id), lambda: form.chosen)


@require_permission("durable_engine.operate_execution")
@never_cache
@asking
def operation_rewind(request: HttpRequest, execution_id: UUID, operation_id: str) -> HttpResponse:
    """Let an execution go on from before an operation."""
    execution = execution_or_404(execution_id)
    form = VersionForm(_posted(request), versions=_versions(execution), current=execution.version)
    asked = _about(execution, "rewind", operation_id, rewind_facts(execution, operation_id))
    change = _Change(request, execution, asked, form=form, operation_id=operation_id)
    service = partial(copies.rewind_execution, operation_id=operation_id)
    return change.answer(service, lambda: {"version": form.chosen_version})


@require_permission("durable_engine.start_execution")
@never_cache
@asking
def operation_fork(request: HttpRequest, execution_id: UUID, operation_id: str) -> HttpResponse:
    """Start a copy from before an operation."""
    execution = execution_or_404(execution_id)
    form = ForkForm(_posted(request), versions=_versions(execution), current=execution.version)
    asked = _about(execution, "fork", operation_id, fork_facts(execution, operation_id))
    change = _Change(request, execution, asked, form=form, operation_id=operation_id)
    service = partial(copies.fork_execution, operation_id=operation_id)
    return change.answer(
        service,
        lambda: {"name": form.chosen_name, "version": form.chosen_version, "input_text": form.chosen_input},
    )


class _Change:
    """One change of one execution, asked about or carried out."""

    def __init__(
        self,
        request: HttpRequest,
        execution: ExecutionSummary,
        asked: Asked,
        *,
        form: VersionForm | CompleteForm | None = None,
        operation_id: str = "",
        after_url: str = "",
    ) -> None:
        self.request = request
        self.execution = execution
        self.asked = asked
        self.form = form
        tab = reverse(f"dashboard:execution-{'steps' if operation_id else 'detail'}", args=[execution.id])
        self.back_url = f"{tab}?{urlencode({'op': operation_id})}" if operation_id else tab
        self.after_url = after_url

    def answer(
        self,
        service: Callable[..., StartedExecution | None],
        arguments: Callable[[], Mapping[str, object]] = dict,
    ) -> HttpResponse:
        """Ask, or call the service and lead to the execution that came of it, or back."""

        def act(actor: Actor, reason: str) -> str:
            seen = self.request.POST.get("seen_revision") or None
            outcome = service(self.execution.id, actor=actor, reason=reason, seen_revision=seen, **arguments())
            if isinstance(outcome, StartedExecution):
                return reverse("dashboard:execution-detail", args=[outcome.id])
            return self.after_url

        try:
            return ask_or_act(
                self.request,
                self.asked,
                act,
                back_url=self.back_url,
                section="executions",
                form=self.form,
                revision="" if self.execution.status in MOVING else self.execution.revision,
            )
        except ExecutionNotFound as error:
            # Deleted since it was read.
            raise Http404(str(error)) from None


def _change(
    request: HttpRequest, execution_id: UUID, key: str, service: Callable[..., StartedExecution | None]
) -> HttpResponse:
    execution = execution_or_404(execution_id)
    return _Change(request, execution, _about(execution, key)).answer(service)


def _change_operation(
    request: HttpRequest, execution_id: UUID, operation_id: str, key: str, service: Callable[..., None]
) -> HttpResponse:
    execution = execution_or_404(execution_id)
    change = _Change(request, execution, _about(execution, key, operation_id), operation_id=operation_id)
    return change.answer(partial(service, operation_id=operation_id))


def _about(execution: ExecutionSummary, key: str, operation_id: str = "", facts: Sequence[str] = ()) -> Asked:
    subject = execution.name if not operation_id else f"{execution.name} · {_label(execution, operation_id)}"
    return replace(ASKED[key], subject=subject, status=execution.status, facts=facts)


def _label(execution: ExecutionSummary, operation_id: str) -> str:
    operation = operation_of(execution.id, operation_id)
    if operation is None:
        raise Http404(f"Execution {execution.id} has no operation {operation_id}.")
    return operation.name or operation.id


def _versions(execution: ExecutionSummary) -> Sequence[int]:
    function = function_named(execution.function)
    return () if function is None else function.versions


def _posted(request: HttpRequest) -> QueryDict | None:
    # A form whose fields are all left empty is still one that was sent.
    return request.POST if request.method == "POST" else None
