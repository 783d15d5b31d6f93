"""What is taken down of what handlers log and print, without a database."""
# ruff: noqa: T201 - printing is what it is about

from __future__ import annotations

import contextvars
import json
import logging
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from uuid_utils.compat import uuid7

from durable_engine import ChildConfig, DurableContext, Duration, RetryPresets, StepConfig, durable_execution
from durable_engine.sdk import registry
from durable_engine.testing.runner import DurableFunctionTestRunner
from durable_engine.worker import handler_log, log_store
from durable_engine.worker.handler_log import HandlerLog

Lines = list[dict[str, Any]]
Said = Callable[..., Lines]


@pytest.fixture
def said(tmp_path: Path) -> Said:
    """Run a handler, and return what was taken down of it."""

    def say(handler: Callable[[Any, DurableContext], Any], *, crash: str | None = None) -> Lines:
        file = tmp_path / "handlers.jsonl"
        log = HandlerLog(file, None)
        # Not in the fixture itself: pytest changes sys.stdout between the set-up and the test.
        log.install()
        try:
            run(handler, crash=crash)
            log.end_of_invocation()
        finally:
            log.uninstall()
        return [json.loads(line) for line in file.read_text().splitlines()]

    return say


class Own:
    """A logger that is none of Python's."""

    def info(self, msg: object, *args: object, extra: object = None) -> None: ...

    debug = warning = error = exception = info


def run(handler: Callable[[Any, DurableContext], Any], *, crash: str | None = None) -> None:
    with registry.isolated(), DurableFunctionTestRunner(durable_execution(name="talks")(handler)) as runner:
        if crash is not None:
            runner.crash_after(crash)
        runner.run()


def test_records_carry_execution_operation_and_attempt_and_their_own_fields(said: Said) -> None:
    failures = [ValueError("once")]

    def body(step: Any) -> None:
        step.logger.info("trying %s of %d", "one", 2, extra={"order": "A-7"})
        if failures:
            raise failures.pop()

    def handler(event: Any, context: DurableContext) -> None:
        context.logger.warning("begins")
        retries = StepConfig(retry_strategy=RetryPresets.fixed(Duration(1)))
        context.run_in_child_context(lambda child: child.step(body, name="try", config=retries), "child")

    began, first, second = said(handler)

    assert (began["level"], began["message"], "operationId" in began) == ("WARNING", "begins", False)
    assert (first["message"], first["order"], first["operationName"]) == ("trying one of 2", "A-7", "try")
    assert (first["operationId"], first["parentId"]) == ("1-1", "1")
    assert [first["attempt"], second["attempt"]] == [1, 2]
    assert len({line["executionArn"] for line in (began, first, second)}) == 1
    assert all(isinstance(line["timestamp"], int) for line in (began, first, second))


def test_what_is_replayed_is_silent_whatever_it_speaks_by(said: Said) -> None:
    def handler(event: Any, context: DurableContext) -> None:
        print("print before")
        context.logger.info("log before")
        logging.getLogger("shop").warning("other before")
        context.step(lambda step: print("in the step"), name="step")
        context.wait(Duration(5))
        print("print after")
        context.run_in_child_context(
            lambda child: (print("in the child"), child.step(lambda step: 1)), "child", ChildConfig(is_virtual=True)
        )
        context.map([1, 2], lambda child, item, *_: child.step(lambda step: print("branch", item)), "map")

    messages = [line["message"] for line in said(handler, crash="step")]

    assert messages[:6] == ["print before", "log before", "other before", "in the step", "print after", "in the child"]
    assert sorted(messages[6:]) == ["branch 1", "branch 2"]


def test_lines_are_whole_however_they_are_printed(said: Said, capsys: pytest.CaptureFixture[str]) -> None:
    def handler(event: Any, context: DurableContext) -> None:
        print("a", 1, end=" ")
        print("b\nc\n\nd")
        print("flushed", end="", flush=True)
        print("oops", file=sys.stderr)
        context.step(lambda step: print("no newline", end=""), name="step")
        print("after the step")

    taken = [(line["message"], line["stream"], line.get("operationName")) for line in said(handler)]

    assert taken == [
        ("a 1 b", "stdout", None),
        ("c", "stdout", None),
        ("d", "stdout", None),
        ("flushed", "stdout", None),
        ("oops", "stderr", None),
        ("no newline", "stdout", "step"),
        ("after the step", "stdout", None),
    ]
    assert "no newlineafter the step" in capsys.readouterr().out


def test_an_exception_comes_with_its_traceback(said: Said) -> None:
    def handler(event: Any, context: DurableContext) -> None:
        for log in (context.logger, logging.getLogger("shop")):
            try:
                raise LookupError("no such order")
            except LookupError:
                log.exception("failed")

    assert ["LookupError: no such order" in line["exception"] for line in said(handler)] == [True, True]


def test_what_json_cannot_hold_is_written_as_text(said: Said, monkeypatch: pytest.MonkeyPatch) -> None:
    # pytest's own handlers would put the half character into a report, which cannot be sent to another process.
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    circle: list[Any] = []
    circle.append(circle)

    def handler(event: Any, context: DurableContext) -> None:
        context.logger.info("\x00 \ud800", extra={"odd": object, "nan": float("nan"), "circle": circle, "timestamp": 3})
        context.set_logger(Own())
        context.logger.info("%d", "no number")

    first, second = said(handler)

    assert (first["message"], first["odd"], first["nan"]) == ("\x00 \ud800", repr(object), "nan")
    assert first["timestamp"] > 3
    assert "no number" in second["message"]


def test_only_handlers_are_taken_down_and_only_what_their_logger_lets_through(said: Said) -> None:
    def handler(event: Any, context: DurableContext) -> None:
        context.logger.debug("below the level")
        logging.getLogger("durable_engine.storage").warning("the engine speaks of itself")
        logging.getLogger("celery.redirected").warning("what celery makes of a print")
        outside = contextvars.Context()
        outside.run(print, "outside of any handler")
        outside.run(logging.getLogger("shop").warning, "outside of any handler")

    assert said(handler) == []


def test_a_logger_of_the_authors_own_is_taken_down_too(said: Said) -> None:
    def handler(event: Any, context: DurableContext) -> None:
        context.set_logger(Own())
        context.logger.info("by another logger")

    assert [line["message"] for line in said(handler)] == ["by another logger"]


def test_a_file_that_cannot_be_written_ends_no_execution(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    log = HandlerLog(tmp_path, None)  # a directory
    assert f"DURABLE_HANDLER_LOG={tmp_path} can't be written" in caplog.text
    log.install()
    try:
        run(lambda event, context: context.logger.info("lost"))
    finally:
        log.uninstall()


def test_several_processes_append_to_one_file_and_last_words_are_there(tmp_path: Path) -> None:
    file = tmp_path / "handlers.jsonl"
    code = textwrap.dedent(f"""
        import os, signal, sys
        from pathlib import Path
        from durable_engine import durable_execution
        from durable_engine.testing.runner import DurableFunctionTestRunner
        from durable_engine.worker.handler_log import HandlerLog

        HandlerLog(Path({str(file)!r}), None).install()

        @durable_execution(name="talks")
        def talks(event, context):
            for number in range(300):
                context.logger.warning("x" * number, extra={{"who": event}})
            print("last words of", event)
            os.kill(os.getpid(), signal.SIGKILL)

        DurableFunctionTestRunner(talks).run(sys.argv[1])
    """)
    processes = [subprocess.Popen([sys.executable, "-c", code, str(number)]) for number in range(3)]
    assert [process.wait(60) for process in processes] == [-9, -9, -9]

    found = [json.loads(line) for line in file.read_text().splitlines()]
    for number in range(3):
        own = [line["message"] for line in found if line.get("who") == number]
        assert own == ["x" * length for length in range(300)]
        assert any(line["message"] == f"last words of {number}" for line in found)


def test_what_the_pages_keep_of_a_record_is_bounded() -> None:
    arn = "arn:aws:lambda:eu-west-1:000000000000:function:f:$LATEST/durable-execution/n/" + str(uuid7())
    fields = {"executionArn": arn, "operationId": "1", "operationName": "n" * 300, "attempt": 2, "big": "y" * 20_000}

    record = log_store._record(1.5, "WARNING", "\x00" + "x" * 20_000, fields)

    assert record is not None
    assert (record.operation_id, len(record.operation_name or ""), record.attempt) == ("1", 256, 2)
    assert len(record.message) <= log_store.MOST_CHARACTERS + 1
    assert "\x00" not in record.message
    assert len(json.loads(record.fields or "")["cut"]) <= log_store.MOST_CHARACTERS + 1
    assert log_store._record(1.5, "INFO", "x", {"executionArn": "no id"}) is None


def test_the_json_of_odd_fields_can_always_be_read() -> None:
    assert json.loads(handler_log.json_text({"ok": 1, "bad": {("tuple",): 1}}))["ok"] == 1
