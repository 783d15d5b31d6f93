"""What installed apps plug into the engine: sweeps of the scheduler.

Register in `AppConfig.ready()`. The engine never imports the apps; they find each other here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sweep:
    """A bounded job of the scheduler. `function` returns how much it did, so a full batch is followed by another."""

    name: str
    function: Callable[[], int]
    every_seconds: float


_sweeps: dict[str, Sweep] = {}


def register_sweep(name: str, function: Callable[[], int], every_seconds: float) -> None:
    """Have the scheduler call `function` every so often; a later registration of the same name replaces it.

    Raises:
        ValueError: `every_seconds` is not more than 0.
    """
    if not every_seconds > 0:
        raise ValueError(f"every_seconds of the sweep {name!r} must be more than 0, not {every_seconds}")
    _sweeps[name] = Sweep(name, function, every_seconds)


def sweeps() -> list[Sweep]:
    """Return the registered sweeps, by name."""
    return [_sweeps[name] for name in sorted(_sweeps)]
