"""A real SLURM cluster of one node on the loopback interface, for tests.

    python tests/cluster/slurm.py start FOLDER
    python tests/cluster/slurm.py stop FOLDER

Needs root and Debian's packages slurmctld, slurmd, slurm-client and munge, which `make
test-cluster` installs. Two stand-ins for GPUs are devices that look like /dev/null. Jobs that take
more memory than they asked for are killed, as on a cluster with cgroups.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

ETC = Path("/etc/slurm")
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scontrol", "scancel")
GPUS = 2
# Memory that jobs may ask for, whatever the machine has: they are small.
MEMORY_MB = 20_000

_CONFIG = """\
ClusterName=mwatlas
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort=16817
SlurmdPort=16818
SlurmUser=root
AuthType=auth/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill,UsePss
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerParameters=sched_interval=2,bf_interval=2
MinJobAge=7200
KillWait=5
MpiDefault=none
ReturnToService=2
SlurmdTimeout=300
GresTypes=gpu
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory} Gres=gpu:{gpus} State=UNKNOWN
PartitionName=cpu Nodes={host} Default=YES MaxTime=7-0 State=UP OverSubscribe=FORCE:2
PartitionName=gpu Nodes={host} MaxTime=1-0 State=UP OverSubscribe=FORCE:2
"""


class Slurm:
    """The cluster: its daemons, and what tests ask of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.host = os.uname().nodename.partition(".")[0]

    def start(self) -> None:
        """Start all daemons, and wait until the node takes jobs."""
        missing = [name for name in PROGRAMS if shutil.which(name, path=_PATH) is None]
        if missing or os.geteuid() != 0:
            raise RuntimeError(
                f"a SLURM cluster needs {', '.join(missing) or 'root'}; run: apt-get install "
                "slurmctld slurmd slurm-client munge"
            )
        for name in ("state", "spool"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        self._write_config()
        _start_munge()
        self.start_controller(clean=True)
        _run("slurmd")
        wait_for(lambda: self.node_state().startswith("IDLE"), "an idle node")

    def stop(self) -> None:
        """Stop all daemons and the jobs that are left."""
        if (self.folder / "slurmctld.pid").exists():
            _run("scancel", "--user", "root", check=False)
            wait_for(lambda: not self.jobs(), "jobs to end")
        for name in ("slurmd", "slurmctld"):
            self._end(name)
        for name in ("slurm.conf", "gres.conf"):
            (ETC / name).unlink(missing_ok=True)

    def start_controller(self, *, clean: bool = False) -> None:
        """Start slurmctld; a clean one remembers no jobs."""
        _run("slurmctld", *(["-c"] if clean else []))
        wait_for(lambda: _run("scontrol", "ping", check=False) == 0, "slurmctld")

    def stop_controller(self) -> None:
        """Stop slurmctld; jobs go on."""
        self._end("slurmctld")

    def jobs(self, *states: str) -> dict[str, str]:
        """Comment of each job that is queued, or in one of these states, by its number."""
        asked = [f"--states={','.join(states)}"] if states else []
        lines = _output("squeue", "--noheader", "--format=%i|%k", *asked).splitlines()
        return dict(line.split("|", 1) for line in lines)

    def state(self, job: str) -> str:
        """State of a job, for instance OUT_OF_MEMORY."""
        return _output("squeue", "--noheader", "--format=%T", "--states=all", "--jobs", job).strip()

    def details(self, job: str) -> dict[str, str]:
        """What scontrol says of a job."""
        words = _output("scontrol", "show", "job", job).split()
        return dict(word.split("=", 1) for word in words if "=" in word)

    def cancel(self, job: str) -> None:
        """Cancel a job, as its owner or an administrator would."""
        _run("scancel", job)

    def drain(self) -> None:
        """Take the node out of service; its jobs may end."""
        _run("scontrol", "update", f"NodeName={self.host}", "State=DRAIN", "Reason=test")

    def resume(self) -> None:
        """Put the node back."""
        _run("scontrol", "update", f"NodeName={self.host}", "State=RESUME")

    def node_state(self) -> str:
        """For instance IDLE, MIXED or DRAINED."""
        text = _output("scontrol", "show", "node", self.host, check=False)
        words = dict(word.split("=", 1) for word in text.split() if "=" in word)
        return words.get("State", "")

    def wait_for_job(self, comment: str, state: str = "RUNNING") -> str:
        """Number of the first job with this in its comment that is in that state."""
        found: list[str] = []

        def look() -> bool:
            found[:] = [number for number, text in self.jobs(state).items() if comment in text]
            return bool(found)

        wait_for(look, f"a job of {comment} that is {state}")
        return found[0]

    def _write_config(self) -> None:
        ETC.mkdir(exist_ok=True)
        for name in ("slurm.conf", "gres.conf"):
            path = ETC / name
            if path.exists() and not path.is_symlink():
                raise RuntimeError(f"this machine has a SLURM of its own: {path} exists")
            path.unlink(missing_ok=True)
        text = _CONFIG.format(
            host=self.host, folder=self.folder, cpus=os.cpu_count(), memory=MEMORY_MB, gpus=GPUS
        )
        (self.folder / "slurm.conf").write_text(text)
        devices = [self.folder / f"gpu{number}" for number in range(GPUS)]
        for device in devices:
            if not device.exists():
                os.mknod(device, 0o20666, os.makedev(1, 3))
        lines = [f"NodeName={self.host} Name=gpu File={device}\n" for device in devices]
        (self.folder / "gres.conf").write_text("".join(lines))
        # Steps of jobs look here: the variable that names another place does not reach them.
        for name in ("slurm.conf", "gres.conf"):
            (ETC / name).symlink_to(self.folder / name)

    def _end(self, name: str) -> None:
        path = self.folder / f"{name}.pid"
        if not path.exists():
            return
        pid = int(path.read_text())
        os.kill(pid, signal.SIGTERM)
        wait_for(lambda: not Path(f"/proc/{pid}").exists(), f"{name} to end")
        path.unlink(missing_ok=True)


_PATH = f"{os.environ['PATH']}:/usr/sbin:/sbin"


def _start_munge() -> None:
    if subprocess.run(["pgrep", "-x", "munged"], stdout=subprocess.DEVNULL).returncode == 0:
        return
    key = Path("/etc/munge/munge.key")
    if not key.exists():
        key.write_bytes(os.urandom(1024))
    for path in (key, *map(Path, ("/run/munge", "/var/lib/munge", "/var/log/munge"))):
        if path != key:
            path.mkdir(parents=True, exist_ok=True)
            path.chmod(0o755)
        shutil.chown(path, "munge", "munge")
    key.chmod(0o400)
    _run("runuser", "-u", "munge", "--", "/usr/sbin/munged")


def _run(*command: str, check: bool = True) -> int:
    environment = {**os.environ, "PATH": _PATH}
    return subprocess.run(
        command, check=check, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ).returncode


def _output(*command: str, check: bool = True) -> str:
    return subprocess.run(
        command, check=check, env={**os.environ, "PATH": _PATH}, capture_output=True, text=True
    ).stdout


def wait_for(condition: Callable[[], bool], what: str, limit_s: float = 600) -> None:
    end = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"waited {limit_s:.0f} s for {what}")
        time.sleep(0.1)


if __name__ == "__main__":
    cluster = Slurm(Path(sys.argv[2]).resolve())
    cluster.start() if sys.argv[1] == "start" else cluster.stop()
