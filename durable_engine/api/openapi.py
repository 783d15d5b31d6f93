"""The OpenAPI document of everything that is not AWS's: /api/v1, and what installed apps add with `Documented` actions.

It is made from the routes and from what their actions check their parameters against, so it can't differ from them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.urls import URLPattern, URLResolver, get_resolver

from durable_engine.api.documented import Documented
from durable_engine.api.schemas import SCHEMAS, reference

OPENAPI: Final = "3.1.0"
VERSION: Final = "1"
_PARAMETER: Final = re.compile(r"<(?:(?P<kind>\w+):)?(?P<name>\w+)>")
_DESCRIPTIONS: Final = {
    "execution": "Its id, the beginning of it, or its name.",
    "operation": "Its id in the history, or its name if only one has it.",
    "key": "The business key that the handler gave the callback.",
}
_REFUSALS: Final = {
    "400": "A parameter can't be accepted; the message names it.",
    "403": "Not signed, or the key may not do this.",
    "404": "There is nothing of that id or name.",
    "409": "It does not apply, somebody was first, or the revision is no longer the newest.",
    "413": "The body is too large.",
    "429": "Too many requests; Retry-After says when.",
}


@dataclass(frozen=True, slots=True)
class Route:
    """One documented action and where it is."""

    method: str
    path: str
    operation: str
    scope: str
    documented: Documented
    parameters: Mapping[str, str]  # names in the path to kinds of Django's converters


def routes() -> list[Route]:
    """Return every documented action of the project's URLs, in their order."""
    return list(_routes(get_resolver().url_patterns, "/"))


def document() -> dict[str, Any]:
    """Return the OpenAPI document."""
    paths: dict[str, dict[str, Any]] = {}
    schemas: dict[str, Any] = dict(SCHEMAS)
    for route in routes():
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
        schemas |= route.documented.schemas
    return {
        "openapi": OPENAPI,
        "info": {
            "title": "Perdure",
            "version": VERSION,
            "description": "What AWS's model of Lambda has no operation for. All else is called as AWS Lambda is.",
        },
        "security": [{"bearer": []}, {"sigv4": []}],
        "paths": paths,
        "components": {"schemas": schemas, "securitySchemes": _SECURITY},
    }


_SECURITY: Final = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "ID.SECRET of an API key."},
    "sigv4": {
        "type": "apiKey",
        "in": "header",
        "name": "Authorization",
        "description": "AWS Signature Version 4 of an API key, service lambda, any region.",
    },
}


def _routes(patterns: Iterable[URLPattern | URLResolver], prefix: str) -> Iterator[Route]:
    for pattern in patterns:
        path = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from _routes(pattern.url_patterns, path)
            continue
        for method, action in getattr(pattern.callback, "actions", {}).items():
            documented = getattr(action, "documented", None)
            if documented is not None:
                names = {found["name"]: found["kind"] or "str" for found in _PARAMETER.finditer(path)}
                shown = _PARAMETER.sub(lambda found: f"{{{found['name']}}}", path)
                yield Route(method, shown, action.operation, action.required_scope, documented, names)


def _operation(route: Route) -> dict[str, Any]:
    documented = route.documented
    operation: dict[str, Any] = {
        "operationId": route.operation,
        "tags": [documented.tag],
        "summary": documented.summary,
        "description": f"Scope of the key: {route.scope}." if route.scope else "No key is needed.",
        "parameters": _parameters(route),
        "responses": {str(documented.status): _answer(_schema(documented.answer), "Done."), **_refusals(documented)},
    }
    if not route.scope:
        operation["security"] = []
    if documented.body is not None:
        schema = {"type": "object", "properties": dict(documented.body), "additionalProperties": False}
        if documented.required:
            schema["required"] = list(documented.required)
        operation["requestBody"] = {
            "required": bool(documented.required),
            "content": {"application/json": {"schema": schema}},
        }
    return operation


def _parameters(route: Route) -> list[dict[str, Any]]:
    in_path = [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {
                "type": "string",
                **({"format": "uuid"} if kind == "uuid" else {}),
                **({"description": _DESCRIPTIONS[name]} if name in _DESCRIPTIONS else {}),
            },
        }
        for name, kind in route.parameters.items()
    ]
    others = (("query", route.documented.query), ("header", route.documented.headers))
    return in_path + [
        {"name": name, "in": place, "required": False, "schema": dict(schema)}
        for place, named in others
        for name, schema in named.items()
    ]


def _refusals(documented: Documented) -> dict[str, Any]:
    return {status: _answer(reference(documented.errors), text) for status, text in _REFUSALS.items()}


def _answer(schema: Any, description: str) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _schema(answer: Any) -> Any:
    return reference(answer) if isinstance(answer, str) else dict(answer)
