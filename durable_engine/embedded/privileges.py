"""How a root user runs Postgres, which refuses to run as root.

No system user is made and no directory is opened to others. The first choice is a user namespace, in which our files
belong to an ordinary user; where namespaces are forbidden, as in some containers, the user `nobody` with the one
capability it needs to reach our files.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

NOBODY = 65534
HELP = (
    "Postgres does not run as root, and neither way round that works here: `unshare --user` (user namespaces) "
    "nor `setpriv` (util-linux). Run as an ordinary user, or set DATABASE_URL to a running Postgres."
)
IN_NAMESPACE = ["unshare", "--user", f"--map-user={NOBODY}", f"--map-group={NOBODY}", "--"]
AS_NOBODY = [
    "setpriv",
    f"--reuid={NOBODY}",
    f"--regid={NOBODY}",
    "--clear-groups",
    "--inh-caps=+dac_override",
    "--ambient-caps=+dac_override",
    "--",
]


class CannotDropRoot(Exception):
    """There is no way to run Postgres here; the message says what to do instead."""


def prefix_for(data_directory: Path) -> list[str]:
    """Return the words before a Postgres command so that it may run; none for an ordinary user.

    A data directory stays with the way it was made by, because Postgres insists on owning it.

    Raises:
        CannotDropRoot: neither way works on this machine.
    """
    if os.geteuid() != 0:
        return []
    owner = data_directory.stat().st_uid if data_directory.exists() else None
    ways = [way for way, made_by in ((IN_NAMESPACE, 0), (AS_NOBODY, NOBODY)) if owner in (None, made_by)]
    for way in ways:
        if _works(way):
            return way
    raise CannotDropRoot(HELP)


def with_death_signal(prefix: list[str], name: str) -> list[str]:
    """Add the parent-death signal after the change of user, which would clear an earlier one."""
    if not prefix or sys.platform != "linux" or not shutil.which("setpriv"):
        return prefix
    return [*prefix, "setpriv", "--pdeathsig", name, "--"]


def _works(prefix: list[str]) -> bool:
    if not shutil.which(prefix[0]):
        return False
    return subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode == 0
