"""Ctrl-C ends a command, whatever it does: the first one asks it to stop, and two seconds later it has ended.

Python hears a signal only between two of its own steps, and code in between may swallow what it raises. The byte that
the interpreter writes for each signal comes at once, to a thread of its own. Everything that pbdb leaves when it is
killed is as it was before, or is finished by the next run.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import threading
import time

SECONDS_TO_CLEAN_UP = 1.6
STOPPED = 130


def end_when_asked() -> None:
    """End this process at the latest two seconds after Ctrl-C; not where it is to ignore it, as under nohup."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN or threading.current_thread() is not threading.main_thread():
        return
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    signal.set_wakeup_fd(theirs.detach(), warn_on_full_buffer=False)
    threading.Thread(target=_watch, args=(ours,), name="interrupts", daemon=True).start()


def _watch(signals: socket.socket) -> None:
    while signals.recv(1) != bytes([signal.SIGINT]):
        pass
    time.sleep(SECONDS_TO_CLEAN_UP)
    for process in multiprocessing.active_children():
        process.kill()
    # To the descriptor itself: who is stuck may hold the stream's lock.
    os.write(2, b"\x1b[?25h\nStopped.\n" if os.isatty(2) else b"Stopped.\n")  # a bar hides the cursor
    os._exit(STOPPED)
