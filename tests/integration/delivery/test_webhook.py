"""Signed POSTs to configured addresses: what is sent, what counts as delivered, and what is never reached."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import json
import socket
import socketserver
import threading
from collections.abc import Iterator

import pytest

from durable_engine.delivery import webhook
from durable_engine.delivery.errors import DeliveryFailed, Undeliverable
from durable_engine.delivery.webhook import Endpoint, post_webhook
from tests.integration.delivery.receiver import Receiver, receiver

SECRET = "a-secret-of-32-characters-or-more-x"


@pytest.fixture
def other_side() -> Iterator[Receiver]:
    with receiver() as found:
        yield found


def test_the_receiver_can_check_the_signature_with_the_secret(other_side: Receiver) -> None:
    post_webhook(Endpoint(other_side.url, SECRET, allow_private=True), {"title": "Ü"}, "message-1")
    headers, body = other_side.received[0]
    assert json.loads(body) == {"title": "Ü"}
    assert headers["webhook-id"] == "message-1"
    signed = f"message-1.{headers['webhook-timestamp']}.".encode() + body
    expected = base64.b64encode(hmac.digest(SECRET.encode(), signed, hashlib.sha256)).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"


def test_a_secret_of_the_standard_s_form_is_decoded(other_side: Receiver) -> None:
    key = b"k" * 32
    secret = "whsec_" + base64.b64encode(key).decode()
    post_webhook(Endpoint(other_side.url, secret, allow_private=True), {}, "m")
    headers, body = other_side.received[0]
    expected = base64.b64encode(hmac.digest(key, f"m.{headers['webhook-timestamp']}.".encode() + body, hashlib.sha256))
    assert headers["webhook-signature"] == f"v1,{expected.decode()}"


@pytest.mark.parametrize("status", [301, 302, 307, 400, 404, 429, 500])
def test_anything_but_success_is_tried_again_and_redirects_are_not_followed(other_side: Receiver, status: int) -> None:
    other_side.answers = [status]
    with pytest.raises(DeliveryFailed, match=str(status)) as failed:
        post_webhook(Endpoint(other_side.url, SECRET, allow_private=True), {}, "m")
    assert not isinstance(failed.value, Undeliverable)
    assert len(other_side.received) == 1


def test_a_receiver_that_is_gone_for_good_is_given_up(other_side: Receiver) -> None:
    other_side.answers = [410]
    with pytest.raises(Undeliverable, match="410"):
        post_webhook(Endpoint(other_side.url, SECRET, allow_private=True), {}, "m")


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "[::1]", "10.0.0.1", "169.254.169.254", "192.168.1.1", "[::ffff:127.0.0.1]", "0.0.0.0"],
)
def test_an_address_inside_the_own_network_is_never_reached(other_side: Receiver, host: str) -> None:
    with pytest.raises(Undeliverable, match="not public"):
        post_webhook(Endpoint(f"http://{host}:{other_side.port}/", SECRET), {}, "m")
    assert other_side.received == []


def test_nobody_listening_is_a_failure_that_passes() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/"
        with pytest.raises(DeliveryFailed, match="can't be reached") as failed:
            post_webhook(Endpoint(url, SECRET, allow_private=True), {}, "m")
    assert not isinstance(failed.value, Undeliverable)
    assert SECRET not in str(failed.value)


@pytest.mark.parametrize(
    ("begins", "is_delivered"),
    [(b"HTTP/1.1 ", False), (b"HTTP/1.1 200 OK\r\ncontent-length: 9000\r\n\r\n", True)],
    ids=["status", "body"],
)
def test_a_receiver_that_sends_byte_after_byte_for_ever_is_cut_off(
    monkeypatch: pytest.MonkeyPatch, begins: bytes, is_delivered: bool
) -> None:
    """What it had said by then counts."""
    monkeypatch.setattr(webhook, "LONGEST_SECONDS", 3.0)
    outcome = contextlib.nullcontext() if is_delivered else pytest.raises(DeliveryFailed, match="can't be reached")
    with dripping(begins) as url, outcome:
        post_webhook(Endpoint(url, SECRET, allow_private=True), {}, "m")


@contextlib.contextmanager
def dripping(begins: bytes) -> Iterator[str]:
    """Run a server that answers with these bytes, and then one more every 20 ms until the other side is gone."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.sendall(begins)
            with contextlib.suppress(OSError):
                while not stopping.wait(0.02):
                    self.request.sendall(b"x")

    stopping = threading.Event()
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/"
        finally:
            stopping.set()
            server.shutdown()
            thread.join()
