"""Something happens to a job that trains, when it has saved its third checkpoint.

Every Python process that finds this on its path as ``sitecustomize`` has it. It strikes once for
each file that notes it, so that the next try goes through.
"""

import os
import pathlib
import signal
import time

_replace, _saved = pathlib.Path.replace, 0


def _counting(self, target):
    global _saved
    out = _replace(self, target)
    if str(target).endswith(".checkpoint.npz"):
        _saved += 1
        note = pathlib.Path(os.environ["MWATLAS_TEST_NOTE"])
        if _saved == 3 and not note.exists():
            note.touch()
            _strike(os.environ["MWATLAS_TEST_ACCIDENT"], note)
    return out


def _strike(accident, note):
    if accident == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if accident == "memory":
        # More than the job asked for, and touched, so that it counts.
        held = bytearray(int(os.environ["MWATLAS_TEST_BYTES"]))
        held[:: 1 << 12] = b"x" * len(held[:: 1 << 12])
    while not note.with_suffix(".go").exists():
        time.sleep(0.1)


if "MWATLAS_TEST_NOTE" in os.environ:
    pathlib.Path.replace = _counting
