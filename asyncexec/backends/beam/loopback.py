"""Beam's own servers on this machine, which would listen on all interfaces, on loopback."""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

_PORTABILITY = "apache_beam.runners.portability"
# The modules that make servers where a direct runner has worker processes; they find gRPC by this name.
_MODULES = (f"{_PORTABILITY}.fn_api_runner.worker_handlers", f"{_PORTABILITY}.local_job_service")
_ALL_INTERFACES = "[::]:"
_LOOPBACK = "127.0.0.1:"


class _Server:
    """A server of gRPC that listens on loopback where it was to listen on all interfaces."""

    def __init__(self, server: Any) -> None:
        self._server = server

    def add_insecure_port(self, address: str) -> int:
        port: int = self._server.add_insecure_port(address.replace(_ALL_INTERFACES, _LOOPBACK, 1))
        return port

    def __getattr__(self, name: str) -> Any:
        return getattr(self._server, name)


class _Grpc:
    """The module gRPC with such servers."""

    def __init__(self, grpc: Any) -> None:
        self.grpc = grpc

    def server(self, *arguments: Any, **options: Any) -> _Server:
        return _Server(self.grpc.server(*arguments, **options))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.grpc, name)


class LoopbackServers:
    """Keeps the servers that Beam makes on loopback while pipelines run which need them; the last one ends that."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pipelines = 0

    @contextmanager
    def kept(self) -> Generator[None]:
        """Have Beam's servers of this machine listen on loopback meanwhile."""
        with self._lock:
            self._pipelines += 1
            for module in _modules():
                if not isinstance(module.grpc, _Grpc):
                    module.grpc = _Grpc(module.grpc)
        try:
            yield
        finally:
            with self._lock:
                self._pipelines -= 1
                if not self._pipelines:
                    for module in _modules():
                        module.grpc = module.grpc.grpc


def _modules() -> list[Any]:
    return [import_module(name) for name in _MODULES]


LOOPBACK_SERVERS = LoopbackServers()
"""Of this process."""
