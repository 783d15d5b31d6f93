"""`record_history` and `replay_check`: what a deploy would do to recorded and to running executions."""

from __future__ import annotations

from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command

from durable_engine import DurableContext, durable_execution
from durable_engine.models import Event, Execution
from durable_engine.sdk import registry
from tests.factories import add_event, make_execution

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def orders() -> Iterator[object]:
    """The function of the executions, as its code is today."""

    def handler(event: object, context: DurableContext) -> object:
        return context.step(lambda step: "charged", name="charge")

    with registry.isolated():
        yield durable_execution(name="orders")(handler)


def order(step: str, *, status: str = "SUSPENDED", version: int = 1) -> Execution:
    """An execution whose first step has this name."""
    execution = make_execution(status=status, version=version)
    common = {"operation_id": "1", "subtype": "Step", "name": step, "attempt": 1}
    add_event(execution, "StepStarted", **common)
    add_event(execution, "StepSucceeded", payload='"charged"', **common)
    return execution


def checked(*words: str) -> str:
    out = StringIO()
    call_command("replay_check", *words, stdout=out)
    return out.getvalue()


def refused(*words: str) -> str:
    out = StringIO()
    with pytest.raises(CommandError) as refusal:
        call_command("replay_check", *words, stdout=out)
    return f"{out.getvalue()}{refusal.value}"


def test_executions_that_fit_are_counted_and_nothing_is_written() -> None:
    order("charge")
    make_execution()
    order("other", status="STOPPED")  # it has ended
    before = Event.objects.count()

    assert checked("--running") == "2 checked: today's code goes on with each.\n"
    assert Event.objects.count() == before


def test_an_execution_that_a_deploy_would_pause_is_named_with_the_difference() -> None:
    good, bad = order("charge"), order("reserve")

    told = refused("--running", "--function", "orders")

    assert f"{bad.pk} (orders:1)" in told
    assert "recorded 'reserve'" in told
    assert str(good.pk) not in told
    assert "1 of 2 would go wrong with today's code." in told


def test_a_version_that_nobody_serves_any_more_is_told() -> None:
    order("charge", version=7)

    assert "No handler is registered as orders:7." in refused("--running")


def test_a_recorded_file_is_checked_later(tmp_path: Path) -> None:
    file, out = tmp_path / "order.json", StringIO()
    call_command("record_history", str(order("charge").pk), stdout=out)
    file.write_text(out.getvalue())

    assert checked(str(file)) == "1 checked: today's code goes on with each.\n"

    file.write_text(out.getvalue().replace('"name": "charge"', '"name": "reserve"'))
    assert f"{file} (orders:1)" in refused(str(file))


def test_wrong_words_are_refused_with_the_fix(tmp_path: Path) -> None:
    broken = tmp_path / "broken.json"
    broken.write_text("{")

    assert "Name files written by `record_history`, or give --running." in refused()
    assert "--function goes with --running." in refused(str(broken), "--function", "orders")
    assert f"{broken}: not JSON" in refused(str(broken))
    assert "No such file" in refused(str(tmp_path / "missing.json"))
    with pytest.raises(CommandError, match="There is no execution"):
        call_command("record_history", str(uuid4()))
