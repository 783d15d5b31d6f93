"""Work in batches: each one is recorded, so a crash costs one step of one batch."""

import time
import zlib
from dataclasses import dataclass

from durable_engine import DurableContext, StepContext, durable_execution, durable_step, durable_with_child_context

MAX_BATCHES = 200


@dataclass(frozen=True)
class PipelineInput:
    """What the start form asks for. `seconds_per_batch` is how long the stand-in for work takes."""

    records: int = 100
    batch_size: int = 25
    seconds_per_batch: float = 3

    def __post_init__(self) -> None:
        if self.records < 1 or self.batch_size < 1:
            raise ValueError("records and batch_size must be 1 or more")
        if self.records > self.batch_size * MAX_BATCHES:
            raise ValueError(f"records and batch_size make more than {MAX_BATCHES} batches; make batch_size larger")
        if not 0 <= self.seconds_per_batch <= 60:
            raise ValueError("seconds_per_batch must be 0 to 60")


@durable_execution(name="data-pipeline", input=PipelineInput)
def data_pipeline(job: PipelineInput, context: DurableContext) -> dict[str, object]:
    """Read, transform and write 100 records in batches of 25, then report.

    Each batch is a child context with steps of its own. To see the recovery, kill the worker with `kill -9` while a
    batch runs: another process takes the execution over, the finished batches are not run again, and only the
    interrupted step is.
    """
    checksums = [
        context.run_in_child_context(batch(number, first, job), name=f"batch-{number}")
        for number, first in enumerate(range(0, job.records, job.batch_size), start=1)
    ]
    report = context.step(summarise(job.records, checksums))
    return {"records": job.records, "batches": len(checksums), "report": report}


@durable_with_child_context
def batch(context: DurableContext, number: int, first: int, job: PipelineInput) -> int:
    """Process the records of one batch and return their checksum."""
    last = min(first + job.batch_size, job.records)
    rows = context.step(read(first, last, job.seconds_per_batch / 2))
    written = context.step(write(rows, job.seconds_per_batch / 2))
    context.logger.info("batch %d: %d records", number, len(rows))
    return written


@durable_step
def read(step: StepContext, first: int, last: int, seconds: float) -> list[str]:
    """Stand in for reading from a source. What a step returns is stored, so return ids rather than large records."""
    time.sleep(seconds)
    return [f"record-{number}" for number in range(first, last)]


@durable_step
def write(step: StepContext, rows: list[str], seconds: float) -> int:
    """Stand in for an upsert into a target: writing the same rows again changes nothing, so a repeat is harmless."""
    time.sleep(seconds)
    return zlib.crc32("\n".join(rows).encode())


@durable_step
def summarise(step: StepContext, records: int, checksums: list[int]) -> str:
    """Combine the results of all batches."""
    return f"{records} records, checksum {zlib.crc32(repr(checksums).encode()):08x}"
