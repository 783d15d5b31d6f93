"""Who may see which page: every view declares a permission or that it is public; the middleware refuses the rest."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth.models import AnonymousUser, User
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.http import url_has_allowed_host_and_scheme

View = TypeVar("View", bound=Callable[..., HttpResponseBase])

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

log = logging.getLogger(__name__)


def require_permission(permission: str) -> Callable[[View], View]:
    """Let only people with this permission in, for example `durable_engine.view_execution`.

    Anonymous people are sent to the login page and come back afterwards; people without the right get a 403 that
    names it. The view carries it as `required_permission`.
    """

    def declare(view: View) -> View:
        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if not request.user.is_authenticated:
                return _to_login(request)
            check_permission(request.user, permission)
            return view(request, *args, **kwargs)

        guarded.required_permission = permission  # type: ignore[attr-defined]
        return cast(View, guarded)

    return declare


def signed_in(view: View) -> View:
    """Let everybody in who is logged in: for views that show each person what is theirs, and ask further rights inside.

    The view's `required_permission` is empty.
    """

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not request.user.is_authenticated:
            return _to_login(request)
        return view(request, *args, **kwargs)

    guarded.required_permission = ""  # type: ignore[attr-defined]
    return cast(View, guarded)


def public(view: View) -> View:
    """Declare that everybody may open the view, also without a login."""

    @wraps(view)
    def opened(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        return view(request, *args, **kwargs)

    opened.required_permission = None  # type: ignore[attr-defined]
    return cast(View, opened)


def check_permission(user: User | AnonymousUser, permission: str) -> None:
    """Raise PermissionDenied, naming the right, unless `user` has it: for views whose parts need different rights."""
    if not user.has_perm(permission):
        message = f"Your account lacks the right {permission}. An administrator can add you to a group that has it."
        raise PermissionDenied(message)


def is_declared(view: Callable[..., object]) -> bool:
    """Whether the view says who may open it: a permission of people, or a scope of API keys."""
    return hasattr(view, "required_permission") or hasattr(view, "required_scope")


def refuse_undeclared(view: Callable[..., object]) -> None:
    """Raise PermissionDenied for a view that does not say who may open it."""
    if is_declared(view) or _is_development_file(view):
        return
    log.error("%s.%s declares no permission and is not public: refused", view.__module__, view.__qualname__)
    raise PermissionDenied("This page declares no permission, so nobody may open it.")


class DenyUndeclaredViews:
    """Middleware: refuse, with 403, every view that declares neither a permission nor that it is public.

    A forgotten declaration therefore shows as a page nobody can open, not as one that everybody can.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: Callable[..., object], args: tuple[object, ...], kwargs: dict[str, object]
    ) -> HttpResponseBase | None:
        """Raise PermissionDenied for an undeclared view; otherwise let the view's own decorator decide."""
        refuse_undeclared(view)
        return None


def _is_development_file(view: Callable[..., object]) -> bool:
    # runserver serves static files through a view of its own that no URL pattern names; it refuses unless DEBUG.
    return settings.DEBUG and view.__module__ == "django.contrib.staticfiles.views"


def _to_login(request: HttpRequest) -> HttpResponseBase:
    response = cast(HttpResponse, redirect_to_login(_page_of(request)))
    if request.headers.get("HX-Request") != "true":
        return response
    # A redirect would be followed inside the request and put the login page into a fragment of this one.
    return HttpResponse(status=401, headers={"HX-Redirect": response["Location"]})


def _page_of(request: HttpRequest) -> str:
    """The page to come back to: a fragment's or a form's address is none, so take the page that asked."""
    is_fragment = request.headers.get("HX-Request") == "true"
    if request.method in SAFE_METHODS and not is_fragment:
        return request.get_full_path()
    page = request.headers.get("HX-Current-URL" if is_fragment else "Referer", "")
    if not url_has_allowed_host_and_scheme(page, {request.get_host()}):
        return "/"
    parts = urlsplit(page)
    return parts.path + (f"?{parts.query}" if parts.query else "")
