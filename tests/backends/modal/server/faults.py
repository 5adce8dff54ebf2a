"""Who may call, what was called, and what is to go wrong."""

import asyncio
from collections import Counter

from grpclib import GRPCError, Status
from grpclib.events import RecvRequest


class Faults:
    """Checks every call that clients make."""

    def __init__(self, credentials: tuple[str, str]) -> None:
        self._credentials = credentials
        self._planned: dict[str, list[Status]] = {}
        self.calls: Counter[str] = Counter()

    def plan(self, rpc: str, status: str, times: int) -> None:
        """Have the next calls of ``rpc`` fail."""
        self._planned[rpc] = [Status[status]] * times

    async def check(self, event: RecvRequest) -> None:
        told = (event.metadata.get("x-modal-token-id"), event.metadata.get("x-modal-token-secret"))
        if told != self._credentials:
            raise GRPCError(Status.UNAUTHENTICATED, "Token validation failed")
        rpc = event.method_name.rpartition("/")[2]
        self.calls[rpc] += 1
        if self._planned.get(rpc):
            await asyncio.sleep(0)
            raise GRPCError(self._planned[rpc].pop(), f"{rpc} was made to fail")
