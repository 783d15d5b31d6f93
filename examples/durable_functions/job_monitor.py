"""Monitor with heartbeats and fallback: a machine that falls silent is given up, and another one gets its work."""

from dataclasses import dataclass
from typing import Any

from durable_engine import (
    CallbackExternalError,
    CallbackTimeoutError,
    DurableContext,
    Duration,
    JsonSerDes,
    StepContext,
    WaitForCallbackConfig,
    WaitForCallbackContext,
    durable_execution,
    durable_step,
    durable_wait_for_callback,
)

MACHINES = ("north", "south")


@dataclass(frozen=True)
class FilmInput:
    """What the start form asks for. `silence_seconds`: how long a machine may say nothing before it counts as dead."""

    film: str = "trailer"
    silence_seconds: float = 5

    def __post_init__(self) -> None:
        if not 0 < self.silence_seconds <= 3600:
            raise ValueError("silence_seconds must be more than 0 and at most 3600")


@durable_execution(name="job-monitor", input=FilmInput)
def job_monitor(job: FilmInput, context: DurableContext) -> dict[str, Any]:
    """Have a film rendered by one machine, watch its heartbeats, fall back to the next one, at last to this process.

    Nobody renders here, so both machines are given up after 5 seconds of silence. Start it with more, and be one:

        manage.py durable callback --key trailer@north --function job-monitor --heartbeat
        manage.py durable callback --key trailer@north --function job-monitor --succeed '{"frames": 240}'
    """
    lost = []
    for machine in MACHINES:
        context.set_status_text(f"on {machine}")
        try:
            answer = rendered_by(machine, job, context)
        except (CallbackTimeoutError, CallbackExternalError) as error:
            context.logger.warning("%s: %s", machine, error)
            # It may only have lost its network. It is told, so that two machines do not write one film.
            context.step(take_back(machine, job.film), name=f"take back from {machine}")
            lost.append(machine)
        else:
            return {"film": job.film, "by": machine, "answer": answer, "lost": lost}
    return {"film": job.film, "by": "draft", "answer": context.step(render_draft(job.film)), "lost": lost}


def rendered_by(machine: str, job: FilmInput, context: DurableContext) -> Any:
    """Wait for one machine: two hours at most, and never longer than its heartbeats go on."""
    config = WaitForCallbackConfig(
        timeout=Duration.from_hours(2),
        heartbeat_timeout=Duration(job.silence_seconds),
        serdes=JsonSerDes(),
        key=f"{job.film}@{machine}",
    )
    return context.wait_for_callback(hand_over(machine, job.film), name=f"on {machine}", config=config)


@durable_wait_for_callback
def hand_over(callback_id: str, submission: WaitForCallbackContext, machine: str, film: str) -> None:
    """Stand in for the machine's queue. It answers under the callback's id, or under its key, which it can make up."""
    submission.logger.info("%s is asked for %s", machine, film)


@durable_step
def take_back(step: StepContext, machine: str, film: str) -> None:
    """Stand in for a message to the machine; harmless when it does not arrive."""
    step.logger.info("%s need not render %s any more", machine, film)


@durable_step
def render_draft(step: StepContext, film: str) -> dict[str, Any]:
    """Stand in for something smaller that always works."""
    step.logger.info("%s as a draft", film)
    return {"frames": 24}
