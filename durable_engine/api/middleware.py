"""The way of API calls past the middleware of pages: no session, no login, no CSRF token, no policy for a browser."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import resolve

from durable_engine.access import refuse_undeclared

# AWS's paths have a table of their own, so that they need not be looked for among all others.
OF_AWS: Final = ("/2015-03-31/", "/2025-12-01/")
PREFIXES: Final = (*OF_AWS, "/api/")


class ApiCalls:
    """Middleware, behind that which demands TLS: calls the views of the API, and hands all else on."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if not request.path_info.startswith(PREFIXES):
            return self.get_response(request)
        request.get_host()  # refuses a Host that is none of ours
        of_aws = request.path_info.startswith(OF_AWS)
        match = request.resolver_match = resolve(request.path_info, "durable_engine.api.urls" if of_aws else None)
        refuse_undeclared(match.func)
        response: HttpResponse = match.func(request, *match.args, **match.kwargs)
        # Without it servers send an answer in chunks.
        response["Content-Length"] = str(len(response.content))
        return response
