"""Plugins, values in files, previews."""

from __future__ import annotations

import shutil
import tempfile
from typing import Any

from aws_durable_execution_sdk_python import DurableContext, StepContext, durable_execution
from aws_durable_execution_sdk_python.config import Duration, StepConfig
from aws_durable_execution_sdk_python.filesystem_serdes import (
    FileSystemPathEncoding,
    FileSystemSerDes,
    FileSystemSerDesConfig,
    FileSystemSerDesMode,
)
from aws_durable_execution_sdk_python.plugin import DurableInstrumentationPlugin
from aws_durable_execution_sdk_python.preview import PreviewConfig, PreviewField, PreviewMode, build_preview
from aws_durable_execution_sdk_python.retries import RetryPresets

# By operation, since those of one operation come in order, and others may be told of at the same time.
SEEN: dict[str, list[str]] = {}


def note(name: str | None, *facts: object) -> None:
    line = " ".join(str(getattr(fact, "value", fact)) for fact in facts if fact is not None)
    seen = SEEN.setdefault(name or "", [])
    if [line] != seen[-1:]:  # 2.x tells of the end of a wait twice
        seen.append(line)


def attempt_of(info: Any) -> Any:
    """Of steps: that of a context is 1 at first and unknown later, by a mistake that the SDK's own source notes."""
    return info.attempt if info.operation_type.value == "STEP" else None


class Watch(DurableInstrumentationPlugin):
    """An instance, as 1.x and 2.x take plugins, and a factory of itself, as 3.x does."""

    def create_plugin(self, info: Any) -> Watch:
        return self

    def on_invocation_start(self, info: Any) -> None:
        note("invocation", "start", info.is_first_invocation)

    def on_invocation_end(self, info: Any) -> None:
        note("invocation", "end", info.status)
        raise ValueError("what a plugin raises changes nothing")

    def on_operation_start(self, info: Any) -> None:
        note(info.name, "start", info.operation_type, info.sub_type, info.is_replayed)

    def on_operation_end(self, info: Any) -> None:
        error = info.error and info.error.message
        note(info.name, "end", info.status, info.result, error)

    def on_user_function_start(self, info: Any) -> None:
        note(info.name, "function", attempt_of(info))

    def on_user_function_end(self, info: Any) -> None:
        note(info.name, "function ended", info.outcome, attempt_of(info))


@durable_execution(plugins=[Watch()])
def watched(event: Any, context: DurableContext) -> Any:
    def flaky(step: StepContext) -> str:
        if step.attempt == 1:
            raise ValueError("once more")
        return "done"

    first = context.step(flaky, name="flaky", config=StepConfig(retry_strategy=RetryPresets.fixed()))
    context.wait(Duration.from_seconds(2), name="pause")
    context.run_in_child_context(lambda child: child.step(lambda step: 1, name="inner"), name="child")
    return first


@durable_execution
def values_in_files(event: Any, context: DurableContext) -> Any:
    directory = context.step(lambda step: tempfile.mkdtemp(prefix="perdure-values-"), name="directory")
    fields = PreviewConfig(
        mode=PreviewMode.EXCLUDE_ALL,
        include=[PreviewField("id"), PreviewField("card")],
        mask=[PreviewField("card")],
    )
    order = {"id": 7, "card": "4111", "items": ["lamp"] * 3}
    always = FileSystemSerDes(
        directory,
        FileSystemSerDesConfig(
            path_encoding=FileSystemPathEncoding.HASH, generate_preview=lambda value: build_preview(value, fields)
        ),
    )
    overflow = FileSystemSerDes(directory, FileSystemSerDesConfig(storage_mode=FileSystemSerDesMode.OVERFLOW))
    kept = [
        context.step(lambda step: order, name="always", config=StepConfig(serdes=always)),
        context.step(lambda step: "small", name="small", config=StepConfig(serdes=overflow)),
        context.step(lambda step: "x" * 300_000, name="large", config=StepConfig(serdes=overflow)),
    ]
    context.wait(Duration.from_seconds(1), name="pause")
    context.step(lambda step: shutil.rmtree(directory), name="tidy up")
    return [kept[0] == order, kept[1], len(kept[2])]
