"""A clock that a test moves."""

from __future__ import annotations

import threading
from collections.abc import Callable


class FakeClock:
    """Time that passes only when somebody sleeps; what was slept is kept.

    Parameters
    ----------
    on_sleep
        Called with the number of the sleep, from 1.
    """

    def __init__(self, on_sleep: Callable[[int], object] = lambda _: None) -> None:
        self.slept: list[float] = []
        self._now = 0.0
        self._on_sleep = on_sleep
        self._lock = threading.Lock()

    def __call__(self) -> float:
        with self._lock:
            return self._now

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self._now += seconds
            self.slept.append(seconds)
            number = len(self.slept)
        self._on_sleep(number)
