"""A few pieces of work at a time; one that fails spoils none of the others."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

_LOG = logging.getLogger("mwatlas")


def in_lanes(
    items: Iterable[Item], work: Callable[[Item], Result], lanes: int
) -> Iterator[tuple[Item, Result]]:
    """Yield items with their results as they get done.

    Lanes are threads: inflating, parsing and writing do not hold Python's lock.

    Parameters
    ----------
    items
        What to work on. Only ``lanes`` of them are taken up at a time.
    work
        What to do with one.
    lanes
        How many at a time.

    Raises
    ------
    Exception
        What the first item that failed raised. Nothing is started after a failure, but what was
        under way is finished and yielded before it is raised.
    """
    waiting = enumerate(items)
    failures: dict[int, BaseException] = {}
    with ThreadPoolExecutor(lanes, thread_name_prefix="fetch") as pool:
        running: dict[Future[Result], tuple[int, Item]] = {}
        while True:
            if not failures:
                for number, item in islice(waiting, lanes - len(running)):
                    running[pool.submit(work, item)] = (number, item)
            if not running:
                break
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                number, item = running.pop(future)
                error = future.exception()
                if error is None:
                    yield item, future.result()
                else:
                    failures[number] = error
    if failures:
        first, *others = (failures[number] for number in sorted(failures))
        for error in others:
            _LOG.error("%s", error)
        raise first


def ahead(items: Iterable[Item], work: Callable[[Item], Result], number: int) -> Iterator[Result]:
    """Yield results in the order of the items, worked on in a thread of their own.

    Parameters
    ----------
    items
        What to work on; drawn by the caller's thread.
    work
        What to do with one.
    number
        How many items are drawn before the first result is asked for, and stay drawn.

    Raises
    ------
    Exception
        What the work on an item raised, after the results before it; or what drawing the next item
        raised, after the results of all that were drawn.
    """
    source, waiting = iter(items), deque[Future[Result]]()
    failure: Exception | None = None
    with ThreadPoolExecutor(1, thread_name_prefix="ahead") as pool:
        while True:
            try:
                item = next(source)
            except StopIteration:
                break
            except Exception as error:
                failure = error
                break
            waiting.append(pool.submit(work, item))
            if len(waiting) > number:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    if failure is not None:
        raise failure
