"""Find out whether a Ray answers at an address, before this process connects to it.

Ray cannot be interrupted while it connects, tries for most of a minute, and may end the process when it gives up. So a
child process tries first, which can be killed.
"""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from contextlib import suppress

import anyio

from asyncexec.errors import BackendError

_TRIAL = """
import socket
import sys

def tell(kind, text):
    sys.stdout.write(f"{kind} {text}\\n")
    sys.stdout.flush()

try:
    from ray._private.services import canonicalize_bootstrap_address_or_die as find
    from ray._raylet import GcsClient
except ImportError:
    sys.exit(0)  # Another Ray, which is tried out by connecting to it.
try:
    from ray._private.authentication import authentication_token_setup as tokens
    tokens.maybe_enable_token_auth_if_token_available(warn_if_disabled=False)
except (ImportError, AttributeError, TypeError):
    pass
try:
    address = find(sys.argv[1])
    tell("found", address)
    host, _, port = address.rpartition(":")
    socket.create_connection((host.strip("[]"), int(port))).close()
    GcsClient(address=address).get_all_node_info()
except Exception as error:
    tell("failed", " ".join(f"{type(error).__name__}: {error}".split()))
    sys.exit(1)
"""


async def check_reachable(address: str | None, seconds: float) -> None:
    """Raise unless a Ray answers at an address within so many seconds; None is for a Ray that is started here.

    Parameters
    ----------
    address : str or None
        ``"host:port"``, or ``"auto"``.
    seconds : float

    Raises
    ------
    BackendError
        If none does, with the address that was found and the reason.
    """
    if address is None:
        return
    told = {"found": address, "failed": "no answer"}
    process: Process | None = None
    try:
        with anyio.fail_after(seconds):
            await _connect(address)
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-c", _TRIAL, address, stdin=DEVNULL, stdout=PIPE, stderr=DEVNULL
            )
            await _listen(process, told)
            if await process.wait() == 0:
                return
    except TimeoutError:
        told["failed"] = f"no answer within {seconds:g} s"
    except OSError as error:
        told["failed"] = str(error)
    finally:
        if process is not None:
            await _end(process)
    raise BackendError(_explained(address, found=told["found"], why=told["failed"]))


async def _listen(process: Process, told: dict[str, str]) -> None:
    """Note the address that the child process finds, and the reason of its failure."""
    while process.stdout is not None and (line := await process.stdout.readline()):
        kind, _, text = line.decode(errors="replace").strip().partition(" ")
        told[kind] = text


async def _connect(address: str) -> None:
    """Raise OSError at once if nothing listens at ``host:port``; Ray itself finds other addresses."""
    host, _, port = address.rpartition(":")
    if port.isdigit():
        stream = await anyio.connect_tcp(host.strip("[]"), int(port))
        await stream.aclose()


async def _end(process: Process) -> None:
    """End the child process, and wait for that."""
    with suppress(ProcessLookupError):
        process.kill()
    with anyio.CancelScope(shield=True):
        await process.wait()


def _explained(address: str, *, found: str, why: str) -> str:
    where = f"cluster_address={address!r}"
    if found != address:
        where += f" ({found})"
    return (
        f"executor 'ray': nothing can be reached at {where}: {why}. It is the address of the head node, as "
        f"`ray start --head` prints it, by default with port 6379, and this machine has to be a node of that cluster. "
        f"A Ray that another program has started for itself listens for that program only: start one to share with "
        f"`ray start --head`, or leave cluster_address out to start one here"
    )
