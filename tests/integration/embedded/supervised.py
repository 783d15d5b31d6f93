"""A supervisor over small programs, run as a process by test_supervisor.py: `python -m … SERVICE=PROGRAM …`.

It prints one JSON line for each change of the process ids. A program counts as ready at once.
"""

import json
import signal
import sys
from collections.abc import Mapping
from subprocess import Popen

from durable_engine.embedded import process
from durable_engine.embedded.lines import Printer
from durable_engine.embedded.supervisor import Service, StartFailed, StopRequested, Supervisor


def service(name: str, program: str, patience: float) -> Service:
    """Return a service that runs a Python program."""

    def spawn(output: int) -> Popen[bytes]:
        return process.spawn([sys.executable, "-u", "-c", program], output=output)

    return Service(name, spawn, lambda: True, stop_signal=signal.SIGTERM, patience=patience)


def main() -> None:
    """Run the programs of the command line until a signal comes."""

    def on_change(pids: Mapping[str, int | None]) -> None:
        sys.stdout.write(json.dumps(dict(pids)) + "\n")
        sys.stdout.flush()

    patience = float(sys.argv[1])
    supervisor = Supervisor(Printer(), on_change)
    try:
        for argument in sys.argv[2:]:
            name, _, program = argument.partition("=")
            supervisor.start([service(name, program, patience)])
        supervisor.run()
    except StopRequested:
        pass
    except StartFailed as problem:
        sys.stdout.write(f"{problem}\n")
    finally:
        supervisor.stop()
    supervisor.say("stopped")


if __name__ == "__main__":
    main()
