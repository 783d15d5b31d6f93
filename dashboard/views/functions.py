"""The functions list and the form that starts one."""

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from dashboard.start_form import NameForm, RawInputForm, SchemaInputForm, defaults_of, example_text, takes_fields
from durable_engine.access import require_permission
from durable_engine.queries.functions import FunctionView, function_named, list_functions
from durable_engine.sdk import registry
from durable_engine.sdk.exceptions import ValidationError
from durable_engine.sdk.inputs import parse_input
from durable_engine.services.actors import Actor
from durable_engine.services.exceptions import DurableServiceError, ExecutionAlreadyStarted
from durable_engine.services.executions import StartedExecution, start_execution
from durable_engine.services.validation import parse_json


@require_permission("durable_engine.view_function")
@never_cache
@require_safe
def function_list(request: HttpRequest) -> HttpResponse:
    """List the functions."""
    context = {"section": "functions", "functions": list_functions()}
    return render(request, "dashboard/function_list.html", context)


@require_permission("durable_engine.start_execution")
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def execution_start(request: HttpRequest, function: str) -> HttpResponse:
    """Show the start form, and start."""
    view = function_named(function)
    if view is None:
        raise Http404(f"There is no function {function}.")
    form = _StartForm(request, view)
    if request.method != "POST":
        return form.page()
    try:
        started = form.start()
    except DurableServiceError as error:
        return form.refused(error)
    if started is None:
        return form.page(status=422)
    if not started.created:
        messages.info(request, "This name was started before with the same input: here is that execution.")
    return redirect("dashboard:execution-detail", started.id)


class _StartForm:
    """The two halves of the form, the input and the name, and what became of them."""

    def __init__(self, request: HttpRequest, function: FunctionView) -> None:
        self.request = request
        self.function = function
        data = request.POST if request.method == "POST" else None
        asked = request.POST if data is not None else request.GET
        handler = registry.latest(function.name)
        # Known only where the handler's code is: it knows more than the schema, which every process can read.
        self.input_type = handler.input if handler is not None and handler.version == function.version else None
        defaults = defaults_of(self.input_type)
        self.has_fields = takes_fields(function.input_schema)
        self.as_json = not self.has_fields or asked.get("as") == "json"
        self.name_form = NameForm(data)
        self.input_form: RawInputForm | SchemaInputForm
        if self.as_json:
            text = example_text(function.input_schema, defaults)
            self.input_form = RawInputForm(data, initial={"text": text})
        else:
            self.input_form = SchemaInputForm(function.input_schema or {}, data, initial=defaults)

    def start(self) -> StartedExecution | None:
        """Start the execution, or mark in the forms what is wrong."""
        are_valid = [self.input_form.is_valid(), self.name_form.is_valid()]
        if not all(are_valid):
            return None
        text = self.input_form.input_text()
        try:
            parse_input(self.input_type, parse_json(text, field="input"))
        except ValidationError as problem:
            self._add_input_problem(str(problem))
            return None
        actor = Actor.of_user(self.request.user)  # type: ignore[arg-type]  # the decorator let no anonymous in
        return start_execution(self.function.name, text, actor=actor, name=self.name_form.cleaned_data["name"] or None)

    def refused(self, error: DurableServiceError) -> HttpResponse:
        """Show the form again with what the service says, at the field it names."""
        owner_id = None
        if isinstance(error, ExecutionAlreadyStarted):
            owner_id = error.execution_id
        elif error.field == "name":
            self.name_form.add_error("name", str(error))
        elif error.field == "input":
            self._add_input_problem(str(error))
        problem = "" if error.field in {"name", "input"} and owner_id is None else str(error)
        status = 422 if error.status_code == 400 else error.status_code
        return self.page(status=status, problem=problem, owner_id=owner_id)

    def page(self, *, status: int = 200, **more: Any) -> HttpResponse:
        """Render the form with what was typed."""
        context = {
            "section": "functions",
            "function": self.function,
            "input_form": self.input_form,
            "name_form": self.name_form,
            "has_fields": self.has_fields,
            "as_json": self.as_json,
            **more,
        }
        return render(self.request, "dashboard/execution_start.html", context, status=status)

    def _add_input_problem(self, message: str) -> None:
        if isinstance(self.input_form, SchemaInputForm):
            self.input_form.add_problem(message)
        else:
            self.input_form.add_error("text", message)
