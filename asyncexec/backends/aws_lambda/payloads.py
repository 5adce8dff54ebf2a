"""Put payloads that are too large for a message into a bucket, and fetch answers from it; the driver's side."""

from __future__ import annotations

import io
import uuid
from collections.abc import Sequence
from typing import Any, NamedTuple

import anyio

from asyncexec.backends.adapters.service_calls import TooLargeError
from asyncexec.backends.aws_lambda.envelope import (
    LARGEST_BYTES,
    ObjectLocation,
    Request,
    StoredObject,
    sha256,
)
from asyncexec.errors import BackendError, OptionError
from asyncexec.plan.memory import format_bytes

_DELETE_SECONDS = 5.0


class Bucket(NamedTuple):
    """The name of a bucket, and the prefix of keys in it."""

    name: str
    prefix: str

    @classmethod
    def parse(cls, text: object) -> Bucket:
        """Parse ``"name"`` or ``"s3://name/prefix"``; raises OptionError if it is no bucket."""
        name, _, prefix = str(text).removeprefix("s3://").partition("/")
        if not isinstance(text, str) or not name or ":" in name:
            raise OptionError(
                f"executor 'aws-lambda': bucket must be a name or 's3://name/prefix', not {text!r}"
            )
        return cls(name, prefix.strip("/") or "asyncexec")

    def new_location(self) -> ObjectLocation:
        """Return a location that is not used yet."""
        return ObjectLocation(self.name, f"{self.prefix}/{uuid.uuid4().hex}")


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
        """Return the request for ``call``; a large call is put into the bucket.

        Raises TooLargeError if the call is too large, and there is no bucket.
        """
        if self._bucket is None:
            if len(call) <= LARGEST_BYTES:
                return Request(call, None)
            raise TooLargeError(
                f"a task's function and inputs make {format_bytes(len(call))}, and Lambda takes "
                f"{format_bytes(LARGEST_BYTES)}. Give the executor a bucket for large messages: "
                f"executor_options={{'bucket': 's3://…'}}"
            )
        answer = self._bucket.new_location()
        if len(call) <= LARGEST_BYTES:
            return Request(call, answer)
        name, key = self._bucket.new_location()
        await self._s3.put_object(Bucket=name, Key=key, Body=io.BytesIO(call))
        return Request(StoredObject(name, key, sha256(call)), answer)

    async def fetch(self, stored: StoredObject) -> bytes:
        """Fetch an answer from the bucket.

        Raises BackendError if it is not at the location that the driver has given, or its content is not the worker's.
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

    async def discard(self, stored: Sequence[StoredObject]) -> None:
        """Delete objects that are not needed any more; on failure they are left to the bucket's lifecycle rule."""
        with anyio.move_on_after(_DELETE_SECONDS, shield=True):
            for location in stored:
                try:
                    await self._s3.delete_object(Bucket=location.bucket, Key=location.key)
                except Exception:  # noqa: BLE001 - the run does not depend on it
                    return
