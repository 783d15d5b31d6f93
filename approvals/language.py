"""The language of a page: the reader's, when there is a translation; English otherwise."""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils import translation
from django.utils.translation import gettext_noop

View = TypeVar("View", bound=Callable[..., HttpResponseBase])

# The frame around every page takes these from variables, where no tool finds them.
FRAME = (
    gettext_noop("Home"),
    gettext_noop("Executions"),
    gettext_noop("Failures"),
    gettext_noop("Approvals"),
    gettext_noop("Run"),
    gettext_noop("Administer"),
    gettext_noop("Functions"),
    gettext_noop("Schedules"),
    gettext_noop("Workers"),
    gettext_noop("Metrics"),
    gettext_noop("Audit"),
    gettext_noop("Settings"),
    gettext_noop("Newer"),
    gettext_noop("Older"),
)


def in_the_reader_s_language(view: View) -> View:
    """Run the view, and render what it returns, in the language the browser prefers.

    Only the pages of approvals are translated, so the language is chosen here and not for the whole site.
    """

    @wraps(view)
    def translated(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        with translation.override(translation.get_language_from_request(request)):
            response = view(request, *args, **kwargs)
            response.headers.setdefault("Content-Language", translation.get_language() or "en")
        return response

    return cast(View, translated)
