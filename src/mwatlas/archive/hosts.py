"""Turns and slots of a host: how often and how many at a time it is asked."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from queue import SimpleQueue

from urllib3 import BaseHTTPResponse


class Host:
    """What all threads of this process share about one host.

    Parameters
    ----------
    interval_s
        Least time between the starts of two requests.
    connections
        Most requests at a time.
    clock, sleep
        Of which time is read, and how it is waited for.
    """

    def __init__(
        self,
        interval_s: float,
        connections: int,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
    ) -> None:
        self._interval_s = interval_s
        self._clock = clock
        self._sleep = sleep
        # A queue and no semaphore: a slot may come back from a finalizer, and only a SimpleQueue
        # may be used from there while another call of it is under way.
        self._slots: SimpleQueue[None] = SimpleQueue()
        for _ in range(connections):
            self._slots.put(None)
        self._lock = threading.Lock()
        self._next_start = clock()

    def wait_turn(self) -> None:
        """Return when the next request may start."""
        while True:
            with self._lock:
                now = self._clock()
                wait_s = self._next_start - now
                if wait_s <= 0:
                    self._next_start = now + self._interval_s
                    return
            # Looked at again afterwards: the host may have been paused meanwhile.
            self._sleep(wait_s)

    def pause(self, seconds: float) -> None:
        """Let no request start for a while: one that failed says that others would."""
        with self._lock:
            self._next_start = max(self._next_start, self._clock() + seconds)

    def slot(self) -> Slot:
        """Wait for a slot and take it."""
        self._slots.get()
        return Slot(self._slots)


class Slot:
    """Right to one of a host's connections; given back once, however often that is asked.

    Parameters
    ----------
    slots
        Where it is from.
    """

    def __init__(self, slots: SimpleQueue[None]) -> None:
        self._give_back: Callable[[], object] = weakref.finalize(self, slots.put, None)

    def release(self) -> None:
        """Give it back."""
        self._give_back()

    def release_after(self, body: BaseHTTPResponse) -> None:
        """Give it back when a body was read to its end, closed, or forgotten.

        urllib3 calls ``release_conn`` of the body in the first two cases. In the third the slot
        goes with the body that holds it.
        """
        release_conn = type(body).release_conn
        body_itself = weakref.ref(body)

        def released() -> None:
            self.release()
            there = body_itself()
            if there is not None:
                release_conn(there)

        # Put on this body alone, which is the only place urllib3 tells of its end.
        body.release_conn = released  # type: ignore[method-assign]
