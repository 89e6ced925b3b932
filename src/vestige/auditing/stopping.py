"""A process that is told to stop cleans up as after Ctrl-C: SIGTERM of a scheduler, SIGHUP of a closed terminal."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))


_RECEIVED: list[int] = []


def received() -> int | None:
    """Return the signal that told this process to stop; what is raised since may be what others made of it."""
    return _RECEIVED[-1] if _RECEIVED else None


class Stopped(KeyboardInterrupt):
    """Raised where a process is told to stop, so that whatever cleans up after Ctrl-C cleans up.

    Attributes:
        number: Of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


@contextmanager
def stopping_raises() -> Iterator[None]:
    """Let signals that would end the process at once raise `Stopped` in this block instead.

    Signals that somebody else handles or ignores are left to them, and so is everything outside of the main thread.
    """
    ours = {}
    if threading.current_thread() is threading.main_thread():
        ours = {number: signal.SIG_DFL for number in _SIGNALS if signal.getsignal(number) is signal.SIG_DFL}

    def stop(number: int, _: FrameType | None) -> None:
        for other in ours:  # asked once is enough, and cleaning up is not to be interrupted
            signal.signal(other, signal.SIG_IGN)
        _RECEIVED.append(number)
        raise Stopped(number)

    try:
        for number in ours:
            signal.signal(number, stop)
        yield
    finally:
        for number, before in ours.items():
            signal.signal(number, before)


@contextmanager
def cleaning_up_when_stopped() -> Iterator[None]:
    """Let a block clean up before a signal ends the process, which it then does as if nobody had asked."""
    try:
        with stopping_raises():
            yield
    except BaseException:
        number = received()
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:
            signal.raise_signal(number)
        raise
