"""Run the handlers of this directory on the AWS SDK and here, and compare: `python -m tests.compatibility`.

The AWS packages go into an environment of their own in a temporary directory. Where they cannot be installed, it says
so and compares nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator
from difflib import unified_diff
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
RECORDED = Path(__file__).with_name("recorded.json")
SDK = "aws-durable-execution-sdk-python"
Side = dict[str, Any]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.compatibility", description=__doc__)
    parser.add_argument("--sdk", default="==2.*", help="which release of the SDK; default %(default)s")
    parser.add_argument("--testing", default="", help="which release of its testing package; default the newest")
    parser.add_argument("--record", action="store_true", help="keep what AWS gave, for the test that needs no network")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="perdure-aws-") as directory:
        python = install(Path(directory), [f"{SDK}{options.sdk}", f"{SDK}-testing{options.testing}"])
        if python is None:
            return 0
        theirs = outcomes([str(python), "-m", "tests.compatibility.theirs"])
    say(f"AWS: {', '.join(f'{name} {version}' for name, version in theirs['versions'].items())}")
    if options.record:
        RECORDED.write_text(json.dumps(theirs, indent=1, ensure_ascii=False, sort_keys=True) + "\n")
    different = list(differences(theirs["cases"], ours()))
    for text in different:
        say(text)
    say(f"{len(theirs['cases']) - len(different)} of {len(theirs['cases'])} handlers are the same on both sides")
    return 1 if different else 0


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


def ours() -> Side:
    """Return what our side gives, of a process that finds no installed package."""
    cases: Side = outcomes([sys.executable, "-S", "-m", "tests.compatibility.ours"])["cases"]
    return cases


def differences(theirs: Side, ours: Side) -> Iterator[str]:
    """Yield, for each handler that is not the same, what differs."""
    for name in sorted({*theirs, *ours}):
        before, after = (_lines(side.get(name)) for side in (theirs, ours))
        lines = list(unified_diff(before, after, f"AWS {name}", f"here {name}", n=1, lineterm=""))
        if lines:
            yield "\n".join(lines)


def _lines(outcome: Any) -> list[str]:
    return json.dumps(outcome, indent=1, ensure_ascii=False, sort_keys=True).splitlines()


def install(directory: Path, requirements: list[str]) -> Path | None:
    """Make an environment with these packages; return its interpreter, or None where that cannot be."""
    venv.create(directory, with_pip=True)
    python = directory / "bin" / "python"
    command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *requirements]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return python
    why = done.stderr.strip().splitlines()
    say(f"skipped: {' and '.join(requirements)} cannot be installed here: {why[-1] if why else done.returncode}")
    return None


def outcomes(command: list[str]) -> Side:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    environment |= {"PYTHONPATH": str(ROOT), "AWS_DEFAULT_REGION": "us-west-2", "TZ": "UTC"}
    done = subprocess.run(command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    found: Side = json.loads(done.stdout)
    return found


if __name__ == "__main__":
    sys.exit(main())
