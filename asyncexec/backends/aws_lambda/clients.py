"""The AWS clients that the driver uses, and how they connect."""

from __future__ import annotations

import socket
from contextlib import AsyncExitStack
from functools import partial
from typing import Any, NamedTuple

from asyncexec.backends.adapters.system_thread import SystemThread
from asyncexec.backends.aws_lambda.options import LambdaOptions
from asyncexec.errors import BackendError, OptionError

CONNECT_SECONDS = 10.0
# Lambda ends a function after 15 minutes at the latest, and then answers.
READ_SECONDS = 960.0
# Network devices on the way drop connections without traffic within minutes.
_KEEPALIVE = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 15, "TCP_KEEPCNT": 4}


class Clients(NamedTuple):
    """The clients of aiobotocore; ``objects`` is None if no bucket is used."""

    functions: Any
    objects: Any


async def create_clients(stack: AsyncExitStack, options: LambdaOptions) -> Clients:
    """Create clients, which are closed with ``stack``.

    Raises OptionError if region or profile are missing or unknown, and BackendError if a client cannot be created for
    another reason.
    """
    from botocore.exceptions import (
        BotoCoreError,
        NoRegionError,
        ProfileNotFound,
    )

    bucket = options.bucket is not None
    thread = SystemThread("aws-lambda")
    try:
        # This imports and reads megabytes of JSON, so not in the event loop.
        session = await thread.run(partial(_session, options.profile, objects=bucket))
        enter = stack.enter_async_context
        arguments = {"region_name": options.region, "config": _config(options.max_workers)}
        functions = await enter(
            session.create_client("lambda", endpoint_url=options.endpoint_url, **arguments)
        )
        objects = await enter(session.create_client("s3", **arguments)) if bucket else None
    except NoRegionError as error:
        raise OptionError(
            "executor 'aws-lambda': which region? Give the option region='eu-central-1', say, "
            "or set AWS_DEFAULT_REGION"
        ) from error
    except ProfileNotFound as error:
        raise OptionError(f"executor 'aws-lambda': {error}") from error
    except (BotoCoreError, ValueError) as error:
        raise BackendError(f"executor 'aws-lambda': {error}") from error
    finally:
        thread.end()
    return Clients(functions, objects)


def _session(profile: str | None, *, objects: bool) -> Any:
    from aiobotocore.session import AioSession

    session = AioSession(profile=profile)
    loader = session.get_component("data_loader")
    loader.load_data("endpoints")
    for service in ("lambda", "s3") if objects else ("lambda",):
        loader.load_service_model(service, "service-2")
        loader.load_service_model(service, "endpoint-rule-set-1")
    return session


def _config(max_connections: int) -> Any:
    from aiobotocore.config import AioConfig

    return AioConfig(
        # Retries are the scheduler's.
        retries={"total_max_attempts": 1},
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        max_pool_connections=max_connections + 4,
        connector_args={"socket_factory": _socket},
    )


def _socket(address: Any) -> socket.socket:
    family, kind, protocol, _, _ = address
    made = socket.socket(family, kind, protocol)
    made.settimeout(0.0)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in _KEEPALIVE.items():
        if hasattr(socket, option):
            made.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
    return made
