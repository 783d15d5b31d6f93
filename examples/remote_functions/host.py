"""Serves handlers of an AWS SDK over HTTP, in the invocation protocol of Lambda, so that Perdure can run them.

    python examples/remote_functions/host.py 9000 price-quote=examples.remote_functions.price_quote:handler

Needs the package aws-durable-execution-sdk-python, and in the environment what every client of the service API needs:
AWS_ENDPOINT_URL_LAMBDA, AWS_DEFAULT_REGION, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, of a key with the scope
`checkpoint`.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from typing import Any

Handler = Callable[[Any, Any], Any]


@dataclass
class LambdaContext:
    """What Lambda gives a function about its invocation."""

    function_name: str
    aws_request_id: str
    invoked_function_arn: str
    function_version: str = "$LATEST"
    memory_limit_in_mb: int = 128
    log_group_name: str = ""
    log_stream_name: str = ""
    tenant_id: str | None = None
    client_context: Any = None
    identity: Any = None
    deadline: float = 0.0

    def get_remaining_time_in_millis(self) -> int:
        """Return how long the invocation may still take."""
        return max(0, round((self.deadline - time.monotonic()) * 1000))


class Server(ThreadingHTTPServer):
    """Knows the handlers by their names."""

    daemon_threads = True

    def __init__(self, port: int, handlers: Mapping[str, Handler]) -> None:
        super().__init__(("127.0.0.1", port), Invocations)
        self.handlers = handlers


class Invocations(BaseHTTPRequestHandler):
    """Answers POST /2015-03-31/functions/NAME/invocations."""

    server: Server

    def do_POST(self) -> None:
        """Run one invocation."""
        name = self.path.removeprefix("/2015-03-31/functions/").removesuffix("/invocations")
        handler = self.server.handlers.get(name)
        event = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if handler is None:
            self._answer(404, {"errorType": "ResourceNotFound", "errorMessage": f"There is no function {name} here."})
            return
        context = LambdaContext(
            function_name=name,
            aws_request_id=self.headers.get("x-amzn-RequestId", ""),
            invoked_function_arn=event["DurableExecutionArn"].partition("/durable-execution/")[0],
            deadline=time.monotonic() + 900,
        )
        try:
            answer = handler(event, context)
        except Exception as error:  # noqa: BLE001 - the SDK asks for another invocation in this way
            failed = {"errorType": type(error).__name__, "errorMessage": str(error)}
            self._answer(200, failed, {"X-Amz-Function-Error": "Unhandled"})
        else:
            self._answer(200, answer)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing for each request."""

    def _answer(self, status: int, value: Any, headers: Mapping[str, str] | None = None) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        for name, text in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, text)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def load(place: str) -> Handler:
    """Return the handler at `module:name`."""
    module, _, attribute = place.partition(":")
    handler: Handler = getattr(import_module(module), attribute)
    return handler


def main(arguments: list[str]) -> None:
    """Serve until the process is ended."""
    sys.path.insert(0, "")
    handlers = {name: load(place) for name, _, place in (each.partition("=") for each in arguments[1:])}
    Server(int(arguments[0]), handlers).serve_forever()


if __name__ == "__main__":
    main(sys.argv[1:])
