"""`manage.py up`, as a newcomer, an operator and a script meet it."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode, urlsplit
from urllib.request import HTTPCookieProcessor, build_opener

import boto3
import psycopg
import pytest
from django.conf import settings

from durable_engine.config.env import BASE_DIR, EXAMPLES
from tests.processes import descendants, identity, wait_for, wait_until_gone

pytestmark = [pytest.mark.process, pytest.mark.timeout(180)]

OURS = {"web", "worker", "scheduler", "postgres", "broker"}


def plain_environment(home: Path, **env: str) -> dict[str, str]:
    """Return the environment of a terminal in which nobody has set anything for us, except where the home is."""
    left = {name: value for name, value in os.environ.items() if name not in {*EXAMPLES, "DJANGO_SETTINGS_MODULE"}}
    return {**left, "PERDURE_HOME": str(home), **env}


def manage(home: Path, *command: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run another command of the project, as in a second terminal."""
    return subprocess.run(
        [sys.executable, "manage.py", *command],
        cwd=BASE_DIR,
        env=plain_environment(home, **env),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


class Up:
    """One `manage.py up` in a process of its own, with its output in a file."""

    def __init__(self, home: Path, log: Path, **env: str) -> None:
        self.home = home
        self.log = log
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", "up"],
                cwd=BASE_DIR,
                env=plain_environment(home, **env),
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    @property
    def text(self) -> str:
        """All that was printed until now."""
        return self.log.read_text()

    @property
    def file(self) -> dict[str, Any]:
        """The content of run.json; empty when there is none."""
        path = self.home / "run.json"
        found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
        return found

    def wait_until_ready(self) -> dict[str, Any]:
        """Wait for the run.json of this process and return it."""

        def is_ready() -> bool:
            assert self.process.poll() is None, f"it ended:\n{self.text}"
            return bool(self.file.get("pids", {}).get("supervisor") == self.process.pid)

        wait_for(is_ready, "run.json", 90)
        return self.file

    def family(self) -> list[tuple[int, str]]:
        """Return it and all its processes."""
        return descendants(self.process.pid)


@pytest.fixture
def start_up(home: Path, tmp_path: Path) -> Iterator[Callable[..., Up]]:
    """Start `manage.py up` on the test's home; what is left of it is killed at the end."""
    runs: list[Up] = []

    def start(**env: str) -> Up:
        runs.append(Up(home, tmp_path / f"up-{len(runs)}.log", **env))
        return runs[-1]

    yield start
    for run in runs:
        family = run.family()
        run.process.kill()
        run.process.wait()
        wait_until_gone(family)


def free_port() -> str:
    """Return a port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def page_after_login(url: str, user: str, password: str) -> str:
    """Sign in as a browser does and return the address it ends at."""
    browser = build_opener(HTTPCookieProcessor(CookieJar()))
    form = browser.open(f"{url}login/", timeout=60).read().decode()
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', form)
    assert token
    fields = {"csrfmiddlewaretoken": token[1], "username": user, "password": password}
    with browser.open(f"{url}login/", urlencode(fields).encode(), timeout=60) as answer:
        return str(urlsplit(answer.url).path)


def functions_of(found: dict[str, Any]) -> set[str]:
    """Ask the API as a script does that has read run.json."""
    client = boto3.client(
        "lambda",
        endpoint_url=found["url"],
        region_name=found["region"],
        aws_access_key_id=found["access_key_id"],
        aws_secret_access_key=found["secret_access_key"],
    )
    return {view["FunctionName"] for view in client.list_functions()["Functions"]}


def test_one_command_serves_the_product_and_tells_scripts_all_they_need(
    home: Path, start_up: Callable[..., Up]
) -> None:
    port = free_port()
    up = start_up(PORT=port)
    found = up.wait_until_ready()

    assert (home / "run.json").stat().st_mode & 0o777 == 0o600
    assert found["url"] == f"http://127.0.0.1:{port}/"
    assert set(found["pids"]) == {"supervisor", *OURS}
    assert all(identity(pid) for pid in found["pids"].values())
    wait_for(lambda: "Perdure runs at" in up.text, "the address on the terminal")
    assert found["url"] in up.text
    assert up.text.count(found["admin_password"]) == 1
    assert page_after_login(found["url"], found["admin_user"], found["admin_password"]) != "/login/"
    assert up.text.count(found["secret_access_key"]) == 1
    assert functions_of(found) >= {"order-processing", "document-approval"}

    # A second terminal needs no environment to find the database.
    assert manage(home, "migrate", "--check").returncode == 0
    for kind in ("web", "worker"):
        check = manage(home, "healthcheck", kind, PORT=port)
        assert (check.returncode, check.stdout) == (0, "ok\n"), check.stderr
    second = manage(home, "up", PORT=free_port())
    assert second.returncode == 1
    assert f"process {up.process.pid}" in second.stderr
    assert "Traceback" not in second.stderr

    family = up.family()
    up.process.send_signal(signal.SIGINT)

    assert up.process.wait(30) == 0
    wait_until_gone(family, seconds=1)
    assert not (home / "run.json").exists()
    assert "Traceback" not in up.text
    assert manage(home, "healthcheck", "web", PORT=port).returncode == 1
    assert up.text.rstrip().endswith("stopped")


def test_kill_minus_nine_leaves_no_orphan_and_the_next_start_goes_on(home: Path, start_up: Callable[..., Up]) -> None:
    up = start_up(PORT=free_port())
    before = up.wait_until_ready()
    family = up.family()
    assert len(family) > 10

    up.process.kill()
    up.process.wait()

    # Not waiting for the old processes to be gone is part of the test: a person starts again at once.
    again = start_up(PORT=free_port())
    after = again.wait_until_ready()
    wait_until_gone(family, seconds=10)
    assert after["admin_password"] == before["admin_password"]
    assert after["admin_password"] not in again.text
    wait_for(lambda: f"password  in {home / 'run.json'}" in again.text, "where the password is kept")
    assert after["secret_access_key"] == before["secret_access_key"]
    assert after["secret_access_key"] not in again.text
    assert page_after_login(after["url"], after["admin_user"], after["admin_password"]) != "/login/"


@pytest.fixture
def port_8000_taken() -> Iterator[None]:
    """Make sure that somebody has the port that is the usual one."""
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # When it cannot be had, somebody else has it.
        with suppress(OSError):
            other.bind(("127.0.0.1", 8000))
            other.listen()
        yield


@pytest.mark.usefixtures("port_8000_taken")
def test_with_port_8000_taken_it_runs_and_what_is_killed_comes_back_under_a_new_pid(
    start_up: Callable[..., Up],
) -> None:
    up = start_up()
    before = up.wait_until_ready()["pids"]
    port = urlsplit(up.file["url"]).port
    assert port
    assert port > 8000
    wait_for(lambda: f"port 8000 is taken, so this is port {port}" in up.text, "the reason on the terminal")

    for name in sorted(OURS):
        os.kill(before[name], signal.SIGKILL)

    def all_are_back() -> bool:
        pids = up.file["pids"]
        return all(pids[name] not in (None, before[name]) for name in OURS)

    wait_for(all_are_back, "five new processes")
    assert up.file["pids"]["supervisor"] == before["supervisor"]
    found = up.file

    def people_can_sign_in() -> bool:
        with suppress(HTTPError):
            return page_after_login(found["url"], found["admin_user"], found["admin_password"]) != "/login/"
        return False

    wait_for(people_can_sign_in, "a page after the login")


def test_a_port_that_was_asked_for_and_is_taken_is_an_error(home: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        refused = manage(home, "up", PORT=str(port))

    assert refused.returncode == 1
    assert f"PORT: {port} cannot be used" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert not (home / "run.json").exists()


@pytest.mark.servers
def test_servers_that_are_given_are_used_instead_of_embedded_ones(home: Path, start_up: Callable[..., Up]) -> None:
    name = f"test_up_{uuid.uuid4().hex[:8]}"
    server = urlsplit(settings.DATABASE_URL)
    with psycopg.connect(server._replace(path="/postgres").geturl(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        try:
            up = start_up(
                PORT=free_port(),
                DATABASE_URL=server._replace(path=f"/{name}").geturl(),
                BROKER_URL=settings.BROKER_URL,
                DURABLE_KEY_PREFIX=f"{name}.",
            )
            found = up.wait_until_ready()

            assert (found["pids"]["postgres"], found["pids"]["broker"]) == (None, None)
            assert not (home / "pg18").exists()
            assert page_after_login(found["url"], found["admin_user"], found["admin_password"]) != "/login/"
            up.process.send_signal(signal.SIGTERM)
            assert up.process.wait(30) == 0
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def test_a_command_without_a_running_database_says_how_to_start_it(home: Path) -> None:
    done = manage(home, "migrate", "--check")

    assert done.returncode == 1
    assert f"the embedded database of {home} is not running. Start it with `make run`" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_command_that_cannot_reach_the_given_database_says_so_in_one_line(home: Path) -> None:
    done = manage(
        home,
        *("migrate", "--check"),
        DATABASE_URL="postgresql://me:hunter2@127.0.0.1:1/perdure",
        PERDURE_LOCAL="1",
    )

    assert done.returncode == 1
    assert done.stderr.startswith("perdure: no connection to the database of DATABASE_URL.")
    assert done.stderr.count("\n") == 1
    assert "hunter2" not in done.stderr
