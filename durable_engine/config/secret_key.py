"""The secret key of local mode: made once, kept in the home directory, readable by this user only."""

import os
import secrets
from contextlib import suppress
from pathlib import Path


def generated_secret_key(home: Path) -> str:
    """Return the key of `home`, making it on the first call. Processes that start together agree on one."""
    path = home / "secret_key"
    with suppress(FileNotFoundError):
        return path.read_text().strip()
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = home / f"secret_key.{os.getpid()}"
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(secrets.token_urlsafe(48))
    # A link, not a rename: the first process wins and the others read what it wrote.
    with suppress(FileExistsError):
        os.link(draft, path)
    draft.unlink()
    return path.read_text().strip()
