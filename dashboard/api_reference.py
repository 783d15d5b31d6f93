"""The OpenAPI document as sections, calls and fields of a page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from durable_engine.api.openapi import document


@dataclass(frozen=True, slots=True)
class Field:
    """One parameter, or one member of a body or an answer."""

    name: str
    kind: str
    place: str
    is_required: bool
    text: str


@dataclass(frozen=True, slots=True)
class CallView:
    """One call. `answer` names a schema of the page, or is empty."""

    operation: str
    method: str
    path: str
    summary: str
    scope: str
    fields: list[Field]
    status: str
    answer: str


@dataclass(frozen=True, slots=True)
class Section:
    """Calls that belong together."""

    title: str
    calls: list[CallView]


@dataclass(frozen=True, slots=True)
class SchemaView:
    """What calls answer with."""

    name: str
    text: str
    fields: list[Field]


def reference_page() -> dict[str, Any]:
    """Return the sections and the schemas of the page."""
    described = document()
    sections: dict[str, Section] = {}
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            title = operation["tags"][0]
            section = sections.setdefault(title, Section(title, []))
            section.calls.append(_call(path, method.upper(), operation))
    schemas = [_schema(name, schema) for name, schema in described["components"]["schemas"].items()]
    return {"sections": list(sections.values()), "schemas": schemas}


def _call(path: str, method: str, operation: Mapping[str, Any]) -> CallView:
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    status, answer = next(iter(operation["responses"].items()))
    return CallView(
        operation=operation["operationId"],
        method=method,
        path=path,
        summary=operation["summary"],
        scope=operation["description"],
        fields=[
            *(_field(each["name"], each["schema"], each["in"], each["required"]) for each in operation["parameters"]),
            *_members(body, "body"),
        ],
        status=status,
        answer=_kind(answer["content"]["application/json"]["schema"]),
    )


def _schema(name: str, schema: Mapping[str, Any]) -> SchemaView:
    text = schema.get("description", "")
    if "anyOf" in schema:
        text = " ".join(filter(None, (text, " or ".join(_kind(each) for each in schema["anyOf"]))))
    return SchemaView(name, text, list(_members(schema, "")))


def _members(schema: Mapping[str, Any], place: str) -> Iterator[Field]:
    required = schema.get("required", ())
    for name, member in schema.get("properties", {}).items():
        yield _field(name, member, place, name in required)


def _field(name: str, schema: Mapping[str, Any], place: str, is_required: bool) -> Field:
    known = [str(value) for value in schema.get("enum", ())]
    text = schema.get("description", "")
    if known:
        text = " ".join(filter(None, (text, f"One of {', '.join(known)}.")))
    return Field(name, _kind(schema), place, is_required, text)


def _kind(schema: Mapping[str, Any]) -> str:
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    kind = schema.get("type", "")
    if isinstance(kind, list):
        kind = " or ".join(kind)
    if kind == "array" and "items" in schema:
        return f"list of {_kind(schema['items']) or 'any value'}"
    shown = {"date-time": "time", "uuid": "id"}.get(schema.get("format", ""))
    return str(kind or "any value") if shown is None else str(kind).replace("string", shown)
