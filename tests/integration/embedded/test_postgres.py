"""The embedded Postgres: made, started, crashed and stopped for real."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from durable_engine.config.env import BASE_DIR
from durable_engine.embedded import process
from durable_engine.embedded.postgres import PostgresCluster, PostgresError
from durable_engine.embedded.privileges import NOBODY, CannotDropRoot
from tests.processes import descendants, wait_for, wait_until_gone

pytestmark = pytest.mark.process

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user runs Postgres without any help")


@pytest.fixture
def cluster(home: Path) -> Iterator[PostgresCluster]:
    """A running cluster of the fast kind."""
    cluster = PostgresCluster(home, durable=False)
    cluster.start()
    yield cluster
    cluster.kill()


def one(cluster: PostgresCluster, query: str) -> object:
    """Return the single value of a query."""
    with psycopg.connect(cluster.url(), autocommit=True) as connection:
        row = connection.execute(query).fetchone()
        return row[0] if row else None


def make_row(cluster: PostgresCluster) -> None:
    """Commit one row."""
    with psycopg.connect(cluster.url()) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS kept (at timestamptz DEFAULT now())")
        connection.execute("INSERT INTO kept DEFAULT VALUES")


def test_it_is_postgres_18_and_sorts_alike_on_every_machine(cluster: PostgresCluster) -> None:
    assert str(one(cluster, "SHOW server_version")).startswith("18")
    assert one(cluster, "SELECT lower('ÄÉ')") == "äé"
    assert one(cluster, "SELECT string_agg(x, '' ORDER BY x) FROM unnest(ARRAY['b', 'a', 'B', 'Ä']) x") == "BabÄ"
    assert one(cluster, "SHOW server_encoding") == "UTF8"


def test_nobody_else_can_reach_it(cluster: PostgresCluster) -> None:
    assert one(cluster, "SHOW listen_addresses") == ""
    socket = Path(str(one(cluster, "SHOW unix_socket_directories")))
    assert socket.stat().st_mode & 0o777 == 0o700
    assert cluster.data.stat().st_mode & 0o777 == 0o700


def test_a_durable_cluster_writes_to_disk_and_a_throwaway_one_does_not(cluster: PostgresCluster) -> None:
    assert (one(cluster, "SHOW fsync"), one(cluster, "SHOW synchronous_commit")) == ("off", "off")
    cluster.stop()
    durable = PostgresCluster(cluster.home)
    durable.start()
    try:
        assert (one(durable, "SHOW fsync"), one(durable, "SHOW synchronous_commit")) == ("on", "on")
    finally:
        durable.stop()


@pytest.fixture
def durable_cluster(cluster: PostgresCluster) -> Iterator[PostgresCluster]:
    """A running cluster that keeps what it has acknowledged."""
    cluster.stop()
    durable = PostgresCluster(cluster.home)
    durable.start()
    yield durable
    durable.kill()


@pytest.mark.parametrize("end", [PostgresCluster.stop, PostgresCluster.stop_immediate, PostgresCluster.kill])
def test_what_was_committed_is_there_after_every_kind_of_end(
    durable_cluster: PostgresCluster, end: Callable[[PostgresCluster], None]
) -> None:
    make_row(durable_cluster)
    # An open transaction must not hold up the end, and its row must be gone.
    open_transaction = psycopg.connect(durable_cluster.url())
    open_transaction.execute("INSERT INTO kept DEFAULT VALUES")
    end(durable_cluster)
    assert durable_cluster.pid is None
    open_transaction.close()
    durable_cluster.start()

    assert one(durable_cluster, "SELECT count(*) FROM kept") == 1


def test_the_pid_is_the_one_of_the_server_itself(cluster: PostgresCluster) -> None:
    first_line = (cluster.data / "postmaster.pid").read_text().splitlines()[0]

    assert cluster.pid == int(first_line)


def test_a_pid_file_that_names_an_unrelated_program_does_not_stop_the_start(cluster: PostgresCluster) -> None:
    cluster.stop()
    (cluster.data / "postmaster.pid").write_text(f"{os.getpid()}\n{cluster.data}\n")

    cluster.start()

    assert one(cluster, "SELECT 1") == 1


def test_an_interrupted_initdb_is_done_again(home: Path) -> None:
    half_made = home / "pg18.new"
    half_made.mkdir(parents=True)
    (half_made / "PG_VERSION").write_text("18\n")
    cluster = PostgresCluster(home, durable=False)

    cluster.start()
    try:
        assert one(cluster, "SELECT 1") == 1
        assert not half_made.exists()
    finally:
        cluster.kill()


def test_it_ends_with_a_parent_that_is_killed_and_starts_again(home: Path) -> None:
    program = (
        "import sys, pathlib, time; from durable_engine.embedded.postgres import PostgresCluster; "
        "cluster = PostgresCluster(pathlib.Path(sys.argv[1])); cluster.start(); print(cluster.pid, flush=True); "
        "time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", program, str(home)], cwd=BASE_DIR, stdout=subprocess.PIPE) as parent:
        assert parent.stdout
        postmaster = int(parent.stdout.readline())
        family = descendants(postmaster)
        assert len(family) > 3
        parent.kill()
    cluster = PostgresCluster(home)
    # At once, while the old server may still be on its way out.
    cluster.start()
    try:
        wait_until_gone(family)
        assert one(cluster, "SELECT 1") == 1
    finally:
        cluster.stop()


def test_a_server_that_was_left_behind_is_stopped_first(home: Path) -> None:
    left_behind = PostgresCluster(home)
    left_behind.start()
    make_row(left_behind)
    cluster = PostgresCluster(home)

    cluster.start()
    try:
        assert left_behind.child
        assert left_behind.child.wait(60) == 0
        assert one(cluster, "SELECT count(*) FROM kept") == 1
    finally:
        cluster.stop()


def test_a_server_that_cannot_start_says_why(cluster: PostgresCluster) -> None:
    cluster.stop()
    with (cluster.data / "postgresql.conf").open("a") as settings:
        settings.write("\nshared_buffers = plenty\n")

    with pytest.raises(PostgresError, match="shared_buffers"):
        cluster.start()


def test_a_stop_leaves_no_process(cluster: PostgresCluster) -> None:
    assert cluster.pid
    family = descendants(cluster.pid)

    cluster.stop()

    wait_until_gone(family, seconds=2)
    assert process.processes_in(cluster.data, "postgres") == []


def path_with_only(programs: list[str], directory: Path) -> str:
    """Return a PATH on which only these programs are found."""
    directory.mkdir(exist_ok=True)
    for name in programs:
        found = shutil.which(name)
        assert found
        (directory / name).symlink_to(found)
    return str(directory)


@needs_root
def test_root_without_user_namespaces_runs_it_as_nobody(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", path_with_only(["setpriv", "true"], tmp_path / "bin"))
    cluster = PostgresCluster(home)
    cluster.start()
    try:
        make_row(cluster)
        assert cluster.data.stat().st_uid == NOBODY
        assert cluster.pid
        assert Path(f"/proc/{cluster.pid}").stat().st_uid == NOBODY
        os.kill(cluster.pid, signal.SIGKILL)
        wait_for(lambda: cluster.pid is None, "the end of the server")
        # Also where namespaces work again: the data belong to nobody now.
        monkeypatch.undo()
        cluster.start()
        assert one(cluster, "SELECT count(*) FROM kept") == 1
    finally:
        cluster.kill()


@needs_root
def test_root_without_any_way_is_told_what_to_do(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", path_with_only(["true"], tmp_path / "bin"))

    with pytest.raises(CannotDropRoot, match="ordinary user, or set DATABASE_URL"):
        PostgresCluster(home).start()
