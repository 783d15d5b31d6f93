"""What installed apps plug into the engine: sweeps of the scheduler, and the content of their messages.

Register in `AppConfig.ready()`. The engine never imports the apps; they find each other here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Sweep:
    """A bounded job of the scheduler. `function` returns how much it did, so a full batch is followed by another."""

    name: str
    function: Callable[[], int]
    every_seconds: float


_sweeps: dict[str, Sweep] = {}


def register_sweep(name: str, function: Callable[[], int], every_seconds: float) -> None:
    """Have the scheduler call `function` every so often; a later registration of the same name replaces it.

    Apps' sweeps run one after the other in a thread of their own.

    Raises:
        ValueError: `every_seconds` is not more than 0.
    """
    if not every_seconds > 0:
        raise ValueError(f"every_seconds of the sweep {name!r} must be more than 0, not {every_seconds}")
    _sweeps[name] = Sweep(name, function, every_seconds)


def sweeps() -> list[Sweep]:
    """Return the registered sweeps, by name."""
    return [_sweeps[name] for name in sorted(_sweeps)]


@dataclass(frozen=True, slots=True)
class Message:
    """What is told to somebody: as mail or chat `subject`, `text` and perhaps `html`; to a program `data`, as JSON."""

    subject: str
    text: str
    html: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message of the outbox that is about to be made: where it goes, and the payload it was enqueued with."""

    channel: str
    recipient: str
    payload: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class MessageMaker:
    """Makes the messages of a topic when they are delivered; None for one that is no longer needed.

    `failed` is told of a message that was given up, with the last error.
    """

    make: Callable[[Outgoing], Message | None]
    failed: Callable[[Outgoing, str], None] | None = None


_makers: dict[str, MessageMaker] = {}


def register_messages(topic: str, maker: MessageMaker) -> None:
    """Have the outbox's messages of a topic made by `maker`; a later registration of the same topic replaces it."""
    _makers[topic] = maker


def message_maker(topic: str) -> MessageMaker | None:
    """Return who makes the messages of a topic; None when the app is no longer installed."""
    return _makers.get(topic)
