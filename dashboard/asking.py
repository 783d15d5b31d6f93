"""A question before a change: a page, or the inside of a dialog, that asks for a reason, and the POST that acts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from django.contrib import messages
from django.forms import Form
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from durable_engine.services.actors import Actor
from durable_engine.services.exceptions import DurableServiceError


@dataclass(frozen=True, slots=True)
class Asked:
    """The words of one change. `subject` is what it is done to; `done` is said once it is done.

    `status` is that of an execution that it is done to, `facts` are what it would do in particular. `other_url` leads
    to another way of doing it.
    """

    title: str
    effect: str
    button: str
    done: str
    subject: str = ""
    button_style: str = "button-primary"
    status: str = ""
    facts: Sequence[str] = ()
    other_url: str = ""
    other_label: str = ""


def ask_or_act(
    request: HttpRequest,
    asked: Asked,
    act: Callable[[Actor, str], str | None],
    *,
    back_url: str,
    section: str,
    form: Form | None = None,
    revision: str = "",
) -> HttpResponse:
    """Show the question, or call `act` with who acts and the reason, and lead to the URL that it returns, or back.

    `form` asks for more than a reason; it is valid when `act` is called. `revision` is what the person sees now and
    comes back as `seen_revision`. What the service refuses is shown with what was typed kept, under the status the
    refusal has, at the field it names.
    """
    if request.method != "POST":
        return _ask(request, asked, back_url, section, form, revision)
    if form is not None and not form.is_valid():
        return _ask(request, asked, back_url, section, form, revision, status=422)
    try:
        url = act(Actor.of_user(request.user), request.POST.get("reason", ""))  # type: ignore[arg-type]  # not anonymous
    except DurableServiceError as error:
        # What was typed wrong is 422, as everywhere on the pages.
        status = 422 if error.status_code == 400 else error.status_code
        problem = str(error)
        if form is not None and error.field in form.fields:
            form.add_error(error.field, problem)
            problem = ""
        return _ask(request, asked, back_url, section, form, revision, problem=problem, status=status)
    messages.success(request, asked.done)
    return redirect(url or back_url)


def _ask(
    request: HttpRequest,
    asked: Asked,
    back_url: str,
    section: str,
    form: Form | None,
    revision: str,
    *,
    problem: str = "",
    status: int = 200,
) -> HttpResponse:
    """The question, with what was typed kept; for a dialog only its inside."""
    context = {
        "section": section,
        "asked": asked,
        "problem": problem,
        "form": form,
        "reason": request.POST.get("reason", ""),
        "revision": revision,
        "action_url": request.get_full_path(),
        "back_url": back_url,
    }
    in_dialog = request.headers.get("X-Dialog") == "1"
    response = render(request, f"dashboard/asked{'_dialog' if in_dialog else ''}.html", context, status=status)
    if in_dialog:
        response["X-Dialog"] = "1"
    return response
