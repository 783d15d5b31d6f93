"""System checks: what `manage.py check` says about the installed handlers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from django.apps import AppConfig
from django.core.checks import CheckMessage, Warning, register

from durable_engine.sdk import registry
from durable_engine.sdk.determinism import Finding, look_at

DETERMINISM: Final = "determinism"
_IDS: Final = {"determinism": "durable_engine.W001", "callback-gap": "durable_engine.W002"}


@register(DETERMINISM)
def check_determinism(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Warn of calls in handlers that answer anew, or act again, at each replay; with file and line."""
    found: dict[tuple[str, int, str], tuple[Finding, str]] = {}
    for handler in registry.all_handlers():
        for finding in look_at(handler):
            found.setdefault((finding.file, finding.line, finding.message), (finding, handler.key))
    return [_message(finding, function) for finding, function in found.values()]


def _message(finding: Finding, function: str) -> CheckMessage:
    return Warning(
        f"{finding.file}:{finding.line}: {finding.message}",
        hint="If it is harmless there, say so with the comment `# replay: ok` on its line.",
        obj=f"the function {function}",
        id=_IDS[finding.code],
    )
