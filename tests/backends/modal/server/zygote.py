"""A process that has imported what containers need, and forks one for each container.

A container runs Modal's own entry point, unmodified, in a process of its own; forking spares each the imports.
"""

import json
import os
import runpy
import select
import signal
import socket
import sys

KEPT = ("PATH", "HOME", "LANG", "TMPDIR")
"""What a container sees of this machine's environment."""


def start_zygote() -> socket.socket:
    """Start it, and return the line to it: a JSON object for each container to start, one back for each that ended."""
    ours, its = socket.socketpair()
    if os.fork() == 0:
        ours.close()
        try:
            _serve(its)
        finally:
            os._exit(0)
    its.close()
    return ours


def _serve(line: socket.socket) -> None:
    _import_what_containers_need()
    woken, wake = socket.socketpair()
    wake.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
    living: dict[int, str] = {}
    received = b""
    try:
        while True:
            ready, _, _ = select.select([line, woken], [], [])
            if woken in ready:
                woken.recv(4096)
                _reap(living, line)
            if line in ready:
                data = line.recv(65536)
                if not data:
                    return
                *commands, received = (received + data).split(b"\n")
                for command in commands:
                    asked = json.loads(command)
                    pid = _start(asked)
                    living[pid] = asked["task_id"]
                    _tell(line, {"task_id": asked["task_id"], "pid": pid})
    finally:
        for pid in living:
            os.kill(pid, signal.SIGKILL)
        for pid in living:
            os.waitpid(pid, 0)


def _tell(line: socket.socket, said: dict) -> None:
    line.sendall(json.dumps(said).encode() + b"\n")


def _import_what_containers_need() -> None:
    import modal._container_entrypoint  # noqa: F401 - loaded before the fork
    import numpy as np  # noqa: F401 - the same


def _reap(living: dict[int, str], line: socket.socket) -> None:
    for pid in list(living):
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            code = os.waitstatus_to_exitcode(status)
            _tell(line, {"task_id": living.pop(pid), "exit": code})


def _start(asked: dict) -> int:
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        os.setsid()
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        log = os.open(asked["log"], os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        for stream in (0, 1, 2):
            os.dup2(log, stream)
        os.closerange(3, 1024)  # The line to the server among them.
        kept = {name: os.environ[name] for name in KEPT if name in os.environ}
        os.environ.clear()
        os.environ.update(kept, **asked["env"])
        runpy.run_module("modal._container_entrypoint", run_name="__main__")
        code = 0
    except BaseException:  # noqa: BLE001 - nothing may get out of the child
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
