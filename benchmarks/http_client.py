"""A client that costs little of the machine: sends requests that were made before, over connections that stay open."""

from __future__ import annotations

import socket
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

CONNECTIONS: Final = 8  # as many as the web server has threads
BUFFER: Final = 65_536


class UnexpectedAnswer(Exception):
    """The server refused what it should have done; the message is its answer."""


@dataclass(frozen=True)
class Sent:
    """How long each request took, and all of them together."""

    milliseconds: list[float]
    seconds: float

    @property
    def per_second(self) -> float:
        """Requests a second."""
        return len(self.milliseconds) / self.seconds


def request_bytes(method: str, path: str, headers: dict[str, str], body: bytes) -> bytes:
    """Return a request as it goes over the wire."""
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode("latin-1") + body


def send_all(port: int, requests: Sequence[bytes]) -> Sent:
    """Send the requests over a few connections and wait for every answer, which must be one of 2xx."""
    shares = [requests[number::CONNECTIONS] for number in range(CONNECTIONS)]
    began = time.perf_counter()
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        taken = [each for share in pool.map(lambda share: _send(port, share), shares) for each in share]
    return Sent(taken, time.perf_counter() - began)


def _send(port: int, requests: Sequence[bytes]) -> list[float]:
    taken = []
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for request in requests:
            began = time.perf_counter()
            connection.sendall(request)
            _read_answer(connection)
            taken.append((time.perf_counter() - began) * 1000)
    return taken


def _read_answer(connection: socket.socket) -> None:
    data = b""
    while b"\r\n\r\n" not in data:
        received = connection.recv(BUFFER)
        if not received:
            raise UnexpectedAnswer("the connection was closed")
        data += received
    head, _, body = data.partition(b"\r\n\r\n")
    length = next((int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0)
    while len(body) < length:
        body += connection.recv(BUFFER)
    if not head.startswith(b"HTTP/1.1 2"):
        raise UnexpectedAnswer(f"{head.decode('latin-1')}\n\n{body.decode(errors='replace')}")
