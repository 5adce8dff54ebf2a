"""Payloads that are too large for a message, put into a bucket and taken from it; the driver's side."""

from __future__ import annotations

import io
import uuid
from collections.abc import Sequence
from typing import Any, NamedTuple

import anyio

from asyncexec.backends.adapters.service_calls import TooLargeError
from asyncexec.backends.aws_lambda.envelope import (
    LARGEST_BYTES,
    Place,
    Request,
    Stored,
    sha256,
)
from asyncexec.errors import BackendError, OptionError
from asyncexec.plan.memory import format_bytes

_DELETE_SECONDS = 5.0


class Bucket(NamedTuple):
    """A bucket's name, and what keys in it begin with."""

    name: str
    prefix: str

    @classmethod
    def parse(cls, text: object) -> Bucket:
        """Return the bucket in ``"name"`` or ``"s3://name/prefix"``; raises OptionError if there is none in it."""
        name, _, prefix = str(text).removeprefix("s3://").partition("/")
        if not isinstance(text, str) or not name or ":" in name:
            raise OptionError(
                f"executor 'aws-lambda': bucket must be a name or 's3://name/prefix', not {text!r}"
            )
        return cls(name, prefix.strip("/") or "asyncexec")

    def place(self) -> Place:
        """Return a place in it where nothing is yet."""
        return Place(self.name, f"{self.prefix}/{uuid.uuid4().hex}")


class Payloads:
    """Packs requests and fetches answers.

    Parameters
    ----------
    bucket : Bucket or None
    s3 : client of aiobotocore, or None
    """

    def __init__(self, bucket: Bucket | None, s3: Any) -> None:
        self._bucket = bucket
        self._s3 = s3

    async def request(self, call: bytes) -> Request:
        """Return how ``call`` is to be sent; what is large is put into the bucket.

        Raises TooLargeError if it is large, and there is no bucket.
        """
        if self._bucket is None:
            if len(call) <= LARGEST_BYTES:
                return Request(call, None)
            raise TooLargeError(
                f"a task's function and inputs make {format_bytes(len(call))}, and Lambda takes "
                f"{format_bytes(LARGEST_BYTES)}. Give the executor a bucket for large messages: "
                f"executor_options={{'bucket': 's3://…'}}"
            )
        answer = self._bucket.place()
        if len(call) <= LARGEST_BYTES:
            return Request(call, answer)
        name, key = self._bucket.place()
        await self._s3.put_object(Bucket=name, Key=key, Body=io.BytesIO(call))
        return Request(Stored(name, key, sha256(call)), answer)

    async def fetch(self, stored: Stored) -> bytes:
        """Return an answer that lies in the bucket.

        Raises BackendError if it is not where the driver has asked for it, or not what the worker has put there.
        """
        if self._bucket is None or stored.bucket != self._bucket.name:
            raise BackendError(
                f"executor 'aws-lambda': a worker has put its answer into {stored.bucket!r}, "
                f"where nobody asked for it"
            )
        response = await self._s3.get_object(Bucket=stored.bucket, Key=stored.key)
        async with response["Body"] as body:
            data: bytes = await body.read()
        if sha256(data) != stored.sha256:
            raise BackendError(
                f"executor 'aws-lambda': s3://{stored.bucket}/{stored.key} is not what the worker has put there"
            )
        return data

    async def discard(self, places: Sequence[Stored]) -> None:
        """Delete what is not needed any more; what cannot be is left to the bucket's lifecycle rule."""
        with anyio.move_on_after(_DELETE_SECONDS, shield=True):
            for place in places:
                try:
                    await self._s3.delete_object(Bucket=place.bucket, Key=place.key)
                except Exception:  # noqa: BLE001 - the run does not depend on it
                    return
