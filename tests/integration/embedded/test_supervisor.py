"""The supervisor, watched from outside, over small programs that die, refuse to stop or fail to start."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from durable_engine.config.env import BASE_DIR
from tests.processes import descendants, identity, is_alive, wait_for, wait_until_gone

pytestmark = pytest.mark.process

STEADY = "import time; print('here'); time.sleep(600)"
# Ignores every polite request, and has a child of its own in its group.
STUBBORN = (
    "import signal, subprocess, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
    "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']); print('here'); time.sleep(600)"
)


class Run:
    """A supervisor in a process of its own, with its output in a file."""

    def __init__(self, log: Path, *services: str, patience: float = 10) -> None:
        self.log = log
        command = [sys.executable, "-m", "tests.integration.embedded.supervised", str(patience), *services]
        with log.open("wb") as output:
            self.process = subprocess.Popen(command, cwd=BASE_DIR, stdout=output, stderr=subprocess.STDOUT)

    @property
    def text(self) -> str:
        """All that was printed until now."""
        return self.log.read_text()

    @property
    def pids(self) -> dict[str, int | None]:
        """The last process ids that were printed."""
        lines = [line for line in self.text.splitlines() if line.startswith("{")]
        return json.loads(lines[-1]) if lines else {}

    def wait_for(self, text: str, seconds: float = 60) -> None:
        """Wait until the output has a text."""
        wait_for(lambda: text in self.text, f"{text!r} in the output, which is:\n{self.text}", seconds)


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Callable[..., Run]]:
    """Start supervisors; what is left of them is killed at the end."""
    runs: list[Run] = []

    def start(*services: str, patience: float = 10) -> Run:
        runs.append(Run(tmp_path / f"{len(runs)}.log", *services, patience=patience))
        return runs[-1]

    yield start
    for one in runs:
        for pid, _ in descendants(one.process.pid):
            os.kill(pid, signal.SIGKILL)
        one.process.wait()


def test_output_is_shown_and_a_stop_goes_in_reverse_order(run: Callable[..., Run]) -> None:
    says_goodbye = (
        "import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit(print('goodbye'))); "
        "print('here'); time.sleep(600)"
    )
    supervisor = run(f"first={says_goodbye}", f"second={says_goodbye}")
    for name in ("first", "second"):
        supervisor.wait_for(f"{name:<9} | here")

    supervisor.process.send_signal(signal.SIGTERM)

    assert supervisor.process.wait(60) == 0
    lines = [line[9:] for line in supervisor.text.splitlines() if not line.startswith("{")]
    assert [line for line in lines if "goodbye" in line] == ["second    | goodbye", "first     | goodbye"]
    assert lines[-1] == "perdure   | stopped"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_every_usual_signal_stops_in_order(run: Callable[..., Run], number: signal.Signals) -> None:
    supervisor = run(f"steady={STEADY}")
    supervisor.wait_for("| here")
    family = descendants(supervisor.process.pid)

    supervisor.process.send_signal(number)

    assert supervisor.process.wait(60) == 0
    wait_until_gone(family, seconds=1)


def test_what_dies_is_started_again_after_a_pause_that_grows(run: Callable[..., Run]) -> None:
    supervisor = run(f"steady={STEADY}", "restless=import time; time.sleep(0.1); raise SystemExit(3)")

    supervisor.wait_for("starting it again in 0.8 s")

    pauses = re.findall(r"restless ended with status 3; starting it again in (\S+) s", supervisor.text)
    assert pauses == ["0.2", "0.4", "0.8"]
    steady = supervisor.pids["steady"]
    assert steady
    assert identity(steady), "the others are left alone"


def test_what_is_killed_is_started_again_with_another_pid(run: Callable[..., Run]) -> None:
    supervisor = run(f"steady={STEADY}")
    supervisor.wait_for("| here")
    before = supervisor.pids["steady"]
    assert before

    os.kill(before, signal.SIGKILL)

    supervisor.wait_for("steady was ended by SIGKILL; starting it again in 0.2 s")
    supervisor.wait_for("steady started again")
    wait_for(lambda: supervisor.pids["steady"] not in (None, before), "the new pid")


def test_what_a_dead_service_left_behind_is_gone_before_it_starts_again(run: Callable[..., Run]) -> None:
    supervisor = run(f"stubborn={STUBBORN}")
    supervisor.wait_for("| here")
    leader = supervisor.pids["stubborn"]
    assert leader
    family = descendants(leader)
    assert len(family) == 2

    os.kill(leader, signal.SIGKILL)

    supervisor.wait_for("stubborn started again")
    assert not [process for process in family if is_alive(process)]


def test_a_service_that_does_not_stop_is_killed_after_its_patience(run: Callable[..., Run]) -> None:
    supervisor = run(f"stubborn={STUBBORN}", patience=1)
    supervisor.wait_for("| here")
    family = descendants(supervisor.process.pid)

    supervisor.process.terminate()

    assert supervisor.process.wait(60) == 0
    assert "killing stubborn" in supervisor.text
    wait_until_gone(family, seconds=1)


def test_a_second_request_kills_at_once_but_a_doubled_first_one_does_not(run: Callable[..., Run]) -> None:
    supervisor = run(f"stubborn={STUBBORN}", patience=600)
    supervisor.wait_for("| here")
    family = descendants(supervisor.process.pid)

    supervisor.process.send_signal(signal.SIGINT)
    supervisor.process.send_signal(signal.SIGINT)
    supervisor.wait_for("waiting for stubborn")
    supervisor.process.send_signal(signal.SIGINT)

    assert supervisor.process.wait(60) == 0
    wait_until_gone(family, seconds=1)


def test_kill_minus_nine_leaves_no_orphan_not_even_a_stubborn_one(run: Callable[..., Run]) -> None:
    supervisor = run(f"steady={STEADY}", f"stubborn={STUBBORN}")
    supervisor.wait_for("stubborn  | here")
    family = descendants(supervisor.process.pid)
    # Supervisor, guardian, two services and a child of one.
    assert len(family) == 5

    supervisor.process.kill()
    supervisor.process.wait()

    wait_until_gone(family, seconds=10)
