"""`python -m benchmarks`: measure the engine on this machine; `make bench` calls it.

Starts an embedded Postgres (durable, as in production), a broker, two worker processes and a scheduler, or uses the
servers that DATABASE_URL and BROKER_URL name, where it works in a database of its own and removes it.
"""

from __future__ import annotations

import argparse
import os
import platform
import signal
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from benchmarks.figures import TARGETS, Figure, table, write_json
from benchmarks.servers import Servers, environment, running_servers

WORKERS: Final = 2
OUTPUT: Final = Path(__file__).resolve().parents[1] / "build" / "bench.json"


def main(arguments: Sequence[str]) -> int:
    """Run the command; the exit status is 0 when everything was measured, whether or not the targets were met."""
    options = _parser().parse_args(arguments)
    unknown = [each for each in options.only if not any(name.startswith(each) for name in TARGETS)]
    if unknown:
        known = ", ".join(TARGETS)
        print(f"benchmarks: --only: no figure's name begins with {unknown[0]!r}. There are: {known}", file=sys.stderr)
        return 2
    wanted = [name for name in TARGETS if name.startswith(tuple(options.only))] if options.only else []
    # So that `with` blocks run to their ends, and nothing that was started is left behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    # A shell starts its background jobs with SIGINT ignored, and that would be inherited.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with running_servers(os.environ) as servers, environment(servers.environment()):
            figures = _measure(servers, wanted, quick=options.quick)
    except KeyboardInterrupt:
        return 130
    print(f"\n{table(figures)}\n")
    write_json(figures, options.output)
    print(f"{options.output}; load average now {_load()}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure the engine on this machine.")
    parser.add_argument(
        "--only",
        metavar="NAME,…",
        type=lambda text: text.split(","),
        default=[],
        help=f"take only these figures, or those whose names begin so: {', '.join(TARGETS)}",
    )
    parser.add_argument("--quick", action="store_true", help="small counts, to see that everything works")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="where the figures go (default: %(default)s)")
    return parser


def _measure(servers: Servers, names: Sequence[str], *, quick: bool) -> list[Figure]:
    # Django reads the environment when it is set up, and models can be imported only after that.
    import django

    django.setup()
    from django.core.management import call_command
    from django.db import connections

    from benchmarks import suite
    from benchmarks.bench import Bench
    from benchmarks.floor import Floor
    from benchmarks.processes import Processes

    processes = Processes(servers.home)
    with ExitStack() as stack:
        stack.callback(connections.close_all)
        stack.callback(processes.stop)
        call_command("migrate", interactive=False, verbosity=0)
        floor = Floor(servers.database_url)
        stack.callback(floor.close)
        print(
            f"Postgres {floor.server_version()}, Python {platform.python_version()}, {os.cpu_count()} cores", flush=True
        )
        try:
            processes.start_scheduler()
            processes.start_workers(WORKERS, {})
            figures = []
            for figure in suite.run(Bench(quick, servers, processes, floor), names):
                print(f"{figure.name} {figure.value:.4g} {figure.unit}  (load average {_load()})", flush=True)
                figures.append(figure)
        except Exception:
            print(processes.logs(), file=sys.stderr)
            raise
    return figures


def _load() -> str:
    return f"{os.getloadavg()[0]:.1f}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
