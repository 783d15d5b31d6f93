"""The page that starts an execution: its form, filled with defaults or with an earlier input, and what became of it."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from dashboard.payloads import indented
from dashboard.start_form import NameForm, RawInputForm, SchemaInputForm, defaults_of, example_text, takes_fields
from durable_engine.queries.functions import FunctionView
from durable_engine.sdk import registry
from durable_engine.sdk.exceptions import ValidationError
from durable_engine.sdk.inputs import parse_input
from durable_engine.services.actors import Actor
from durable_engine.services.exceptions import DurableServiceError, ExecutionAlreadyStarted
from durable_engine.services.executions import StartedExecution
from durable_engine.services.validation import parse_json

Start = Callable[[Actor, str, str | None], StartedExecution]


class StartPage:
    """The two halves of the form, the input and the name, and what became of them.

    `recorded` is an earlier input as JSON text, with which the form begins.
    """

    def __init__(
        self,
        request: HttpRequest,
        function: FunctionView,
        *,
        recorded: str | None = None,
        more: Mapping[str, Any] | None = None,
    ) -> None:
        self.request = request
        self.function = function
        self.more = dict(more or {})
        data = request.POST if request.method == "POST" else None
        asked = request.POST if data is not None else request.GET
        handler = registry.latest(function.name)
        # Known only where the handler's code is: it knows more than the schema, which every process can read.
        self.input_type = handler.input if handler is not None and handler.version == function.version else None
        defaults = defaults_of(self.input_type)
        values = _fields_of(recorded, function.input_schema)
        # What the fields have no place for would be lost.
        self.has_fields = takes_fields(function.input_schema) and (recorded is None or values is not None)
        self.as_json = not self.has_fields or asked.get("as") == "json"
        self.name_form = NameForm(data)
        self.input_form: RawInputForm | SchemaInputForm
        if self.as_json:
            text = example_text(function.input_schema, defaults) if recorded is None else indented(recorded)
            self.input_form = RawInputForm(data, initial={"text": text})
        else:
            initial = defaults if values is None else values
            self.input_form = SchemaInputForm(function.input_schema or {}, data, initial=initial)

    def answer(self, start: Start) -> HttpResponse:
        """Show the form, or start and lead to the execution."""
        if self.request.method != "POST":
            return self._page()
        try:
            started = self._start(start)
        except DurableServiceError as error:
            return self._refused(error)
        if started is None:
            return self._page(status=422)
        if not started.created:
            messages.info(self.request, "This name was started before with the same input: here is that execution.")
        return redirect("dashboard:execution-detail", started.id)

    def _start(self, start: Start) -> StartedExecution | None:
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
        return start(actor, text, self.name_form.cleaned_data["name"] or None)

    def _refused(self, error: DurableServiceError) -> HttpResponse:
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
        return self._page(status=status, problem=problem, owner_id=owner_id)

    def _page(self, *, status: int = 200, **more: Any) -> HttpResponse:
        """Render the form with what was typed."""
        context = {
            "section": "functions",
            "function": self.function,
            "input_form": self.input_form,
            "name_form": self.name_form,
            "has_fields": self.has_fields,
            "as_json": self.as_json,
            **self.more,
            **more,
        }
        return render(self.request, "dashboard/execution_start.html", context, status=status)

    def _add_input_problem(self, message: str) -> None:
        if isinstance(self.input_form, SchemaInputForm):
            self.input_form.add_problem(message)
        else:
            self.input_form.add_error("text", message)


def _fields_of(recorded: str | None, schema: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The values of an earlier input for the fields of a schema; None when the fields could not hold all of it."""
    try:
        value = json.loads(recorded) if recorded is not None else None
    except (ValueError, RecursionError):
        return None
    known = (schema or {}).get("properties", {})
    return value if isinstance(value, dict) and value.keys() <= known.keys() else None
