"""Where the embedded servers live."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from durable_engine.config.env import BASE_DIR
from durable_engine.embedded import paths

LONGEST_SOCKET = 107


@pytest.mark.parametrize("home", ["/h", "/home/" + "deep/" * 60 + "home", "/with space/ünicode"])
def test_the_socket_path_is_short_enough_whatever_the_home_is(home: str) -> None:
    socket = paths.socket_directory(Path(home)) / ".s.PGSQL.5432"

    assert len(os.fsencode(socket)) <= LONGEST_SOCKET
    assert " " not in str(socket)


def test_every_process_of_a_home_finds_the_same_directory(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    link = tmp_path / "link"
    link.symlink_to(home)
    program = (
        "import sys, pathlib; from durable_engine.embedded import paths; "
        "print(paths.broker_url(pathlib.Path(sys.argv[1])))"
    )
    elsewhere = subprocess.run(
        [sys.executable, "-c", program, str(link)],
        env={"TMPDIR": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path)},
        cwd=BASE_DIR,
        capture_output=True,
        text=True,
        check=True,
    )

    assert elsewhere.stdout.strip() == paths.broker_url(home)
    assert paths.socket_directory(tmp_path / "other") != paths.socket_directory(home)


def test_a_private_directory_is_made_for_its_owner_only(tmp_path: Path) -> None:
    loose = tmp_path / "loose"
    loose.mkdir(mode=0o755)

    for directory in (tmp_path / "new" / "deep", loose):
        assert paths.private_directory(directory).stat().st_mode & 0o777 == 0o700


def test_a_link_that_someone_put_in_the_way_is_refused(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.mkdir()
    trap = tmp_path / "trap"
    trap.symlink_to(target)

    with pytest.raises(paths.UnsafeDirectory, match="PERDURE_HOME"):
        paths.private_directory(trap)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a directory of another user")
def test_a_directory_of_another_user_is_refused(tmp_path: Path) -> None:
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    os.chown(foreign, 12345, 12345)

    with pytest.raises(paths.UnsafeDirectory):
        paths.private_directory(foreign)
