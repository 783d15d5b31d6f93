"""What several views share."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

from django import forms
from django.contrib.auth.models import User
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.http.response import HttpResponseBase
from django.utils.http import content_disposition_header
from django.views.decorators.cache import never_cache

from approvals.language import in_the_reader_s_language
from approvals.queries.requests import RequestView, request_for
from approvals.services.exceptions import InvalidAnswer
from durable_engine.access import signed_in

# A spreadsheet takes a cell that begins with one of these for a formula.
FORMULA = ("=", "+", "-", "@", "\t", "\r")

View = TypeVar("View", bound=Callable[..., HttpResponseBase])


def person_page(view: View) -> View:
    """Declare a page for everybody with a login, in their language, never from a cache.

    What they see there, and may do, is decided request by request.
    """
    return signed_in(never_cache(in_the_reader_s_language(view)))


def user_of(request: HttpRequest) -> User:
    """Return the person; the page's declaration let no anonymous in."""
    return request.user  # type: ignore[return-value]


def posted(request: HttpRequest) -> QueryDict | None:
    """Return what a form has sent, for its data; None while it is only shown."""
    return request.POST if request.method == "POST" else None


def request_or_404(user: User, request_id: UUID) -> RequestView:
    """Return a request as the person may see it, or answer 404: the same for what is hidden and what is not there."""
    found = request_for(user, request_id)
    if found is None:
        raise Http404("There is no such request.")
    return found


@dataclass(frozen=True, slots=True)
class ErrorLine:
    """One problem, for the summary at the top of a page: `anchor` is the id of its field, or empty."""

    label: str
    text: str
    anchor: str


def put_errors(form: forms.Form, errors: dict[str, list[str]]) -> None:
    """Show a service's errors at the fields of a bound form, in place of the form's own; of no field: at its top."""
    form.errors.clear()
    for name, messages in errors.items():
        for message in messages:
            form.add_error(name if name in form.fields else None, message)


def error_lines(*several: forms.Form) -> list[ErrorLine]:
    """Return the problems of bound forms, in the order of their fields."""
    lines: list[ErrorLine] = []
    for form in several:
        if not form.is_bound:
            continue
        lines += [ErrorLine("", str(text), "") for text in form.non_field_errors()]
        lines += [
            ErrorLine(str(field.label), str(text), field.id_for_label or field.auto_id)
            for field in form
            for text in field.errors
        ]
    return lines


def split_errors(error: InvalidAnswer, own: Any) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Return an answer's errors as those of `own` fields and the rest."""
    mine = {name: messages for name, messages in error.errors.items() if name in own}
    return mine, {name: messages for name, messages in error.errors.items() if name not in own}


def plain_cells(values: Iterable[object]) -> list[object]:
    """Return the cells of a row of which a spreadsheet takes none for a formula."""
    return [f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value for value in values]


def as_download(content: str | bytes, content_type: str, name: str) -> HttpResponse:
    """Return a file that the browser saves and does not show."""
    response = HttpResponse(content, content_type=content_type)
    response["Content-Disposition"] = content_disposition_header(True, name) or "attachment"
    response["X-Content-Type-Options"] = "nosniff"
    return response
