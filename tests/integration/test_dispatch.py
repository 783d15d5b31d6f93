"""Hints reach the broker, and a broker that is away never slows down or fails whoever has committed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from base64 import b64decode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.conf import settings
from django.db import transaction
from django.test import override_settings
from uuid_utils.compat import uuid7

from durable_engine import dispatch
from durable_engine.embedded import paths
from durable_engine.embedded.broker import Broker

pytestmark = pytest.mark.process

SECONDS = 40.0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    broker = Broker(tmp_path_factory.mktemp("broker"))
    broker.start()
    yield broker
    broker.kill()
    paths.remove_socket_directory(broker.home)


@pytest.fixture
def broker(server: Broker, monkeypatch: pytest.MonkeyPatch) -> Iterator[Broker]:
    """A broker of the module's own, empty, which tests may stop."""
    if server.pid is None:
        server.start()
    monkeypatch.setattr(dispatch, "BREAK_SECONDS", 0.3)
    with server.client() as client:
        client.flushall()
    with override_settings(CELERY={**settings.CELERY, "broker_url": server.url}):
        dispatch._start_over()
        yield server
    dispatch._start_over()


def connect(broker: Broker) -> None:
    """Publish until a hint has arrived: on a busy machine the first may be given up, which stops the next ones."""

    def arrives() -> bool:
        [sent] = ids(1)
        dispatch.publish([sent], queue="durable")
        return str(sent) in hints(broker)

    until(arrives)


def hints(broker: Broker, queue: str = "durable") -> list[str]:
    """The executions named by the messages in a queue, oldest first."""
    with broker.client() as client:
        raw: Any = client.lrange(f"{settings.DURABLE_KEY_PREFIX}{queue}", 0, -1)
    return [json.loads(b64decode(json.loads(message)["body"]))[0][0] for message in reversed(raw)]


def seconds_of(action: Callable[[], object]) -> float:
    before = time.perf_counter()
    action()
    return time.perf_counter() - before


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def ids(count: int) -> list[UUID]:
    return [uuid7() for _ in range(count)]


def test_each_execution_gets_one_message_that_names_it_and_nothing_else(broker: Broker) -> None:
    wanted = ids(3)

    dispatch.publish(wanted, queue="durable")

    assert hints(broker) == [str(each) for each in wanted]
    with broker.client() as client:
        raw: Any = client.lindex(f"{settings.DURABLE_KEY_PREFIX}durable", 0)
    message = json.loads(raw)
    assert message["headers"]["task"] == "durable_engine.run_execution"
    assert message["headers"]["ignore_result"] is True
    assert json.loads(b64decode(message["body"]))[1] == {}


def test_a_bulk_of_executions_gets_a_hundred_hints_at_most(broker: Broker) -> None:
    dispatch.publish(ids(1000), queue="durable")

    until(lambda: dispatch.waiting_hints() == 100)


def test_hints_go_to_the_queue_of_the_execution(broker: Broker) -> None:
    dispatch.publish(ids(1), queue="slow")

    assert (len(hints(broker, "slow")), hints(broker)) == (1, [])


@pytest.mark.django_db(transaction=True)
def test_a_hint_is_sent_on_commit_and_not_after_a_rollback(broker: Broker) -> None:
    kept, dropped = ids(2)

    with transaction.atomic():
        dispatch.publish_on_commit([kept], queue="durable")
        assert hints(broker) == []
    with transaction.atomic():
        dispatch.publish_on_commit([dropped], queue="durable")
        transaction.set_rollback(True)

    assert hints(broker) == [str(kept)]


def test_with_the_broker_down_publishing_gives_up_at_once_and_works_again_when_it_is_back(broker: Broker) -> None:
    connect(broker)
    broker.stop()

    durations = [seconds_of(lambda: dispatch.publish(ids(1), queue="durable")) for _ in range(20)]

    assert sorted(durations)[-2] < 0.3  # one may fall victim to a busy machine
    assert dispatch.waiting_hints() is None
    broker.start()
    [last] = ids(1)

    def arrives() -> bool:
        dispatch.publish([last], queue="durable")
        return str(last) in hints(broker)

    until(arrives)


def test_with_the_broker_hanging_one_caller_waits_a_fifth_of_a_second_and_the_next_ones_do_not(broker: Broker) -> None:
    connect(broker)
    assert broker.pid is not None
    os.kill(broker.pid, signal.SIGSTOP)
    try:
        durations = [seconds_of(lambda: dispatch.publish(ids(1), queue="durable")) for _ in range(20)]
    finally:
        os.kill(broker.pid, signal.SIGCONT)

    assert 0.15 < durations[0] < 2  # 6 s without a limit of ours
    assert sorted(durations[1:])[-3] < 0.05  # after a while one call tries again


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # the pool of a worker forks in just this way
def test_a_forked_process_publishes_on_a_connection_of_its_own(broker: Broker) -> None:
    dispatch.publish(ids(1), queue="durable")
    child = os.fork()
    if child == 0:
        dispatch.publish(ids(1), queue="durable")
        os._exit(0)
    os.waitpid(child, 0)
    dispatch.publish(ids(1), queue="durable")

    until(lambda: len(hints(broker)) == 3)


def test_a_process_that_exits_right_after_publishing_has_sent_its_hint(broker: Broker) -> None:
    program = (
        "import django; django.setup(); from uuid import UUID; from durable_engine import dispatch; "
        "dispatch.publish([UUID(int=7)], queue='durable')"
    )
    env = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "durable_engine.config.settings",
        "BROKER_URL": broker.url,
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }

    subprocess.run([sys.executable, "-c", program], env=env, check=True)

    assert hints(broker) == [str(UUID(int=7))]


def test_a_poke_wakes_a_listener_and_only_what_is_due_before_its_tick_pokes(broker: Broker) -> None:
    listener = dispatch.Broker(SECONDS)
    dispatch.poke_scheduler(None)
    dispatch.poke_scheduler(settings.DURABLE_SCHEDULER_TICK_SECONDS * 2)
    assert not listener.wait_for_poke(0.1)

    dispatch.poke_scheduler(settings.DURABLE_SCHEDULER_TICK_SECONDS / 2)

    assert listener.wait_for_poke(SECONDS)
    listener.close()


def test_pokes_that_nobody_hears_do_not_pile_up(broker: Broker) -> None:
    for _ in range(50):
        dispatch.poke_scheduler(0.0)
    dispatch.publish(ids(1), queue="durable")  # jobs are done in order: the pokes are through

    with broker.client() as client:
        waiting: Any = client.llen(f"{settings.DURABLE_KEY_PREFIX}{dispatch.POKES}")
    assert waiting == dispatch.MOST_POKES


def test_single_hints_in_quick_succession_are_sent_together_and_none_of_their_executions_is_left(
    broker: Broker,
) -> None:
    first, *others = ids(50)
    dispatch.publish([first], queue="durable")
    for each in others:
        dispatch.publish([each], queue="durable")
    dispatch.publish([last := ids(1)[0]], queue="slow")

    until(lambda: dispatch.waiting_hints("slow") == 1)
    until(lambda: (dispatch.waiting_hints() or 0) >= 2)
    sent = hints(broker)
    # The last of them was sent after every one of these executions had been committed.
    assert sent[0] == str(first)
    assert 2 <= len(sent) < 50
    assert hints(broker, "slow") == [str(last)]
