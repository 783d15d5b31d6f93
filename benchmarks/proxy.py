"""A proxy between a worker and Postgres that counts the statements passing through."""

from __future__ import annotations

import selectors
import shutil
import socket
import struct
import threading
from pathlib import Path
from typing import Final, Self
from urllib.parse import quote, urlsplit

from psycopg.conninfo import conninfo_to_dict

CHUNK: Final = 65536
# Messages of a client that make the server run something.
QUERY, EXECUTE = ord("Q"), ord("E")


class CountingProxy:
    """Listens on a Unix socket in `directory` and forwards to the server of `url`, from a thread of its own.

    The server must accept connections without TLS. `statements` grows as clients run statements.
    """

    def __init__(self, directory: Path, url: str) -> None:
        parts = conninfo_to_dict(url)
        self.statements = 0
        self.url = urlsplit(url)._replace(netloc=_user(url), query=f"host={quote(str(directory))}&sslmode=disable").geturl()
        self._upstream = (str(parts.get("host") or "127.0.0.1"), int(parts.get("port") or 5432))
        self._directory = directory
        directory.mkdir()
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(directory / ".s.PGSQL.5432"))
        self._listener.listen(64)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ, None)

    def __enter__(self) -> Self:
        threading.Thread(target=self._run, name="counting-proxy", daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        # The thread ends with the process; without the socket nobody finds it any more.
        shutil.rmtree(self._directory, ignore_errors=True)

    def _run(self) -> None:
        while True:
            for key, _ in self._selector.select():
                if key.data is None:
                    self._accept()
                elif not key.data.forward():
                    self._end(key.data)

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        server = _connect(*self._upstream)
        there, back = _Stream(client, server, self._count), _Stream(server, client, None)
        for stream in (there, back):
            self._selector.register(stream.source, selectors.EVENT_READ, stream)

    def _end(self, stream: _Stream) -> None:
        for end in (stream.source, stream.target):
            self._selector.unregister(end)
            end.close()

    def _count(self) -> None:
        self.statements += 1


class _Stream:
    """One direction of one connection. The client's is read as messages: a type, a length, a body."""

    def __init__(self, source: socket.socket, target: socket.socket, count: object) -> None:
        raise NotImplementedError
