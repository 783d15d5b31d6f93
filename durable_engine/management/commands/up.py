"""`manage.py up`: the whole product on one machine, until Ctrl-C."""

import os
import secrets
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import BaseCommand, CommandError, call_command
from django.db import DatabaseError, connection, connections

from durable_engine.embedded import paths, privileges, runfile, stack
from durable_engine.embedded.broker import Broker, BrokerError
from durable_engine.embedded.lines import Printer
from durable_engine.embedded.postgres import PostgresCluster, PostgresError
from durable_engine.embedded.supervisor import StartFailed, StopRequested, Supervisor
from durable_engine.models import Worker
from durable_engine.services.actors import COMMAND_LINE, Actor
from durable_engine.services.api_keys import KeyPair, ensure_api_key

ADMIN = "admin"
LOCAL_KEY = "local"
SUPERVISOR = Actor("manage.py up", channel=COMMAND_LINE)
PASSWORD_FILE = "admin_password"  # noqa: S105 (the name of the file)
REFUSALS = (
    runfile.AlreadyRunning,
    paths.UnsafeDirectory,
    privileges.CannotDropRoot,
    stack.PortTaken,
    PostgresError,
    BrokerError,
    StartFailed,
)


class Command(BaseCommand):
    """Start Postgres, broker, web, worker and scheduler, and keep them running.

    Servers named by DATABASE_URL and BROKER_URL are used instead of embedded ones. While it runs, run.json in
    PERDURE_HOME names the address, the login of the administrator and the process ids.
    """

    help = "Run everything on this machine: Postgres, broker, web, worker and scheduler. Ctrl-C stops all of it."

    def handle(self, *args: Any, **options: Any) -> None:
        """Run until a signal comes; end with status 1 when something does not start."""
        home: Path = settings.PERDURE_HOME
        try:
            paths.private_directory(home)
            with runfile.lock_home(home), stack.listen(settings.ENVIRONMENT.port) as listener:
                Run(home, listener).run()
        except REFUSALS as problem:
            raise CommandError(str(problem)) from None


class Run:
    """One run, from the first start to the last stop."""

    def __init__(self, home: Path, listener: socket.socket) -> None:
        self._home = home
        self._listener = listener
        self._printer = Printer()
        self._supervisor = Supervisor(self._printer, self._pids_changed)
        self._file: runfile.RunFile | None = None

    def run(self) -> None:
        """Start everything, stay until asked to stop, stop everything."""
        try:
            self._start()
            self._supervisor.run()
        except StopRequested:
            pass
        finally:
            self._supervisor.say("stopping")
            self._supervisor.stop()
            runfile.remove(self._home)
            paths.remove_socket_directory(self._home)
        self._supervisor.say("stopped")

    def _start(self) -> None:
        # One that a killed run left behind would name processes that are gone.
        runfile.remove(self._home)
        self._start_servers()
        self._migrate()
        password, is_new = ensure_admin(self._home)
        pair, key_is_new = ensure_api_key(LOCAL_KEY, actor=SUPERVISOR)
        cwd: Path = settings.BASE_DIR
        # The scheduler, which sends the mail, does not know the port otherwise.
        os.environ.setdefault("PERDURE_PUBLIC_URL", self._url.rstrip("/"))
        self._supervisor.start(
            [
                stack.web_service(self._listener, cwd),
                stack.worker_service(cwd, new_worker_is_seen()),
                stack.scheduler_service(cwd),
            ]
        )
        connections.close_all()
        self._file = runfile.RunFile(
            self._url,
            ADMIN,
            password,
            access_key_id=pair.key.access_key_id if pair else None,
            secret_access_key=pair.secret if pair else None,
            region=settings.DURABLE_REGION,
        )
        self._pids_changed(self._supervisor.pids)
        self._announce(password, is_new, pair if key_is_new else None)

    def _start_servers(self) -> None:
        if settings.ENVIRONMENT.database_url is None:
            cluster = PostgresCluster(self._home)
            self._supervisor.start([stack.postgres_service(cluster)])
            cluster.prepare()
        if settings.ENVIRONMENT.broker_url is None:
            self._supervisor.start([stack.broker_service(Broker(self._home))])

    def _migrate(self) -> None:
        self._supervisor.say("preparing the database")
        try:
            # A migration may take longer than a statement of the engine may.
            with connection.cursor() as cursor:
                cursor.execute("SET statement_timeout = 0")
            call_command("migrate", interactive=False, verbosity=0)
        except DatabaseError as problem:
            raise StartFailed(f"the database cannot be prepared: {problem}") from problem
        connection.close()
        self._supervisor.check_stop()

    def _pids_changed(self, pids: Mapping[str, int | None]) -> None:
        # Nothing is written before everything is ready: a script that finds the file can use all that it names.
        if self._file is not None:
            names = ("web", "worker", "scheduler", "postgres", "broker")
            self._file.pids = {"supervisor": os.getpid(), **{name: pids.get(name) for name in names}}
            self._file.write(self._home)

    @property
    def _url(self) -> str:
        host, port = self._listener.getsockname()
        return f"http://{host}:{port}/"

    def _announce(self, password: str | None, is_new: bool, new_key: KeyPair | None) -> None:
        port = self._listener.getsockname()[1]
        if settings.ENVIRONMENT.port is None and port != stack.PORTS.start:
            self._supervisor.say(f"port {stack.PORTS.start} is taken, so this is port {port}")
        # Shown once, so that it does not end in every log; who has missed it has to find it.
        shown = password if is_new else f"in {self._home / runfile.FILE}"
        login = f"  sign in as   {ADMIN}  password  {shown}\n" if password else ""
        key = f"  API key      {new_key.key.access_key_id}  secret  {new_key.secret}\n" if new_key else ""
        self._printer.raw(f"\n  Perdure runs at  {self._url}\n{login}{key}  Ctrl-C stops it.\n\n")


def ensure_admin(home: Path) -> tuple[str | None, bool]:
    """Return the administrator's password and whether the account is new.

    The account is made on the first start. The password is None when the person has changed it since, or when it was
    made elsewhere.
    """
    users = get_user_model()._default_manager
    file = home / PASSWORD_FILE
    kept = file.read_text().strip() if file.exists() else None
    admin = users.filter(username=ADMIN).first()
    if admin is not None:
        return (kept if kept and admin.check_password(kept) else None), False
    # Written first: a crash in between leaves a password without an account, which the next start gives it.
    password = kept or secrets.token_urlsafe(12)
    runfile.write_private(file, password + "\n")
    users.create_superuser(username=ADMIN, email="", password=password)
    return password, True


def new_worker_is_seen() -> Callable[[], bool]:
    """Return a check that is true once a worker has registered that was not there before."""
    before = set(Worker.objects.values_list("id", flat=True))
    return lambda: Worker.objects.exclude(id__in=before).exists()
