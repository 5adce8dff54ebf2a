"""A proxy on loopback that counts requests and does them harm by rules: for tests of what stores do at their worst.

    with fault_proxy(server_url) as proxy:
        proxy.on("PUT", "*/c/*", does="reset", when="after", first=3)   # The third chunk's answer is lost.
        ...
        assert proxy.counts["PUT", "bucket/x/zarr.json"] == 1

It runs in a thread of its own and speaks HTTP/1.1 with plain asyncio.
"""

import asyncio
import contextlib
import fnmatch
import os
import signal
import socket
import struct
import threading
from collections import Counter
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

import psutil

from tests.object_stores import messages
from tests.object_stores.waves import Waves

CODES = {
    400: "InvalidRequest",
    403: "AccessDenied",
    404: "NoSuchKey",
    409: "ConditionalRequestConflict",
    412: "PreconditionFailed",
    429: "TooManyRequests",
    500: "InternalError",
    503: "SlowDown",
}
FOREVER = 1e9
QUIET_TURNS = 10


@dataclass(slots=True)
class Rule:
    """What is done to requests of a method whose ``bucket/key`` matches a pattern.

    Attributes
    ----------
    does : str
        ``delay`` (by ``seconds``), ``answer`` (with ``status``), ``reset``, ``silence`` (for ``seconds``), ``outage``
        (connections are refused for ``seconds``, those that are open reset); of the answer's body: ``truncate`` (half
        of it, then the end), ``stall`` (half of it, then silence for ``seconds``), ``trickle`` (piece by piece).
    when : str
        ``before`` the request has reached the server, or ``after``: then it was carried out, and the answer is lost.
    first, times : int, int or None
        The matching request from which on, and how many of them; None is all.
    after : Rule or None
        The rule that must have hit something before this one does.
    """

    does: str
    method: str = "*"
    key: str = "*"
    when: str = "before"
    status: int = 503
    seconds: float = FOREVER
    first: int = 1
    times: int | None = 1
    after: "Rule | None" = None
    matched: int = 0
    hits: int = 0
    hit: threading.Event = field(default_factory=threading.Event, repr=False)

    def takes(self, request: "Seen") -> bool:
        """Return whether the rule is for this request, and count it."""
        if self.method not in ("*", request.method) or not fnmatch.fnmatchcase(
            request.key, self.key
        ):
            return False
        if self.after is not None and not self.after.hits:
            return False
        self.matched += 1
        if self.matched < self.first or (self.times is not None and self.hits >= self.times):
            return False
        self.hits += 1
        self.hit.set()
        return True


@dataclass(slots=True)
class Seen:
    """A request: its method, ``bucket/key`` (without %-escapes), query, and the answer's status (0: none was sent)."""

    method: str
    key: str
    query: str
    sent: int = 0
    status: int = 0
    rule: str = ""


class FaultProxy:
    """What was asked of a server, and what shall go wrong."""

    def __init__(self, upstream: str) -> None:
        self.upstream = upstream
        parts = urlsplit(upstream)
        self._upstream = parts.hostname, parts.port
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        self._clients: set[asyncio.StreamWriter] = set()
        self._outages: set[asyncio.Task] = set()
        self._listener: asyncio.Server | None = None
        self._loop = asyncio.new_event_loop()
        # It holds the port while nothing listens, so that connections are refused and nobody else gets it.
        self._holder = socket.socket()
        self._holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self._holder.bind(("127.0.0.1", 0))
        self.port: int = self._holder.getsockname()[1]
        self.rules: list[Rule] = []
        self.requests: list[Seen] = []
        self.latency = 0.0
        self.waves: Waves | None = None
        self.in_flight = 0
        self.most_in_flight = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def counts(self) -> Counter:
        """How often each ``(method, "bucket/key")`` was asked for."""
        return Counter((seen.method, seen.key) for seen in list(self.requests))

    def count(self, method: str = "*", key: str = "*") -> int:
        """Return how many requests of a method there were whose ``bucket/key`` matches a pattern."""
        return sum(
            method in ("*", seen.method) and fnmatch.fnmatchcase(seen.key, key)
            for seen in list(self.requests)
        )

    def on(self, method: str = "*", key: str = "*", **how) -> Rule:
        """Add a rule, see :class:`Rule`; the first that takes a request is followed."""
        rule = Rule(method=method, key=key, **how)
        self.rules.append(rule)
        return rule

    def clear(self) -> None:
        """Forget rules and requests; what is silent stays silent."""
        self.rules, self.requests, self.latency, self.most_in_flight = [], [], 0.0, 0
        self.waves = None

    def refuse(self) -> None:
        """Refuse connections from now on, and reset those that are open."""
        self._call(self._refuse())

    def accept(self) -> None:
        """Accept connections again."""
        self._call(self._listen())

    def _call(self, awaited) -> None:
        asyncio.run_coroutine_threadsafe(awaited, self._loop).result()

    def run(self, ready: threading.Event) -> None:
        """Serve until :meth:`stop` is called."""
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._listen())
        ready.set()
        self._loop.run_forever()
        self._loop.run_until_complete(self._end())
        self._loop.close()
        self._holder.close()

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)

    async def _listen(self) -> None:
        if self._listener is None:
            self._listener = await asyncio.start_server(
                self._connected, "127.0.0.1", self.port, reuse_port=True, backlog=512, limit=2**20
            )

    async def _refuse(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        for writer in list(self._clients):
            reset(writer)

    async def _outage(self, seconds: float) -> None:
        await self._refuse()
        task = asyncio.ensure_future(self._end_outage(seconds))
        self._outages.add(task)
        task.add_done_callback(self._outages.discard)

    async def _end_outage(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        await self._listen()

    async def _end(self) -> None:
        if self._listener is not None:
            self._listener.close()
        # Connections that were accepted meanwhile get their tasks some turns of the loop later.
        quiet = 0
        while quiet < QUIET_TURNS:
            tasks = asyncio.all_tasks() - {asyncio.current_task()}
            quiet = 0 if tasks else quiet + 1
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await asyncio.sleep(0)
        for writer in [*self._clients, *(writer for _, writer in self._idle)]:
            writer.transport.abort()
        # Transports that were aborted close in the loop's next turn.
        await asyncio.sleep(0)

    async def _connected(self, reader, writer) -> None:
        self._clients.add(writer)
        try:
            while request := await messages.read_request(reader, writer):
                if not await self._answered(request, writer):
                    break
        except (OSError, EOFError):
            pass  # The client has gone.
        except asyncio.CancelledError:
            # The proxy ends: it waits for no client to read on. Asyncio would log a handler that is cancelled.
            writer.transport.abort()
        finally:
            self._clients.discard(writer)
            writer.close()

    async def _answered(self, request: messages.Message, writer) -> bool:
        """Answer a request; return whether the connection stays open."""
        path, _, query = request.target.partition("?")
        seen = Seen(request.method, unquote(path).lstrip("/"), query, len(request.body))
        self.requests.append(seen)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            rule = next((rule for rule in list(self.rules) if rule.takes(seen)), None)
            if self.waves is not None:
                await self.waves.enter(f"{seen.method} {seen.key}")
            if self.latency:
                await asyncio.sleep(self.latency)
            if rule is None:
                return await self._passed_on(request, seen, writer)
            seen.rule = rule.does
            return await self._harmed(rule, request, seen, writer)
        finally:
            self.in_flight -= 1

    async def _passed_on(self, request, seen, writer) -> bool:
        answer = await self._ask(request)
        seen.status = answer.status
        writer.write(answer.packed())
        await writer.drain()
        return True

    async def _harmed(self, rule: Rule, request, seen, writer) -> bool:
        if rule.does == "delay":
            await asyncio.sleep(rule.seconds)
            return await self._passed_on(request, seen, writer)
        if rule.does in ("truncate", "stall", "trickle"):
            return await self._sent_badly(rule, await self._ask(request), seen, writer)
        if rule.when == "after":
            await self._ask(request)
        if rule.does == "answer":
            seen.status = rule.status
            writer.write(
                messages.error(rule.status, CODES.get(rule.status, "Refused"), seen.method)
            )
            await writer.drain()
            return True
        if rule.does == "silence":
            await asyncio.sleep(rule.seconds)
        elif rule.does == "outage":
            await self._outage(rule.seconds)
        elif rule.does in ("kill", "stop"):
            os.kill(asker(writer), signal.SIGKILL if rule.does == "kill" else signal.SIGSTOP)
        elif rule.does != "reset":
            raise ValueError(f"no such fault: {rule.does}")
        reset(writer)
        return False

    async def _sent_badly(self, rule: Rule, answer, seen, writer) -> bool:
        seen.status = answer.status
        packed = answer.packed()
        start = len(packed) - len(answer.body)
        if rule.does == "trickle":
            steps = range(start, len(packed), max(1, len(answer.body) // 50))
            writer.write(packed[:start])
            for at in steps:
                await asyncio.sleep(rule.seconds / len(steps))
                writer.write(packed[at : at + steps.step])
                await writer.drain()
            return True
        writer.write(packed[: start + len(answer.body) // 2])
        await writer.drain()
        if rule.does == "stall":
            await asyncio.sleep(rule.seconds)
        return False

    async def _ask(self, request: messages.Message) -> messages.Message:
        """Return the server's answer; a connection that was kept may have been closed by the server meanwhile."""
        while self._idle:
            connection = self._idle.pop()
            with contextlib.suppress(OSError, EOFError):
                return await self._ask_on(connection, request)
        return await self._ask_on(await asyncio.open_connection(*self._upstream), request)

    async def _ask_on(self, connection, request: messages.Message) -> messages.Message:
        reader, writer = connection
        try:
            writer.write(request.packed())
            await writer.drain()
            answer = await messages.read_answer(reader, request.method)
        except BaseException:
            writer.transport.abort()
            raise
        if answer.keeps_open:
            self._idle.append(connection)
        else:
            writer.close()
        return answer


def asker(writer: asyncio.StreamWriter) -> int:
    """Return the process at the other end of a connection, which is on this machine and not this process."""
    port = writer.get_extra_info("peername")[1]
    pids = {c.pid for c in psutil.net_connections("tcp4") if c.laddr and c.laddr.port == port}
    (pid,) = pids - {None, os.getpid()}
    return pid


def reset(writer: asyncio.StreamWriter) -> None:
    """End a connection so that the other side gets ECONNRESET."""
    sock = writer.get_extra_info("socket")
    if sock is not None and sock.fileno() >= 0:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


@contextlib.contextmanager
def fault_proxy(upstream: str):
    """Yield a proxy before the server at a URL."""
    proxy = FaultProxy(upstream)
    ready = threading.Event()
    thread = threading.Thread(target=proxy.run, args=(ready,), name="fault proxy")
    thread.start()
    ready.wait()
    try:
        yield proxy
    finally:
        proxy.stop()
        thread.join()
