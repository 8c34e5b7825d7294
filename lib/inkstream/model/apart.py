"""Suspect pictures in, each prepared in a child process with limits: what kills its reader costs one picture, no more.

Pictures are read in the worker itself, which is fast, and where a decoder that crashes takes the whole task with it.
Only a micro-batch that lost a worker comes here.
"""

from __future__ import annotations

import multiprocessing
import resource
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import TypeVar

import psutil

from inkstream.errors import Rejected
from inkstream.settings import ImageSettings

Picture = TypeVar("Picture")
Prepared = TypeVar("Prepared")

TOOK_LONGER = "took longer"  # in the reason of what outlived its time
_FORK = multiprocessing.get_context("fork")  # the child has everything loaded that its parent has


def prepare_apart(
    prepare: Callable[[Picture], Prepared], pictures: Sequence[Picture], limits: ImageSettings
) -> Iterator[Prepared | Rejected]:
    """`prepare` of each picture, in order; Rejected with `decode_failed` where that ended or outlived its process.

    One child works through all of them until one ends it; the next child goes on with the one after. What `prepare`
    returns must pickle. limits: decode_limit_s is the time of one picture, decode_memory_mb what a child may take.
    """
    place = 0
    while place < len(pictures):
        ours, theirs = _FORK.Pipe(duplex=False)
        child = _FORK.Process(target=_work, args=(prepare, pictures[place:], limits, theirs), daemon=True)
        child.start()
        theirs.close()
        try:
            while place < len(pictures):
                failed = None
                if not ours.poll(limits.decode_limit_s):
                    failed = f"{TOOK_LONGER} than {limits.decode_limit_s:g} s"
                else:
                    try:
                        yield ours.recv()
                    except EOFError:
                        failed = _ended(child, limits)
                place += 1
                if failed:
                    yield Rejected("decode_failed", f"Reading this picture {failed}.")
                    break
        finally:
            ours.close()
            child.kill()
            child.join()
            child.close()


def _work(
    prepare: Callable[[Picture], Prepared], pictures: Sequence[Picture], limits: ImageSettings, out: Connection
) -> None:
    signal.setitimer(signal.ITIMER_REAL, 0)  # the parent's alarm: here the parent looks at the clock
    most = psutil.Process().memory_info().vms + limits.decode_memory_mb * 2**20
    with suppress(ValueError, OSError):  # a system that has a lower limit already, or none of this kind
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
    for picture in pictures:
        out.send(prepare(picture))
    out.close()


def _ended(child: multiprocessing.process.BaseProcess, limits: ImageSettings) -> str:
    child.join()
    code = child.exitcode or 0
    if code < 0:
        return f"ended its process ({signal.Signals(-code).name})"
    return f"ended its process (exit status {code}; it may take {limits.decode_memory_mb} MB)"
