"""run.json and the lock on a home directory."""

import json
import os
from pathlib import Path

import pytest

from durable_engine.embedded import runfile


def test_the_file_names_all_a_script_needs_and_only_its_owner_can_read_it(tmp_path: Path) -> None:
    pids = {"supervisor": 1, "postgres": None}
    runfile.RunFile("http://127.0.0.1:8000/", "admin", "secret", "ID", "key", "us-east-1", pids).write(tmp_path)

    file = tmp_path / "run.json"
    assert json.loads(file.read_text()) == {
        "url": "http://127.0.0.1:8000/",
        "admin_user": "admin",
        "admin_password": "secret",
        "access_key_id": "ID",
        "secret_access_key": "key",
        "region": "us-east-1",
        "pids": pids,
    }
    assert file.stat().st_mode & 0o777 == 0o600


def test_writing_again_replaces_the_file_in_one_step_and_leaves_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "run.json"
    runfile.RunFile("http://127.0.0.1:8000/", "admin", None).write(tmp_path)
    with file.open() as reader:
        runfile.RunFile("http://127.0.0.1:8001/", "admin", None).write(tmp_path)
        # A reader that opened the old file goes on reading all of it.
        assert json.load(reader)["url"] == "http://127.0.0.1:8000/"

    assert json.loads(file.read_text())["url"] == "http://127.0.0.1:8001/"
    assert [entry.name for entry in tmp_path.iterdir()] == ["run.json"]


def test_a_home_belongs_to_one_supervisor_until_it_lets_go(tmp_path: Path) -> None:
    with runfile.lock_home(tmp_path), pytest.raises(runfile.AlreadyRunning, match=f"process {os.getpid()}"):
        runfile.lock_home(tmp_path)

    runfile.lock_home(tmp_path).close()
