"""Links in mails that lead to one request without a login. Opening one reads only; the answer is a POST."""

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from approvals.language import in_the_reader_s_language
from approvals.queries.requests import request_for
from approvals.rendering.conflicts import conflict_of
from approvals.services.exceptions import InvalidAnswer
from approvals.services.links import LinkGrant, grant_of, open_link
from approvals.views.request import decide_as_posted, show_request, what_was_done
from durable_engine.access import public
from durable_engine.services.exceptions import DurableServiceError

SESSION_KEY = "approval-link"


@public
@never_cache
@in_the_reader_s_language
@require_safe
def link_open(request: HttpRequest, token: str) -> HttpResponse:
    """Exchange the token for a note in the session and lead to an address without it.

    Nothing is used up: scanners open links too. The address with the token is not kept by the browser's history of the
    page, nor sent on to any other.
    """
    grant = open_link(token)
    if grant is None:
        return _over(request)
    if request.user.pk == grant.user.pk:
        return _clean(redirect("approvals:request-detail", grant.request_id))
    request.session[SESSION_KEY] = str(grant.id)
    return _clean(redirect("approvals:link-confirm", grant.request_id))


@public
@never_cache
@in_the_reader_s_language
@require_http_methods(["GET", "HEAD", "POST"])
def link_confirm(request: HttpRequest, request_id: UUID) -> HttpResponse:
    """Show the one request of the link to the one person it was sent to, and take the answer."""
    grant = _grant(request, request_id)
    view = None if grant is None else request_for(grant.user, request_id)
    if grant is None or view is None:
        return _over(request)
    if request.method != "POST":
        return _clean(show_request(request, view, link_user=grant.user))
    try:
        decided = decide_as_posted(request, view.request, grant.user, channel="link", link=grant.token)
    except InvalidAnswer as error:
        return show_request(request, view, invalid=error, link_user=grant.user, status=422)
    except DurableServiceError as error:
        view = request_for(grant.user, request_id) or view
        conflict = conflict_of(error, view.request)
        return show_request(request, view, conflict=conflict, link_user=grant.user, status=error.status_code)
    request.session.pop(SESSION_KEY, None)
    return render(request, "approvals/link_done.html", {"done": what_was_done(decided)})


def _grant(request: HttpRequest, request_id: UUID) -> LinkGrant | None:
    try:
        link_id = UUID(str(request.session.get(SESSION_KEY)))
    except ValueError:
        return None
    grant = grant_of(link_id)
    return grant if grant is not None and grant.request_id == request_id else None


def _over(request: HttpRequest) -> HttpResponse:
    """The same page for a link that was used, revoked, is too old, or never was; with what was typed, to be copied."""
    context = {"was_answer": request.method == "POST", "typed": request.POST.get("comment", "").strip()}
    return _clean(render(request, "approvals/link_over.html", context, status=410))


def _clean(response: HttpResponse) -> HttpResponse:
    response["Referrer-Policy"] = "no-referrer"
    return response
