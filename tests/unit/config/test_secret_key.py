"""The generated secret key of local mode."""

import subprocess
import sys
from pathlib import Path

from durable_engine.config.env import BASE_DIR
from durable_engine.config.secret_key import generated_secret_key


def test_the_key_is_made_once_and_only_its_owner_can_read_it(tmp_path: Path) -> None:
    home = tmp_path / "home"

    key = generated_secret_key(home)

    assert generated_secret_key(home) == key
    assert len(key) >= 48
    assert (home / "secret_key").stat().st_mode & 0o777 == 0o600
    assert [file.name for file in home.iterdir()] == ["secret_key"]


def test_processes_that_start_together_agree_on_one_key(tmp_path: Path) -> None:
    program = (
        "import sys, pathlib; from durable_engine.config.secret_key import generated_secret_key; "
        "print(generated_secret_key(pathlib.Path(sys.argv[1])))"
    )
    started = [
        subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], cwd=BASE_DIR, stdout=subprocess.PIPE)
        for _ in range(6)
    ]
    keys = {process.communicate(timeout=30)[0] for process in started}

    assert keys == {f"{generated_secret_key(tmp_path)}\n".encode()}
