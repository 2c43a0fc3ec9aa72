"""Servers of a test session: run without privileges, and gone when it ends, however it ends."""

from __future__ import annotations

import grp
import os
import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_LONGEST_START_S, _LONGEST_STOP_S = 60, 30


@dataclass(frozen=True)
class Account:
    """Who runs the servers: PostgreSQL refuses to be root, and nothing here needs it.

    Parameters
    ----------
    home
        Folder of all their files.
    user
        Name to change to; empty to stay who we are.
    """

    home: Path
    user: str

    @classmethod
    def at(cls, home: Path) -> Account:
        """PostgreSQL's account of the system if we are root, else our own."""
        return cls(home, "" if os.geteuid() else "postgres")

    @property
    def group(self) -> str:
        """Name of its group."""
        return self.user or grp.getgrgid(os.getegid()).gr_name

    def own(self, path: Path) -> Path:
        """Hand a file or folder over."""
        if self.user:
            shutil.chown(path, self.user, self.group)
        return path

    def command(self, *words: str | Path) -> list[str]:
        """A command as this account, which also ends if we are killed."""
        prefix = ["setpriv", "--pdeathsig=INT"]
        if self.user:
            prefix += [f"--reuid={self.user}", f"--regid={self.group}", "--init-groups"]
        return [*prefix, *map(str, words)]

    def environment(self, more: Mapping[str, str]) -> dict[str, str]:
        """Variables of its processes: none of a virtual environment's."""
        return {"PATH": "/usr/bin:/bin", "HOME": str(self.home), "LANG": "C.UTF-8", **more}

    def run(self, *words: str | Path, **more: str) -> None:
        """Run a command to its end.

        Raises
        ------
        RuntimeError
            If it fails, with what it wrote.
        """
        done = subprocess.run(
            self.command(*words),
            cwd=self.home,
            env=self.environment(more),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{' '.join(map(str, words))} failed:\n{done.stdout}")


class Daemon:
    """A server in the background, in a session of its own: Ctrl-C reaches the tests alone.

    Parameters
    ----------
    account, words, environment
        What runs, and as whom.
    log
        File of what it writes.
    ready
        What it writes once it is ready; empty if it does not tell.
    """

    def __init__(
        self,
        account: Account,
        words: Sequence[str | Path],
        log: Path,
        environment: Mapping[str, str] | None = None,
        ready: str = "",
    ) -> None:
        self._account, self._words, self._log = account, words, log
        self._environment, self._ready = environment or {}, ready
        self._said = threading.Event()

    def __enter__(self) -> Daemon:
        self._process = subprocess.Popen(
            self._account.command(*self._words),
            cwd=self._account.home,
            env=self._account.environment(self._environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        threading.Thread(target=self._listen, daemon=True).start()
        if self._ready and not (self._said.wait(_LONGEST_START_S) and self.alive):
            self.__exit__()
            raise RuntimeError(f"{self._words[0]} does not start:\n{self._log.read_text()}")
        return self

    def __exit__(self, *_: object) -> None:
        if self.alive:
            self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(_LONGEST_STOP_S)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._process.poll() is None

    def _listen(self) -> None:
        assert self._process.stdout is not None
        with self._log.open("wb", buffering=0) as log:
            for line in self._process.stdout:
                log.write(line)
                if self._ready.encode() in line:
                    self._said.set()
        self._said.set()


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
