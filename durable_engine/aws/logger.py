"""The logger's name in the AWS package."""

from __future__ import annotations

from durable_engine.sdk.logger import ReplayAwareLogger
from durable_engine.sdk.types import LoggerInterface

__all__ = ["Logger", "LoggerInterface"]

Logger = ReplayAwareLogger
