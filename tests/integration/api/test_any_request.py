"""Whatever is sent to whichever path of the API: an answer in its own form, and never an error of ours."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from urllib.parse import quote, urlencode
from uuid import UUID

import pytest
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from pytest_django import Settings

from approvals import api as approvals_api
from durable_engine.api import urls
from durable_engine.api.v1 import urls as v1_urls
from durable_engine.queries.arns import execution_arn
from durable_engine.sdk import registry
from durable_engine.sdk.registry import DurableHandler
from durable_engine.services.actors import PYTHON_CODE
from durable_engine.services.api_keys import SCOPES, create_api_key
from durable_engine.services.callback_ids import callback_id_for
from tests.factories import make_callback, make_execution, make_user

pytestmark = pytest.mark.django_db

EXECUTION_ID = "0190f5fe-7c00-7000-8000-000000000001"
ARN = execution_arn("orders", EXECUTION_ID, EXECUTION_ID)
PARAMETERS = (
    "DurableExecutionName ExecutionTimeoutPaused FunctionVersion IncludeExecutionData Marker MaxItems Qualifier "
    "ReverseOrder StartedAfter StartedBefore Statuses CheckpointToken "
    "function status text version tags since until waiting limit cursor reason revision box state requester overdue"
).split()
HEADERS = (
    "Idempotency-Key",
    "X-Amz-Invocation-Type",
    "X-Amz-Durable-Execution-Name",
    "X-Amz-Tenant-Id",
    "X-Amz-Client-Context",
)
FIELDS = (
    "ErrorMessage",
    "ErrorType",
    "ErrorData",
    "StackTrace",
    "Reason",
    "ClientToken",
    "CheckpointToken",
    "Updates",
    "function",
    "input",
    "name",
    "version",
    "tags",
    "delay_seconds",
    "priority",
    "queue",
    "concurrency_key",
    "reason",
    "revision",
    "result",
    "error",
    "choice",
    "digest",
    "data",
    "text",
    "to",
    "due_at",
)

PLAUSIBLE = [
    "", "0", "1", "-1", "1000", "1001", "1e99", "nan", "true", "False", "null", "$LATEST", "ALL", "RUNNING", "PAUSING",
    "2026-01-01", "2026-01-01T00:00:00Z", "9999-12-31T23:59:59-14:00", "0001-01-01", "1767225600", "99999999999999999",
    "orders", "orders:1", "Event", "DryRun", "RequestResponse", ARN, EXECUTION_ID,
]  # fmt: skip

texts = st.text(max_size=60) | st.sampled_from(PLAUSIBLE)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)
objects = st.dictionaries(st.sampled_from(FIELDS) | texts, json_values, max_size=5)
bodies: SearchStrategy[bytes] = st.one_of(
    st.just(b""),
    st.binary(max_size=200),
    (json_values | objects).map(lambda value: json.dumps(value).encode()),
    texts.map(lambda text: text.encode("utf-8", "surrogatepass")),
)
names = texts | st.sampled_from(["orders", "orders:1", f"{ARN[:50]}", ARN, "missing"])
uuids = st.uuids().map(str) | st.just(EXECUTION_ID)
ROUTES = [
    (f"{prefix}{pattern.pattern}", method)
    for prefix, patterns in (
        ("", urls.urlpatterns),
        ("api/v1/", v1_urls.urlpatterns),
        ("api/approvals/", approvals_api.urlpatterns),
    )
    for pattern in patterns
    for method in getattr(pattern.callback, "actions", ())
]
METHODS = ["GET", "POST", "DELETE", "PUT", "HEAD", "OPTIONS"]


@pytest.fixture(autouse=True)
def world(settings: Settings) -> Iterator[None]:
    """An execution with an open callback, a function, and nobody who waits for long."""
    settings.DURABLE_API_WAIT_SECONDS = 0.001
    settings.DURABLE_API_REQUESTS_PER_SECOND = 1_000_000
    make_callback(make_execution(id=EXECUTION_ID, name=EXECUTION_ID))
    with registry.isolated():
        registry.register(DurableHandler("orders", 1, lambda event, context: None))
        yield


@pytest.fixture
def bearer() -> str:
    """A key that may do everything."""
    person = make_user("ana")
    pair = create_api_key("fuzz", actor=PYTHON_CODE, scopes=SCOPES, acts_for=person.get_username())
    return f"Bearer {pair.key.access_key_id}.{pair.secret}"


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(data=st.data())
def test_every_endpoint_answers_anything_in_its_own_form(client: Client, bearer: str, data: st.DataObject) -> None:
    route, expected = data.draw(st.sampled_from(ROUTES), label="route")
    callback = callback_id_for(UUID(EXECUTION_ID), "1")
    ours = st.sampled_from([callback] if "callback" in route else [ARN, EXECUTION_ID, "1"])

    def name_in_path(found: re.Match[str]) -> str:
        text = data.draw(uuids if found[1] == "uuid" else names | ours)
        return quote(text.encode("utf-8", "replace"), safe="")

    path = re.sub(r"<(\w+):\w+>", name_in_path, route)
    query = data.draw(st.lists(st.tuples(st.sampled_from(PARAMETERS), texts), max_size=4), label="query")
    printable = st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=40) | st.sampled_from(PLAUSIBLE)
    headers = data.draw(st.dictionaries(st.sampled_from(HEADERS), printable, max_size=3), label="headers")
    method = data.draw(st.sampled_from([expected] * 12 + METHODS), label="method")
    body = data.draw(bodies, label="body")

    response = client.generic(
        method,
        f"/{path}?{urlencode([(name, value.encode('utf-8', 'replace')) for name, value in query])}",
        body,
        "application/json",
        headers={"Authorization": bearer, **headers},
    )

    assert response.status_code < 500, response.content
    assert response["x-amzn-RequestId"]
    if response.status_code >= 400 and method != "HEAD" and "error" not in response.json():
        assert response["x-amzn-ErrorType"].endswith("Exception")
        assert response.json()["Type"] == "User"
