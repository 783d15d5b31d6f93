"""The OpenAPI document, for tools that make clients of it."""

from __future__ import annotations

from functools import lru_cache

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from durable_engine.access import public
from durable_engine.api.openapi import document
from durable_engine.api.v1.actions import to_json


@public
@require_safe
def openapi(request: HttpRequest) -> HttpResponse:
    """The document. Public, as the documentation is: it says nothing about this installation."""
    return HttpResponse(_text(), content_type="application/json", headers={"Cache-Control": "public, max-age=300"})


@lru_cache(maxsize=1)
def _text() -> str:
    return to_json(document())
