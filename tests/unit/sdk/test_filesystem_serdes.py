from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from durable_engine import (
    DurableContext,
    FileSystemPathEncoding,
    FileSystemSerDes,
    FileSystemSerDesConfig,
    FileSystemSerDesMode,
    JsonSerDes,
    PreviewConfig,
    PreviewField,
    PreviewMode,
    SerDesContext,
    StepConfig,
    ValidationError,
    build_preview,
    durable_execution,
)
from durable_engine.sdk import registry
from durable_engine.sdk.exceptions import RetryableSerDesError, SerDesError
from durable_engine.testing.runner import DurableFunctionTestRunner

ARN = "arn:aws:lambda:eu-central-1:000000000000:function:orders:$LATEST/durable-execution/order-7/0198-ab"
CONTEXT = SerDesContext("3-1", ARN)
OVERFLOW = FileSystemSerDesConfig(FileSystemSerDesMode.OVERFLOW)


def test_every_value_goes_into_a_file_below_function_execution_and_operation(tmp_path: Path) -> None:
    serdes = FileSystemSerDes(tmp_path)
    value = {"at": datetime(2026, 1, 2, tzinfo=UTC), "pair": (1, 2)}

    stored = serdes.serialize(value, CONTEXT)

    path = Path(json.loads(stored)["file"])
    assert path.parent == tmp_path / "orders" / "order-7" / "0198-ab"
    assert path.name.startswith("3-1.")
    assert serdes.deserialize(stored, CONTEXT) == value


def test_small_values_stand_in_the_history_and_only_large_ones_overflow(tmp_path: Path) -> None:
    serdes = FileSystemSerDes(tmp_path, OVERFLOW)

    assert json.loads(serdes.serialize("small", CONTEXT)) == {"data": '"small"'}
    large = serdes.serialize("x" * 300_000, CONTEXT)
    assert len(large) < 1000
    assert [serdes.deserialize(text, CONTEXT) for text in ('{"data": "\\"small\\""}', large)] == [
        "small",
        "x" * 300_000,
    ]


def test_names_may_be_hashes_of_a_fixed_length(tmp_path: Path) -> None:
    serdes = FileSystemSerDes(tmp_path, FileSystemSerDesConfig(path_encoding=FileSystemPathEncoding.HASH))

    path = Path(json.loads(serdes.serialize(1, SerDesContext("x" * 500, ARN)))["file"])

    assert len(path.parent.name) == 64
    assert len(path.name) < 100


@pytest.mark.parametrize("arn", ["..", "../..", "/etc", "0198-ab", ""])
def test_no_name_leads_out_of_the_directory(tmp_path: Path, arn: str) -> None:
    path = Path(json.loads(FileSystemSerDes(tmp_path).serialize(1, SerDesContext("../x", arn)))["file"])

    assert path.resolve().is_relative_to(tmp_path)


def test_a_preview_stands_beside_the_reference(tmp_path: Path) -> None:
    shown = PreviewConfig(PreviewMode.EXCLUDE_ALL, include=[PreviewField("id")])
    config = FileSystemSerDesConfig(generate_preview=lambda value: build_preview(value, shown), serdes=JsonSerDes())

    stored = FileSystemSerDes(tmp_path, config).serialize({"id": 7, "secret": "s"}, CONTEXT)

    assert json.loads(stored)["preview"] == {"id": 7}


def test_what_was_recorded_stays_when_the_same_operation_is_written_again(tmp_path: Path) -> None:
    serdes = FileSystemSerDes(tmp_path)
    recorded = serdes.serialize("recorded", CONTEXT)

    serdes.serialize("by a worker that lost the execution", CONTEXT)

    assert serdes.deserialize(recorded, CONTEXT) == "recorded"


def test_a_file_that_is_gone_or_elsewhere_is_refused_and_says_which(tmp_path: Path) -> None:
    serdes = FileSystemSerDes(tmp_path / "base")
    stored = serdes.serialize(1, CONTEXT)
    path = Path(json.loads(stored)["file"])
    path.unlink()

    with pytest.raises(SerDesError, match=r"3-1\..*is gone"):
        serdes.deserialize(stored, CONTEXT)
    for outside in (tmp_path / "base" / ".." / "secret", Path("/etc/hostname")):
        with pytest.raises(SerDesError, match="not below"):
            serdes.deserialize(json.dumps({"file": str(outside)}), CONTEXT)
    with pytest.raises(SerDesError, match="not written by FileSystemSerDes"):
        serdes.deserialize("[]", CONTEXT)


def test_a_file_system_that_refuses_asks_for_another_invocation(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    serdes = FileSystemSerDes(tmp_path / "file")

    with pytest.raises(RetryableSerDesError, match="could not be written"):
        serdes.serialize(1, CONTEXT)
    (tmp_path / "orders").mkdir()
    with pytest.raises(RetryableSerDesError, match="could not be read"):
        FileSystemSerDes(tmp_path).deserialize(json.dumps({"file": str(tmp_path / "orders")}), CONTEXT)


@pytest.mark.parametrize(
    "options", [{"storage_mode": "ALWAYS and ever"}, {"path_encoding": "no"}, {"serdes": "json"}], ids=str
)
def test_an_option_that_cannot_be_is_named(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=rf"FileSystemSerDesConfig\.{next(iter(options))} must be"):
        FileSystemSerDesConfig(**options)


def test_a_step_keeps_a_large_result_in_a_file_on_the_first_run_and_on_replay(tmp_path: Path) -> None:
    config = StepConfig(serdes=FileSystemSerDes(tmp_path, OVERFLOW))

    with registry.isolated():

        @durable_execution(name="reports")
        def handler(event: Any, context: DurableContext) -> int:
            report = context.step(lambda step: "line\n" * 100_000, name="report", config=config)
            return len(report)

    with DurableFunctionTestRunner(handler) as runner:
        runner.crash_after("report")
        result = runner.run()

    assert result.result == "500000"
    assert len(result.get_step("report").result or "") < 1000
