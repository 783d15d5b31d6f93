"""Calls of the API by Django's client."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client

from tests.api.site import make_bearer


class V1:
    """A client of /api/v1 with a key."""

    def __init__(self, **key: Any) -> None:
        self._headers = make_bearer("v1", **key)

    def call(self, method: str, path: str, body: Any = None, **query: Any) -> tuple[int, Any, str]:
        """Return the status, the JSON value, and the type of the error."""
        data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        response = Client().generic(
            method, f"/api/v1/{path}", data, "application/json", headers=self._headers, query_params=query or None
        )
        return response.status_code, json.loads(response.content), response.get("x-amzn-ErrorType", "")

    def get(self, path: str, **query: Any) -> Any:
        """Return the value of a good answer."""
        status, value, _ = self.call("GET", path, **query)
        assert status == 200, value
        return value

    def post(self, path: str, **body: Any) -> Any:
        """Return the value of a good answer."""
        status, value, _ = self.call("POST", path, body)
        assert status in {200, 201}, value
        return value


@pytest.fixture
def v1() -> V1:
    """With a key that may do everything."""
    return V1()
