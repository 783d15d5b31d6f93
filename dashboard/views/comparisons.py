"""Two executions side by side."""

from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from dashboard.comparison import comparison_of
from dashboard.views.common import execution_or_404
from durable_engine.access import require_permission
from durable_engine.queries.comparisons import last_success_before
from durable_engine.queries.executions import ExecutionSummary, find_execution


@require_permission("durable_engine.view_execution")
@never_cache
@require_safe
def execution_compare(request: HttpRequest, execution_id: UUID) -> HttpResponse:
    """Compare with the execution that `with` names by its id or name; without it with the last success before.

    The older one is the left one.
    """
    execution = execution_or_404(execution_id)
    wanted = request.GET.get("with", "").replace("\x00", "").strip()
    found = _found(wanted) if wanted else last_success_before(execution)
    if found is None or found == execution.id:
        return _choose(request, execution, wanted, is_same=found == execution.id)
    pair = sorted((execution, execution_or_404(found)), key=lambda each: (each.created_at, each.id))
    context = comparison_of(*pair, with_payloads=request.user.has_perm("durable_engine.view_payload"))
    context |= {"execution": execution, "wanted": wanted}
    return render(request, "dashboard/compare.html", context)


@require_permission("durable_engine.view_execution")
@require_POST
def compare_ticked(request: HttpRequest) -> HttpResponse:
    """Compare the two executions that are ticked in the list."""
    # Sent with the ticks of the list, so that the form's token does not get into an address.
    ids = [text for text in request.POST.getlist("ids") if _is_id(text)]
    if len(ids) != 2:
        messages.error(request, "Tick two executions to compare them.")
        return redirect("dashboard:execution-list")
    return redirect(f"{reverse('dashboard:execution-compare', args=[ids[0]])}?with={ids[1]}")


def _found(text: str) -> UUID | None:
    found = find_execution(text)
    return found[0] if len(found) == 1 else None


def _choose(request: HttpRequest, execution: ExecutionSummary, wanted: str, *, is_same: bool) -> HttpResponse:
    """Ask what to compare with, when there is nothing to choose by itself."""
    if is_same:
        problem = "That is this execution itself."
    elif wanted:
        problem = f"No execution has the id or name {wanted[:80]!r}, or several have."
    else:
        problem = f"No execution of {execution.function} succeeded before this one."
    context = {"section": "executions", "execution": execution, "wanted": wanted, "problem": problem}
    return render(request, "dashboard/compare_choose.html", context, status=404 if wanted else 200)


def _is_id(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
