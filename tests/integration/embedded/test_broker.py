"""The embedded broker: started, killed and used through Celery's own client."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from kombu import Connection

from durable_engine.config.env import BASE_DIR
from durable_engine.embedded import broker as broker_module
from durable_engine.embedded.broker import Broker, BrokerError
from tests.processes import descendants, wait_until_gone

pytestmark = pytest.mark.process


@pytest.fixture
def broker(home: Path) -> Iterator[Broker]:
    """A running broker."""
    broker = Broker(home)
    broker.start()
    yield broker
    broker.kill()


def test_celerys_client_can_use_its_url(broker: Broker) -> None:
    with Connection(broker.url) as connection, connection.SimpleQueue("letters") as queue:
        queue.put({"id": 1}, serializer="json")
        message = queue.get(timeout=40)
        message.ack()

    assert message.payload == {"id": 1}


def test_nobody_else_can_reach_it_and_nothing_is_evicted(broker: Broker) -> None:
    with broker.client() as client:
        found = client.config_get()

    assert (found["port"], found["maxmemory-policy"], found["appendonly"]) == ("0", "noeviction", "yes")
    assert Path(found["unixsocket"]).parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("end", [Broker.stop, Broker.kill])
def test_what_was_accepted_is_there_after_the_next_start(broker: Broker, end: object) -> None:
    with broker.client() as client:
        client.set("key", "value")
        # The file is flushed each second; this waits for it, as a kill test must not depend on luck.
        client.waitaof(1, 0, 5000)
    assert callable(end)
    end(broker)
    assert broker.pid is None

    broker.start()

    with broker.client() as client:
        assert client.get("key") == b"value"


def test_one_that_was_left_behind_is_stopped_first(broker: Broker) -> None:
    second = Broker(broker.home)

    second.start()
    try:
        assert broker.child
        assert broker.child.wait(60) == 0
        assert second.answers()
    finally:
        second.stop()


def test_it_ends_with_a_parent_that_is_killed(home: Path) -> None:
    program = (
        "import sys, pathlib, time; from durable_engine.embedded.broker import Broker; "
        "broker = Broker(pathlib.Path(sys.argv[1])); broker.start(); print(broker.pid, flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", program, str(home)], cwd=BASE_DIR, stdout=subprocess.PIPE) as parent:
        assert parent.stdout
        server = descendants(int(parent.stdout.readline()))
        parent.kill()

    assert server
    wait_until_gone(server, seconds=5)


@pytest.mark.skipif(not shutil.which("redis-server"), reason="no redis-server on PATH")
def test_a_server_on_the_path_is_used_when_none_is_carried(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker_module, "CARRIER", "no_such_package")
    broker = Broker(home)
    broker.start()
    try:
        with broker.client() as client:
            assert client.ping()
    finally:
        broker.stop()


def test_without_any_server_the_message_says_what_to_do(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker_module, "CARRIER", "no_such_package")
    monkeypatch.setenv("PATH", "/nonexistent")

    with pytest.raises(BrokerError, match="set BROKER_URL to a running Redis"):
        Broker(home).start()
