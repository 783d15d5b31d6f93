"""The functions: the list, one of them, the form that starts one, pause and resume."""

from django import forms
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from dashboard import ranges
from dashboard.asking import Asked, ask_or_act
from dashboard.function_pages import function_page, list_page
from dashboard.start_page import StartPage
from durable_engine.access import require_permission
from durable_engine.queries.functions import FunctionView, function_named
from durable_engine.services.actors import Actor
from durable_engine.services.executions import StartedExecution, start_execution
from durable_engine.services.function_pauses import pause_function, resume_function


class PauseForm(forms.Form):
    """What a pause of a function asks besides the reason."""

    refuse_starts = forms.BooleanField(required=False, label="Refuse new executions instead of letting them wait")


@require_permission("durable_engine.view_function")
@never_cache
@require_safe
def function_list(request: HttpRequest) -> HttpResponse:
    """List the functions."""
    return render(request, "dashboard/function_list.html", list_page())


@require_permission("durable_engine.view_function")
@never_cache
@require_safe
def function_detail(request: HttpRequest, function: str) -> HttpResponse:
    """Show one function: its versions, what became of its executions, its failures."""
    context = function_page(_function_or_404(function), ranges.chosen(request.GET))
    return render(request, "dashboard/function_detail.html", context)


@require_permission("durable_engine.operate_execution")
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def function_pause(request: HttpRequest, function: str) -> HttpResponse:
    """Let nothing of a function run until it is resumed."""
    _function_or_404(function)
    asked = Asked(
        "Pause this function?",
        "What runs goes on to its next wait or its end, then stands still. What becomes ready waits, and so do new "
        "executions. Their timeouts run on.",
        "Pause function",
        "The function is paused.",
        subject=function,
    )
    form = PauseForm(request.POST if request.method == "POST" else None)

    def act(actor: Actor, reason: str) -> None:
        pause_function(function, actor=actor, reason=reason, refuse_starts=form.cleaned_data["refuse_starts"])

    return ask_or_act(request, asked, act, back_url=_url(function), section="functions", form=form)


@require_permission("durable_engine.operate_execution")
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def function_resume(request: HttpRequest, function: str) -> HttpResponse:
    """Let a paused function go on."""
    _function_or_404(function)
    effect = "What is ready runs at once."
    asked = Asked("Resume this function?", effect, "Resume function", "The function goes on.", subject=function)

    def act(actor: Actor, reason: str) -> None:
        resume_function(function, actor=actor, reason=reason)

    return ask_or_act(request, asked, act, back_url=_url(function), section="functions")


@require_permission("durable_engine.start_execution")
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def execution_start(request: HttpRequest, function: str) -> HttpResponse:
    """Show the start form, and start."""
    view = _function_or_404(function)

    def start(actor: Actor, text: str, name: str | None) -> StartedExecution:
        return start_execution(view.name, text, actor=actor, name=name)

    return StartPage(request, view).answer(start)


def _function_or_404(name: str) -> FunctionView:
    view = function_named(name)
    if view is None:
        raise Http404(f"There is no function {name}.")
    return view


def _url(function: str) -> str:
    return reverse("dashboard:function-detail", args=[function])
