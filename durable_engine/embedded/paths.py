"""Where the embedded servers live. One rule, so that every process of a home finds them without being told."""

import hashlib
import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

DATABASE = "perdure"
ROLE = "perdure"


class UnsafeDirectory(Exception):
    """A directory that must be ours alone is not."""


def socket_directory(home: Path) -> Path:
    """Return the directory of the sockets of `home`; it need not exist.

    The path is short, whatever the length of `home`, because a socket's may have 107 bytes. It does not depend on
    TMPDIR or XDG_RUNTIME_DIR, which differ between a terminal, sudo and cron.
    """
    digest = hashlib.sha256(os.fsencode(os.path.realpath(home))).hexdigest()[:12]
    base = Path("/tmp")  # noqa: S108 (made with mode 0700 and its owner checked by `private_directory`)
    if not base.is_dir():
        base = Path(tempfile.gettempdir())
    return base / f"perdure-{os.getuid()}-{digest}"


def private_directory(path: Path) -> Path:
    """Make `path` a directory that only this user can enter, and return it.

    Raises:
        UnsafeDirectory: it exists and is a link, or belongs to someone else.
    """
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise UnsafeDirectory(
            f"{path} is not a directory of this user; remove it or set PERDURE_HOME to another directory"
        )
    path.chmod(0o700)
    return path


def database_url(home: Path, database: str = DATABASE) -> str:
    """Return the URL of a database of the embedded Postgres of `home`."""
    return f"postgresql://{ROLE}@/{database}?host={socket_directory(home)}"


def broker_url(home: Path) -> str:
    """Return the URL of the embedded broker of `home`, in kombu's form."""
    return f"redis+socket://{socket_directory(home)}/broker.sock"


def remove_socket_directory(home: Path) -> None:
    """Remove the directory of the sockets of `home` when nothing is in it."""
    with suppress(OSError):
        socket_directory(home).rmdir()
