"""The OpenAPI document: what it says is there, and what is there it says; answers are as it says."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from durable_engine.api.openapi import document
from durable_engine.sdk import registry
from durable_engine.sdk.registry import DurableHandler
from tests.approvals.people import opened, user
from tests.approvals.test_api import api_of
from tests.factories import make_callback, make_execution, make_worker
from tests.integration.api.conftest import V1

PREFIXES = ("/api/v1/", "/api/approvals/")
METHODS = {"get", "post", "put", "delete", "patch"}


@pytest.fixture(scope="module")
def described() -> dict[str, Any]:
    """As it is served: what JSON can't hold would show."""
    found: dict[str, Any] = json.loads(json.dumps(document()))
    return found


def operations(described: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def routes() -> set[tuple[str, str]]:
    """Every route of the API beside AWS's, and its methods."""

    def walk(patterns: list[URLPattern | URLResolver], prefix: str) -> Iterator[tuple[str, str]]:
        for pattern in patterns:
            path = prefix + str(pattern.pattern)
            if isinstance(pattern, URLResolver):
                yield from walk(pattern.url_patterns, path)
            else:
                for method in getattr(pattern.callback, "actions", ()):
                    yield re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", path), method.lower()

    return {each for each in walk(get_resolver().url_patterns, "/") if each[0].startswith(PREFIXES)}


def test_every_route_is_documented_and_every_documented_one_exists(described: dict[str, Any]) -> None:
    documented = {(path, method) for path, method, _ in operations(described)}
    assert documented == routes()
    assert {"/api/v1/executions/{execution}/redrive", "/api/approvals/requests/{request_id}/votes"} <= {
        path for path, _ in documented
    }


def test_it_has_the_shape_of_an_openapi_document(described: dict[str, Any]) -> None:
    assert described["openapi"].startswith("3.1.")
    assert {"title", "version"} <= described["info"].keys()
    names = [operation["operationId"] for _, _, operation in operations(described)]
    assert len(names) == len(set(names))
    for path, method, operation in operations(described):
        assert method in METHODS
        assert operation["summary"]
        in_path = [each["name"] for each in operation["parameters"] if each["in"] == "path"]
        assert in_path == re.findall(r"{(\w+)}", path), path
        assert all(each["required"] for each in operation["parameters"] if each["in"] == "path")
        assert ("requestBody" in operation) <= (method in {"post", "put", "patch"})
        assert any(status.startswith("2") for status in operation["responses"])
        for answer in operation["responses"].values():
            assert answer["description"]


def test_every_schema_is_one_and_every_reference_leads_to_one(described: dict[str, Any]) -> None:
    schemas = described["components"]["schemas"]
    for schema in schemas.values():
        Draft202012Validator.check_schema(schema)
    for _, _, operation in operations(described):
        for each in [*operation["parameters"], *operation["responses"].values(), operation.get("requestBody")]:
            for schema in schemas_in(each):
                Draft202012Validator.check_schema(schema)
    found = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(described)))
    assert found == schemas.keys()


def schemas_in(part: Any) -> list[Any]:
    if part is None:
        return []
    if "schema" in part:
        return [part["schema"]]
    return [media["schema"] for media in part["content"].values()]


def problems(described: dict[str, Any], path: str, method: str, value: Any, status: str = "200") -> list[str]:
    """How a real answer differs from what is documented; strictly, so that no field is left out of the document."""
    answer = described["paths"][path][method]["responses"][status]["content"]["application/json"]["schema"]
    schema = {**closed(answer), "components": closed(described["components"])}
    return [error.message for error in Draft202012Validator(schema).iter_errors(value)]


def closed(part: Any) -> Any:
    """The same schemas, with no properties but those they name."""
    if isinstance(part, list):
        return [closed(each) for each in part]
    if not isinstance(part, dict):
        return part
    made = {name: closed(each) for name, each in part.items()}
    if "properties" in made and "required" in made:
        made.setdefault("additionalProperties", False)
    return made


@pytest.mark.django_db
class TestAnswers:
    @pytest.fixture(autouse=True)
    def handlers(self) -> Iterator[None]:
        with registry.isolated():
            registry.register(DurableHandler("orders", 1, lambda event, context: None))
            yield

    def test_of_the_engine(self, described: dict[str, Any], v1: V1) -> None:
        make_worker(functions=["orders:1"])
        parent = make_execution(status="SUSPENDED")
        make_callback(parent, "2", name="approval", timeout_seconds=60, key="k", key_function="orders")
        child = make_execution(parent_execution_id=parent.pk, parent_operation_id="3")
        failed = make_execution(
            status="FAILED", error={"ErrorType": "E", "ErrorMessage": "m"}, error_type="E", error_message="m"
        )
        root, one = "/api/v1/executions", "/api/v1/executions/{execution}"
        assert problems(described, root, "get", v1.get("executions")) == []
        for each in (parent, child, failed):
            assert problems(described, one, "get", v1.get(f"executions/{each.pk}")) == []
        assert problems(described, root, "post", v1.post("executions", function="orders"), "201") == []
        assert problems(described, f"{one}/redrive", "post", v1.post(f"executions/{failed.pk}/redrive"), "201") == []
        assert problems(described, f"{one}/pause", "post", v1.post(f"executions/{child.pk}/pause")) == []
        assert problems(described, "/api/v1/functions", "get", v1.get("functions")) == []
        found = v1.get("functions/orders/callbacks/k")
        assert problems(described, "/api/v1/functions/{function}/callbacks/{key}", "get", found) == []
        _, refused, _ = v1.call("GET", "executions/nobody")
        assert problems(described, one, "get", refused, "404") == []

    def test_of_approvals(self, described: dict[str, Any]) -> None:
        ana = user("ana", "finance")
        user("rae")
        request = opened(requester="rae", form={"properties": {"amount": {"type": "number"}}})
        api, root = api_of(ana), "/api/approvals"
        one = f"{root}/requests/{{request_id}}"
        assert problems(described, f"{root}/requests", "get", api.get("requests?box=groups")[1]) == []
        assert problems(described, f"{root}/counts", "get", api.get("counts")[1]) == []
        assert problems(described, one, "get", api.get(f"requests/{request.pk}")[1]) == []
        assert problems(described, f"{one}/claim", "post", api.post(f"requests/{request.pk}/claim")[1]) == []
        _, refused = api.post(f"requests/{request.pk}/votes", {"choice": "maybe", "digest": "x"}, "k" * 8)
        assert problems(described, f"{one}/votes", "post", refused, "409") == []
        answer = {"choice": "approve", "digest": request.digest, "data": {"amount": 5}}
        _, done = api.post(f"requests/{request.pk}/votes", answer, "l" * 8)
        assert problems(described, f"{one}/votes", "post", done) == []


def test_it_is_served_to_everybody_and_to_reading_only() -> None:
    response = Client().get("/api/v1/openapi.json")
    assert (response.status_code, response["Content-Type"]) == (200, "application/json")
    assert response.json()["info"]["title"] == "Perdure"
    assert Client().post("/api/v1/openapi.json").status_code == 405
