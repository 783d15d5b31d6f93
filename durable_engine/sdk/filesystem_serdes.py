"""`FileSystemSerDes`: values in files of a shared file system, and only a reference to them in the history."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4

from durable_engine.sdk.exceptions import RetryableSerDesError, SerDesError, ValidationError
from durable_engine.sdk.serdes import EXTENDED_TYPES_SERDES, SerDes, SerDesContext

__all__ = [
    "FileSystemPathEncoding",
    "FileSystemSerDes",
    "FileSystemSerDesConfig",
    "FileSystemSerDesMode",
    "GeneratePreview",
]

GeneratePreview = Callable[[Any], dict[str, Any] | None]

# What a step may store, less what stands around it.
OVERFLOW_BYTES = 256 * 1024 - 1024

_EXECUTION_ARN = re.compile(r"arn:[^:]*:lambda:[^:]*:[^:]*:function:([^:/]+):[^/]+/durable-execution/([^/]+)/([^/]+)")


class FileSystemSerDesMode(StrEnum):
    """When a value goes into a file: each one, or only one that the history could not hold."""

    ALWAYS = "ALWAYS"
    OVERFLOW = "OVERFLOW"


class FileSystemPathEncoding(StrEnum):
    """How files are named: readable, after function, execution and operation, or by hashes of a fixed length."""

    URI = "URI"
    HASH = "HASH"


@dataclass(frozen=True)
class FileSystemSerDesConfig:
    """Options of `FileSystemSerDes`.

    `generate_preview` makes the few fields that the history keeps beside the reference, see `build_preview`. `serdes`
    makes the text of a value.
    """

    storage_mode: FileSystemSerDesMode = FileSystemSerDesMode.ALWAYS
    path_encoding: FileSystemPathEncoding = FileSystemPathEncoding.URI
    generate_preview: GeneratePreview | None = None
    serdes: SerDes[Any] = EXTENDED_TYPES_SERDES

    def __post_init__(self) -> None:
        if not isinstance(self.storage_mode, FileSystemSerDesMode):
            raise ValidationError(
                f"FileSystemSerDesConfig.storage_mode must be a FileSystemSerDesMode, not {self.storage_mode!r}"
            )
        if not isinstance(self.path_encoding, FileSystemPathEncoding):
            raise ValidationError(
                f"FileSystemSerDesConfig.path_encoding must be a FileSystemPathEncoding, not {self.path_encoding!r}"
            )
        if not isinstance(self.serdes, SerDes):
            raise ValidationError(f"FileSystemSerDesConfig.serdes must be an instance of a SerDes, not {self.serdes!r}")


class FileSystemSerDes(SerDes[Any]):
    """Stores values in files below `base_path`, which every worker must see at the same place.

    A file is complete when it is there, and never changes: its name carries a hash of its content, so a worker that
    lost its execution cannot change what another one recorded. Nothing deletes files; remove those of executions that
    are deleted by a rule of the file system.
    """

    def __init__(self, base_path: str | os.PathLike[str], config: FileSystemSerDesConfig | None = None) -> None:
        self._base = Path(base_path)
        self._config = config or FileSystemSerDesConfig()

    def serialize(self, value: Any, serdes_context: SerDesContext) -> str:
        """Write the value to its file, unless it may stand in the history, and return `{"file": …}` or `{"data": …}`.

        Raises:
            RetryableSerDesError: the file system refused; the invocation is abandoned and replayed.
        """
        text = self._config.serdes.serialize(value, serdes_context)
        if self._config.storage_mode is FileSystemSerDesMode.OVERFLOW:
            inline = json.dumps({"data": text})
            if len(inline) <= OVERFLOW_BYTES:
                return inline
        envelope: dict[str, Any] = {"file": str(self._written(text, serdes_context))}
        preview = self._config.generate_preview(value) if self._config.generate_preview else None
        if preview:
            envelope["preview"] = preview
        return json.dumps(envelope)

    def deserialize(self, data: str, serdes_context: SerDesContext) -> Any:
        """Return the value that is in the file, or in the text itself.

        Raises:
            SerDesError: the file is gone, or outside `base_path`, or the text is none of ours.
            RetryableSerDesError: the file system could not be read.
        """
        envelope = json.loads(data)
        if not isinstance(envelope, dict) or not envelope.keys() & {"file", "data"}:
            raise SerDesError(f"not written by FileSystemSerDes: {data[:80]}")
        text = self._read(str(envelope["file"])) if "file" in envelope else str(envelope["data"])
        return self._config.serdes.deserialize(text, serdes_context)

    def _written(self, text: str, context: SerDesContext) -> Path:
        content = text.encode()
        digest = hashlib.sha256(content).hexdigest()[:16]
        directory = self._directory(context.durable_execution_arn)
        path = directory / f"{self._segment(context.operation_id or 'result')}.{digest}.json"
        try:
            directory.mkdir(parents=True, exist_ok=True)
            partial = path.with_name(f"{path.name}.{uuid4().hex}.part")
            with partial.open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
        except OSError as error:
            raise RetryableSerDesError(f"{path} could not be written: {error}") from error
        return path

    def _read(self, name: str) -> str:
        path = Path(os.path.normpath(name))
        # The history may hold what others sent: it must not name any file of the machine.
        if not path.is_relative_to(os.path.normpath(self._base)):
            raise SerDesError(f"{name} is not below {self._base}, the base_path of this FileSystemSerDes")
        try:
            return path.read_text(encoding="utf-8")
        except FileNotFoundError as error:
            raise SerDesError(f"{name} is gone: put it back, or mount the file system that holds it") from error
        except OSError as error:
            raise RetryableSerDesError(f"{name} could not be read: {error}") from error

    def _directory(self, arn: str) -> Path:
        named = _EXECUTION_ARN.fullmatch(arn)
        if self._config.path_encoding is FileSystemPathEncoding.URI and named:
            return self._base.joinpath(*map(self._segment, named.groups()))
        return self._base / self._segment(arn)

    def _segment(self, text: str) -> str:
        if self._config.path_encoding is FileSystemPathEncoding.HASH:
            return hashlib.sha256(text.encode()).hexdigest()
        # A name of dots alone would be a directory above.
        return quote(text, safe="").replace(".", "%2E") or "%00"
