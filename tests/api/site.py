"""A running installation with its service API, and real AWS clients of it."""

from __future__ import annotations

import http.client
import json
import re
import socket
import subprocess
from collections.abc import Sequence
from typing import Any

import boto3
from botocore.config import Config
from botocore.validate import ParamValidator

from durable_engine.services.actors import Actor
from durable_engine.services.api_keys import KeyPair, create_api_key
from tests.faults.stack import Stack, until

REGION = "us-east-1"
OPERATOR = Actor("an operator of the tests")


class Site(Stack):
    """Postgres, broker, worker, scheduler and web server, with functions of `tests.api.handlers`."""

    def start(self) -> None:
        """Start everything and wait until the web server answers."""
        # Kept for the process of the remote functions, which tests start and kill.
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.remote_port = int(free.getsockname()[1])
        super().start()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.start_web()

    def end(self) -> None:
        """Kill what is left."""
        super().end()
        self._listener.close()

    def start_web(self, **extra: str) -> None:
        """Start the web server on the site's port."""
        command = "-m gunicorn durable_engine.config.wsgi --worker-class gthread --workers 1 --threads 8".split()
        bind = f"--bind fd://{self._listener.fileno()} --log-level warning --no-control-socket".split()
        self.web = self._spawn([*command, *bind], "web", pass_fds=[self._listener.fileno()], **extra)
        until(self._answers, "the web server answers", 40)

    def stop_web(self) -> None:
        """Stop the web server; connections wait on the port for the next one."""
        self.web.terminate()
        self.web.wait(60)

    @property
    def port(self) -> int:
        """Where the web server listens."""
        return int(self._listener.getsockname()[1])

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def web_log(self) -> str:
        """What the web server has written."""
        return (self.home / "web.log").read_text()

    def client(self, pair: KeyPair, **config: Any) -> Any:
        """A boto3 client that signs with a key."""
        made = boto3.client(
            "lambda",
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id=pair.key.access_key_id,
            aws_secret_access_key=pair.secret,
            config=Config(retries={"max_attempts": 0}, **config),
        )
        made.meta.events.register("before-parse.lambda.*", check_body)
        made.meta.events.register("after-call.lambda.*", check_answer)
        return made

    def request(
        self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> tuple[int, http.client.HTTPMessage, bytes]:
        """Send exactly this."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            return response.status, response.msg, response.read()
        finally:
            connection.close()

    def _answers(self) -> bool:
        try:
            return self.request("GET", "/healthz")[0] == 200
        except OSError:
            return False

    def _spawn(
        self, arguments: Sequence[str], name: str, pass_fds: Sequence[int] = (), **extra: str
    ) -> subprocess.Popen[bytes]:
        names = ("tour", "calls-greet", "fails", "large", "many", "raw")
        elsewhere = {f"remote-{each}": f"http://127.0.0.1:{self.remote_port}" for each in names}
        options = {
            "DURABLE_APPS": "tests.api.handlers",
            "DURABLE_REMOTE_FUNCTIONS": json.dumps(elsewhere),
            "DURABLE_CRASH_BACKOFF_SECONDS": "0.1",
            "DURABLE_MAX_CRASHES": "2",
        }
        return super()._spawn(arguments, name, pass_fds=pass_fds, **{**options, **extra})


def make_key(name: str = "tests", **options: Any) -> KeyPair:
    """A key that may do everything, unless told otherwise."""
    return create_api_key(name, actor=OPERATOR, **options)


def make_bearer(name: str = "tests", **options: Any) -> dict[str, str]:
    """The header of a key's bearer token."""
    pair = make_key(name, **options)
    return {"Authorization": f"Bearer {pair.key.access_key_id}.{pair.secret}"}


def check_body(operation_model: Any, response_dict: dict[str, Any], **_: Any) -> None:
    """Check the body of a good answer, before botocore reads it, for what its model does not have."""
    shape = operation_model.output_shape
    if response_dict["status_code"] >= 300 or shape is None or shape.serialization.get("payload"):
        return
    problems = body_problems(json.loads(response_dict["body"] or b"{}"), shape)
    assert problems == [], f"{operation_model.name}: {problems}"


def check_answer(http_response: Any, parsed: dict[str, Any], model: Any, **_: Any) -> None:
    """Check a good answer against the model's shape: types, required members, lengths, patterns and enums."""
    if http_response.status_code >= 300 or model.output_shape is None:
        return
    answer = {name: value for name, value in parsed.items() if name not in {"ResponseMetadata", "Payload"}}
    problems = ParamValidator().validate(answer, model.output_shape)
    assert not problems.has_errors(), f"{model.name}: {problems.generate_report()}"
    assert (bad := misfits(answer, model.output_shape)) == [], f"{model.name}: {bad}"


JSON_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "timestamp": (int, float),
    "boolean": (bool,),
    "list": (list,),
    "structure": (dict,),
}


def body_problems(value: Any, shape: Any, where: str = "") -> list[str]:
    """What in a JSON body the shape does not have, or has as another type; botocore mends both in silence."""
    if shape.type_name in JSON_TYPES and not isinstance(value, JSON_TYPES[shape.type_name]):
        return [f"{where}: {value!r} is no {shape.type_name}"]
    if shape.type_name == "list":
        return [problem for item in value for problem in body_problems(item, shape.member, f"{where}[]")]
    if shape.type_name != "structure":
        return []
    members = {member.serialization.get("name", name): member for name, member in shape.members.items()}
    found = [f"{where}.{name}: unknown" for name in value if name not in members]
    for name in value.keys() & members.keys():
        found += body_problems(value[name], members[name], f"{where}.{name}")
    return found


def misfits(value: Any, shape: Any, where: str = "") -> list[str]:
    """The values that break an enum, a pattern or a greatest length of the model, which botocore does not look at."""

    if shape.type_name == "structure":
        return [bad for name, each in value.items() for bad in misfits(each, shape.members[name], f"{where}.{name}")]
    if shape.type_name == "list":
        return [bad for each in value for bad in misfits(each, shape.member, f"{where}[]")]
    if shape.type_name != "string":
        return []
    rules = shape.metadata
    if rules.get("enum") and value not in rules["enum"]:
        return [f"{where}: {value!r} is not in its enum"]
    if (pattern := rules.get("pattern")) and not re.fullmatch(pattern, value):
        return [f"{where}: {value!r} does not match {pattern}"]
    return [f"{where}: too long"] if len(value) > rules.get("max", len(value)) else []
