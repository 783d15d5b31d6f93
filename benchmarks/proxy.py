"""A proxy between a worker and Postgres that counts the statements passing through."""

from __future__ import annotations

import shutil
import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final, Self
from urllib.parse import quote

from psycopg.conninfo import conninfo_to_dict

CHUNK: Final = 65536
PORT: Final = 5432
# Messages of a client that make the server run a statement: a simple query, and the execution of a parsed one.
RUNS: Final = (ord("Q"), ord("E"))


class CountingProxy:
    """Listens on a Unix socket in `directory` and forwards to the server of `url`, which must do without TLS.

    Clients connect to the proxy's `url`. `statements` grows as they run statements.
    """

    def __init__(self, directory: Path, url: str) -> None:
        parts = {key: str(value) for key, value in conninfo_to_dict(url).items() if value is not None}
        login = ":".join(quote(parts[key], safe="") for key in ("user", "password") if key in parts)
        self.url = f"postgresql://{login}@/{parts['dbname']}?host={quote(str(directory))}&port={PORT}&sslmode=disable"
        self.statements = 0
        self._host, self._port = parts.get("host", "127.0.0.1"), int(parts.get("port", PORT))
        self._directory = directory
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)

    def __enter__(self) -> Self:
        self._directory.mkdir()
        self._listener.bind(str(self._directory / f".s.PGSQL.{PORT}"))
        self._listener.listen(64)
        threading.Thread(target=self._accept, name="counting-proxy", daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        # shutdown() also ends the accept() that the thread is in, which close() does not.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        shutil.rmtree(self._directory, ignore_errors=True)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = self._connect()
                threading.Thread(target=self._forward, args=(client, server), daemon=True).start()
                threading.Thread(target=_pump, args=(server, client), daemon=True).start()

    def _connect(self) -> socket.socket:
        if not self._host.startswith("/"):
            return socket.create_connection((self._host, self._port))
        server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        server.connect(f"{self._host}/.s.PGSQL.{self._port}")
        return server

    def _forward(self, client: socket.socket, server: socket.socket) -> None:
        counter = MessageCounter()

        def look(data: bytes) -> None:
            self.statements += counter.statements_in(data)

        _pump(client, server, look)


class MessageCounter:
    """Finds the statements in what one client sends: messages of a type, a length and a body, in pieces of any size."""

    def __init__(self) -> None:
        self._rest = b""
        self._skip = 0  # bytes of a message whose end has not come yet
        self._has_begun = False

    def statements_in(self, data: bytes) -> int:
        """Take the next piece; return how many statements it starts."""
        found = 0
        self._rest += data
        while True:
            skipped = min(self._skip, len(self._rest))
            self._rest, self._skip = self._rest[skipped:], self._skip - skipped
            # The first message, which names user and database, has no type.
            head = 5 if self._has_begun else 4
            if self._skip or len(self._rest) < head:
                return found
            found += self._has_begun and self._rest[0] in RUNS
            (length,) = struct.unpack("!I", self._rest[head - 4 : head])
            self._skip, self._has_begun = length + head - 4, True


def _pump(source: socket.socket, target: socket.socket, look: Callable[[bytes], None] = lambda _: None) -> None:
    with suppress(OSError):
        while data := source.recv(CHUNK):
            look(data)
            target.sendall(data)
    for end in (source, target):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
