"""System checks: what `manage.py check` says about the installed handlers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from django.apps import AppConfig, apps
from django.conf import settings
from django.core.checks import CheckMessage, Warning, register
from django.utils.module_loading import module_has_submodule

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


@register
def check_durable_apps(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Warn of an app that was named for its handlers and has none: its functions would just be missing."""
    named = {AppConfig.create(name).name for name in settings.DURABLE_APPS}
    return [
        Warning(
            f"DURABLE_APPS names {config.name}, which has no module {registry.HANDLER_MODULE}.",
            hint=f"Put its handlers into {config.name.replace('.', '/')}/{registry.HANDLER_MODULE}.py.",
            id="durable_engine.W003",
        )
        for config in apps.get_app_configs()
        if config.name in named and not _has_handlers(config)
    ]


def _has_handlers(config: AppConfig) -> bool:
    if config.module and module_has_submodule(config.module, registry.HANDLER_MODULE):
        return True
    # A module that was named itself, or an app that registers them in another way.
    modules = [handler.func.__module__ for handler in registry.all_handlers()]
    return any(module == config.name or module.startswith(f"{config.name}.") for module in modules)


def _message(finding: Finding, function: str) -> CheckMessage:
    return Warning(
        f"{finding.file}:{finding.line}: {finding.message}",
        hint="If it is harmless there, say so with the comment `# replay: ok` on its line.",
        obj=f"the function {function}",
        id=_IDS[finding.code],
    )
