"""`manage.py durable` on another installation: by its URL and an API key, without its database."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from durable_engine.services.api_keys import KeyPair
from tests.api.site import Site, make_key
from tests.faults.stack import until

pytestmark = [pytest.mark.process, pytest.mark.timeout(180)]


def no_database(execute: Any, sql: str, *rest: Any) -> Any:
    raise AssertionError(f"the command line asked this process's database: {sql}")


def run(*arguments: str) -> str:
    out = io.StringIO()
    with connection.execute_wrapper(no_database):
        call_command("durable", *arguments, stdout=out)
    return out.getvalue().strip()


def run_json(*arguments: str) -> Any:
    return json.loads(run(*arguments, "--json"))


def refused(*arguments: str) -> tuple[int, str]:
    with pytest.raises(CommandError) as error:
        run(*arguments)
    return error.value.returncode, str(error.value)


@pytest.fixture(autouse=True)
def elsewhere(site: Site, pair: KeyPair, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment of somebody who works on the site from afar, with signed requests."""
    monkeypatch.setenv("DURABLE_URL", site.url)
    monkeypatch.setenv("DURABLE_ACCESS_KEY_ID", pair.key.access_key_id)
    monkeypatch.setenv("DURABLE_SECRET_ACCESS_KEY", pair.secret)


def suspended(*arguments: str) -> str:
    """Start an execution and wait until it waits; returns its id."""
    execution = run("start", *arguments)
    until(lambda: run_json("show", execution)["status"] == "SUSPENDED", "it waits")
    return execution


def test_an_execution_is_started_waited_for_shown_listed_and_followed() -> None:
    shown = run_json(
        "start", "greet", "--version", "1", "--input", '{"name": "Ana"}', "--name", "far-1", "--wait", "60"
    )
    assert (shown["status"], shown["result"], shown["created"]) == ("SUCCEEDED", {"greeting": "Hello Ana"}, True)
    assert "was started before" in run(
        "start", "greet", "--version", "1", "--input", '{"name":"Ana"}', "--name", "far-1"
    )
    assert run("show", "far-1").startswith(f"execution  {shown['id']}")
    listed = run_json("list", "--function", "greet", "--status", "SUCCEEDED", "--text", "far-1")["executions"]
    assert [row["id"] for row in listed] == [shown["id"]]
    assert shown["id"] in run("list", "--text", "far-1", "--since", "2020-01-01")
    kinds = [event["EventType"] for event in run_json("history", "far-1")["events"]]
    assert (kinds[0], kinds[-1]) == ("ExecutionStarted", "ExecutionSucceeded")
    followed = [json.loads(line) for line in run("tail", "far-1", "--json").splitlines()]
    assert [event["EventType"] for event in followed] == kinds
    assert followed[0]["EventTimestamp"].endswith("+00:00")
    assert "greet:1  far-1" in run("tail", "--text", "far-1", "--seconds", "0")
    assert any(line.startswith("greet:1") for line in run("functions").splitlines())


def test_a_callback_is_answered_and_its_execution_followed_to_the_end() -> None:
    execution = suspended("ask", "--input", "{}", "--name", "far-2")
    run("callback", "far-2", "--heartbeat")
    done = run("callback", "far-2", "--succeed", '{"approved": true}')
    assert done.startswith(f"Done: execution {execution} is ")
    assert "ExecutionSucceeded" in run("tail", execution)
    assert json.loads(run_json("show", execution)["result"]) == {"approved": True}
    assert refused("callback", "far-2", "--succeed", "1")[0] == 5
    other = suspended("ask", "--input", "{}")
    (callback,) = run_json("show", other)["callbacks"]
    assert run("callback", callback["callback_id"], "--fail", "no", "--error-type", "Refused") == "Done"
    assert refused("callback", callback["callback_id"], "--succeed", "1")[0] == 5
    code, message = refused("tail", other)
    assert (code, "is FAILED" in message) == (1, True)


def test_repairs() -> None:
    execution = suspended("sleep", "--name", "far-3", "--tag", "team=billing")
    assert run("pause", "far-3", "--reason", "stocktaking").endswith("is PAUSED")
    assert run_json("resume", "far-3")["status"] in {"PENDING", "RUNNING", "SUSPENDED"}
    assert run_json("tags", "far-3", "team=sales")["tags"] == {"team": "sales"}
    assert [row["id"] for row in run_json("list", "--tag", "team=sales")["executions"]] == [execution]
    until(lambda: run_json("show", "far-3")["status"] == "SUSPENDED", "it waits again")
    run("skip", "far-3", "night")
    until(lambda: run_json("show", "far-3")["status"] == "SUCCEEDED", "it is awake")
    fork = run("fork", "far-3", "night", "--name", "far-3-b")
    assert run_json("show", fork)["origin"] == {"id": execution, "kind": "fork"}
    assert run("stop", fork, "--reason", "enough").endswith("is STOPPED")
    redriven = run("redrive", fork)
    rewound = run("rewind", execution, "night")
    rerun = run_json("rerun", execution)
    assert rerun["origin"]["kind"] == "rerun"
    assert refused("redrive", rerun["id"])[0] == 5
    for each in (redriven, rewound, rerun["id"]):
        run("stop", each)
    assert run("delete", rerun["id"]) == f"Deleted: execution {rerun['id']}"
    assert refused("show", rerun["id"])[0] == 4


def test_refusals_have_the_exit_codes_of_the_local_command(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    assert refused("show", "nobody")[0] == 4
    assert refused("start", "nothing")[0] == 4
    assert refused("start", "greet", "--input", "{bad")[0] == 2
    assert refused("start", "greet", "--name", "a b")[0] == 2
    assert refused("show", "nobody", "--url", "ftp://example.com")[0] == 2
    code, message = refused("show", "nobody", "--url", "http://127.0.0.1:1")
    assert (code, "127.0.0.1:1 can't be reached" in message) == (6, True)
    for action in (("keys", "list"), ("bulk", "show", "0190f5fe-7c00-7000-8000-000000000001")):
        assert refused(*action)[0] == 2
    reader = make_key("reader", scopes=["read"])
    monkeypatch.setenv("DURABLE_ACCESS_KEY_ID", "")
    monkeypatch.setenv("DURABLE_TOKEN", f"{reader.key.access_key_id}.{reader.secret}")
    assert "ID" in run("list")
    code, message = refused("start", "greet")
    assert (code, "lacks the scope 'start'" in message) == (6, True)
    monkeypatch.setenv("DURABLE_TOKEN", "")
    code, message = refused("list")
    assert (code, "DURABLE_ACCESS_KEY_ID" in message) == (2, True)
