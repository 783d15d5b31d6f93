"""Delivers a message as a signed POST, in the form of standardwebhooks.com, to a configured address and no other.

A webhook must not become a way into the own network: the host is resolved once, every address is checked, and the
connection goes to the address that was checked. Redirects are not followed.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import http.client
import ipaddress
import json
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, urlsplit

from durable_engine.delivery.errors import DeliveryFailed, Undeliverable

TIMEOUT_SECONDS = 10.0
# Of all of it: a time-out of the socket begins anew with each byte, and the lease of the message runs meanwhile.
LONGEST_SECONDS = 30.0
SECRET_PREFIX = "whsec_"  # noqa: S105 - marks a secret that is base64
LARGEST_REPLY = 65_536


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where to, signed with what, and whether it may lie inside the own network."""

    url: str
    secret: str
    allow_private: bool = False


def post_webhook(endpoint: Endpoint, data: Mapping[str, Any], message_id: str) -> None:
    """POST the data as JSON; any reply of 2xx is a delivery.

    Headers: `webhook-id`, the same at each attempt; `webhook-timestamp`; `webhook-signature`, `v1,` and the base64 of
    the HMAC-SHA256 of `id.timestamp.body`.

    Raises:
        Undeliverable: the other side answers 410, or the address is not allowed.
        DeliveryFailed: it can't be reached, is too slow, or answers anything else.
    """
    body = json.dumps(data, ensure_ascii=False).encode()
    timestamp = str(int(time.time()))
    headers = {
        "content-type": "application/json",
        "user-agent": "Perdure-Webhook/1",
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": signature(endpoint.secret, message_id, timestamp, body),
    }
    status = _post(urlsplit(endpoint.url), headers, body, allow_private=endpoint.allow_private)
    if status == http.HTTPStatus.GONE:
        raise Undeliverable("the webhook answered 410, so it is gone for good")
    if not 200 <= status < 300:
        raise DeliveryFailed(f"the webhook answered {status}")


def signature(secret: str, message_id: str, timestamp: str, body: bytes) -> str:
    """Return the signature of a delivery, for the receiving side to compare in constant time."""
    is_encoded = secret.startswith(SECRET_PREFIX)
    key = base64.b64decode(secret.removeprefix(SECRET_PREFIX)) if is_encoded else secret.encode()
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()


def _post(url: SplitResult, headers: Mapping[str, str], body: bytes, *, allow_private: bool) -> int:
    host = url.hostname or ""
    port = url.port or (443 if url.scheme == "https" else 80)
    address = _checked_address(host, port, allow_private=allow_private)
    connection = _Connection(host, port, address, is_tls=url.scheme == "https")
    path = (url.path or "/") + (f"?{url.query}" if url.query else "")
    too_long = threading.Timer(LONGEST_SECONDS, connection.cut)
    too_long.start()
    try:
        connection.request("POST", path, body, dict(headers))
        reply = connection.getresponse()
        # Delivered or not by now; read so that the other side is not cut off in the middle of its reply.
        with contextlib.suppress(OSError, http.client.HTTPException):
            reply.read(LARGEST_REPLY)
        return reply.status
    except (OSError, http.client.HTTPException) as error:
        raise DeliveryFailed(f"the webhook can't be reached: {type(error).__name__}: {error}") from error
    finally:
        too_long.cancel()
        connection.close()


def _checked_address(host: str, port: int, *, allow_private: bool) -> str:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise DeliveryFailed(f"the webhook's host {host} can't be resolved: {error}") from error
    addresses = [str(entry[4][0]) for entry in found]
    for address in addresses:
        if not allow_private and not _is_public(address):
            raise Undeliverable(
                f"the webhook's host {host} has the address {address}, which is not public; "
                "DURABLE_WEBHOOKS_PRIVATE=1 allows that"
            )
    return addresses[0]


def _is_public(text: str) -> bool:
    address = ipaddress.ip_address(text.partition("%")[0])
    inner = getattr(address, "ipv4_mapped", None) or getattr(address, "sixtofour", None)
    return (inner or address).is_global and not address.is_multicast


class _Connection(http.client.HTTPConnection):
    """A connection to an address that was checked, whatever the host resolves to by now."""

    def __init__(self, host: str, port: int, address: str, *, is_tls: bool) -> None:
        super().__init__(host, port, timeout=TIMEOUT_SECONDS)
        self._address = address
        self._is_tls = is_tls

    def connect(self) -> None:
        """Connect, with TLS for the host's own name."""
        self.sock = socket.create_connection((self._address, self.port), TIMEOUT_SECONDS)
        if self._is_tls:
            self.sock = ssl.create_default_context().wrap_socket(self.sock, server_hostname=self.host)

    def cut(self) -> None:
        """End whatever is under way, from another thread."""
        if self.sock is not None:
            with contextlib.suppress(OSError):
                # Of the plain socket: that of TLS would give up its state under the one who reads.
                socket.socket.shutdown(self.sock, socket.SHUT_RDWR)
