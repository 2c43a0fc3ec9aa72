"""A private PostgreSQL, reached through a socket in a folder; the system's is left alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .processes import Account, Daemon

NAME = "gavo"
INSTALL = "run the archive tests by `make test-archive`, which installs what they need"


def _programs() -> Path:
    """Folder of the newest PostgreSQL that has the extensions of DaCHS."""
    found = [
        path
        for path in sorted(Path("/usr/lib/postgresql").glob("*/bin"))
        if Path(f"/usr/share/postgresql/{path.parent.name}/extension/q3c.control").exists()
    ]
    if not found:
        raise RuntimeError(f"there is no PostgreSQL with q3c here: {INSTALL}")
    return found[-1]


@contextmanager
def database(account: Account) -> Iterator[str]:
    """Run a new PostgreSQL with an empty database; its connection string as a superuser."""
    programs, folder = _programs(), account.home / "database"
    owner = account.user or "postgres"
    account.run(
        programs / "initdb", "-D", folder, "-U", owner, "-A", "trust", "-E", "UTF8", "--no-sync"
    )
    words = (programs / "postgres", "-D", folder, "-k", account.home)
    # Nobody needs these data after a crash, nor from elsewhere.
    words += ("-c", "listen_addresses=", "-c", "fsync=off")
    log, ready = account.home / "database.log", "ready to accept connections"
    with Daemon(account, words, log, ready=ready):
        account.run(programs / "createdb", "-h", account.home, "-U", owner, NAME)
        yield f"host={account.home} dbname={NAME} user={owner}"
