"""A bucket in memory behind S3's HTTP interface, in a process of its own, quick enough not to be what is measured.

`python -m benchmarks.s3_server --latency 0.03` serves until its standard input ends, and prints its address first.
It knows objects (GET with ranges, HEAD, PUT with conditions and metadata, DELETE, bulk deletion), listings and uploads
in parts. Signatures are not looked at.
"""

from __future__ import annotations

import argparse
import asyncio
import email.utils
import itertools
import json
import re
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qsl, unquote
from xml.sax.saxutils import escape

BUCKET = "bench"
STATS, SETTINGS = "/-/stats", "/-/settings"

_REASONS = {
    200: "OK",
    204: "No Content",
    206: "Partial Content",
    304: "Not Modified",
    404: "Not Found",
    412: "Precondition Failed",
    416: "Range Not Satisfiable",
    501: "Not Implemented",
}
_KEY = re.compile(rb"<Key>([^<]*)</Key>")
_PART = re.compile(rb"<PartNumber>\s*(\d+)\s*</PartNumber>")
_DATE = email.utils.formatdate(usegmt=True)

type Headers = Mapping[str, str]
type Answer = tuple[int, bytes, dict[str, str]]


class Stored:
    """An object: its bytes, its entity tag and its metadata."""

    __slots__ = ("body", "metadata", "tag")

    def __init__(self, body: bytes, tag: str, metadata: dict[str, str]) -> None:
        self.body = body
        self.tag = tag
        self.metadata = metadata


class Bucket:
    """Objects by path, uploads in progress, and counts of requests."""

    def __init__(self) -> None:
        self.latency = 0.0
        self.objects: dict[str, Stored] = {}
        self.uploads: dict[str, dict[int, bytes]] = {}
        self.headers_of: dict[str, dict[str, str]] = {}
        self.requests: dict[str, int] = {}
        self.in_flight = self.most_in_flight = 0
        self._tags = itertools.count(1)

    def answer(self, method: str, target: str, headers: Headers, body: bytes) -> Answer:
        """Returns the status, the body and the headers for a request."""
        path, _, query_text = target.partition("?")
        if path == STATS:
            return self._stats()
        if path == SETTINGS:
            self.latency = float(json.loads(body)["latency"])
            return 200, b"", {}
        path = unquote(path).lstrip("/")
        query = dict(parse_qsl(query_text, keep_blank_values=True)) if query_text else {}
        if "list-type" in query:
            found = self._list(path.rstrip("/"), query)
        elif method in ("GET", "HEAD"):
            found = self._get(path, headers)
        elif method == "PUT":
            found = self._put(path, query, headers, body)
        elif method == "POST":
            found = self._post(path, query, headers, body)
        elif method == "DELETE":
            self.objects.pop(path, None)
            self.uploads.pop(query.get("uploadId", ""), None)
            found = 204, b"", {}
        else:
            found = 501, b"", {}
        return found

    def _stats(self) -> Answer:
        told = {
            "requests": self.requests,
            "most_in_flight": self.most_in_flight,
            "objects": len(self.objects),
        }
        self.requests, self.most_in_flight = {}, 0
        return 200, json.dumps(told).encode(), {}

    def _get(self, path: str, headers: Headers) -> Answer:
        found = self.objects.get(path)
        if found is None:
            return _error(404, "NoSuchKey")
        if headers.get("if-none-match") == found.tag:
            return 304, b"", {}
        if headers.get("if-match", found.tag) != found.tag:
            return _error(412, "PreconditionFailed")
        about = {"ETag": found.tag, "Last-Modified": _DATE, "Accept-Ranges": "bytes"}
        about |= found.metadata
        wanted = headers.get("range")
        if wanted is None:
            return 200, found.body, about
        size = len(found.body)
        first, _, last = wanted.removeprefix("bytes=").partition("-")
        start = int(first) if first else max(0, size - int(last))
        end = min(int(last), size - 1) if first and last else size - 1
        if start >= size:
            return _error(416, "InvalidRange")
        about["Content-Range"] = f"bytes {start}-{end}/{size}"
        return 206, found.body[start : end + 1], about

    def _put(self, path: str, query: Headers, headers: Headers, body: bytes) -> Answer:
        if "uploadId" in query:
            self.uploads[query["uploadId"]][int(query["partNumber"])] = body
            return 200, b"", {"ETag": f'"part-{query["partNumber"]}"'}
        if (source := headers.get("x-amz-copy-source")) is not None:
            found = self.objects.get(unquote(source).lstrip("/"))
            if found is None:
                return _error(404, "NoSuchKey")
            self.objects[path] = found
            copied = f"<CopyObjectResult><ETag>{escape(found.tag)}</ETag></CopyObjectResult>"
            return 200, copied.encode(), {}
        refused = self._refused(path, headers)
        if refused is not None:
            return refused
        return 200, b"", {"ETag": self._store(path, headers, body)}

    def _refused(self, path: str, headers: Headers) -> Answer | None:
        found = self.objects.get(path)
        wanted = headers.get("if-match")
        if headers.get("if-none-match") == "*" and found is not None:
            return _error(412, "PreconditionFailed")
        if wanted is not None and (found is None or found.tag != wanted):
            return _error(412 if found else 404, "PreconditionFailed" if found else "NoSuchKey")
        return None

    def _store(self, path: str, headers: Headers, body: bytes) -> str:
        kept = {n: v for n, v in headers.items() if n.startswith(("x-amz-meta-", "content-type"))}
        tag = f'"{next(self._tags):032x}"'
        self.objects[path] = Stored(body, tag, kept)
        return tag

    def _post(self, path: str, query: Headers, headers: Headers, body: bytes) -> Answer:
        if "delete" in query:
            bucket = path.rstrip("/")
            keys = [_unescaped(key) for key in _KEY.findall(body)]
            for key in keys:
                self.objects.pop(f"{bucket}/{key}", None)
            deleted = "".join(f"<Deleted><Key>{escape(key)}</Key></Deleted>" for key in keys)
            return 200, f"<DeleteResult>{deleted}</DeleteResult>".encode(), {}
        if "uploads" in query:
            upload = f"upload-{next(self._tags)}"
            self.uploads[upload] = {}
            self.headers_of[upload] = dict(headers)
            bucket, _, key = path.partition("/")
            text = (
                f"<InitiateMultipartUploadResult><Bucket>{escape(bucket)}</Bucket><Key>{escape(key)}</Key>"
                f"<UploadId>{upload}</UploadId></InitiateMultipartUploadResult>"
            )
            return 200, text.encode(), {}
        upload = query.get("uploadId", "")
        if upload not in self.uploads:
            return _error(404, "NoSuchUpload")
        refused = self._refused(path, headers)
        if refused is not None:
            return refused
        parts = self.uploads.pop(upload)
        whole = b"".join(parts[int(number)] for number in _PART.findall(body))
        tag = self._store(path, self.headers_of.pop(upload), whole)
        bucket, _, key = path.partition("/")
        text = (
            f"<CompleteMultipartUploadResult><Bucket>{escape(bucket)}</Bucket><Key>{escape(key)}</Key>"
            f"<ETag>{escape(tag)}</ETag></CompleteMultipartUploadResult>"
        )
        return 200, text.encode(), {}

    def _list(self, bucket: str, query: Headers) -> Answer:
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
        most = int(query.get("max-keys") or 1000)
        after = query.get("continuation-token") or query.get("start-after") or ""
        begin = f"{bucket}/{prefix}"
        keys = sorted(p[len(bucket) + 1 :] for p in self.objects if p.startswith(begin))
        entries: list[str] = []
        folders: set[str] = set()
        last = ""
        more = False
        for key in keys:
            if key <= after or (after.endswith("/") and delimiter and key.startswith(after)):
                continue
            if len(entries) + len(folders) >= most:
                more = True
                break
            inner = key[len(prefix) :]
            if delimiter and delimiter in inner:
                folder = prefix + inner.partition(delimiter)[0] + delimiter
                folders.add(folder)
                last = folder
                continue
            found = self.objects[f"{bucket}/{key}"]
            entries.append(
                f"<Contents><Key>{escape(key)}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>"
                f"<ETag>{escape(found.tag)}</ETag><Size>{len(found.body)}</Size>"
                f"<StorageClass>STANDARD</StorageClass></Contents>"
            )
            last = key
        token = f"<NextContinuationToken>{escape(last)}</NextContinuationToken>" if more else ""
        common = "".join(
            f"<CommonPrefixes><Prefix>{escape(f)}</Prefix></CommonPrefixes>"
            for f in sorted(folders)
        )
        text = (
            f'<?xml version="1.0" encoding="UTF-8"?><ListBucketResult><Name>{escape(bucket)}</Name>'
            f"<Prefix>{escape(prefix)}</Prefix><KeyCount>{len(entries) + len(folders)}</KeyCount>"
            f"<MaxKeys>{most}</MaxKeys><IsTruncated>{str(more).lower()}</IsTruncated>{token}"
            f"{''.join(entries)}{common}</ListBucketResult>"
        )
        return 200, text.encode(), {"Content-Type": "application/xml"}


class Connection(asyncio.Protocol):
    """One connection: requests come one after another, and each is answered after the latency."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket
        self._data = bytearray()
        self._head: tuple[str, str, dict[str, str]] | None = None
        self._length = 0
        self._transport: Any = None
        self._waiting = False

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        transport.set_write_buffer_limits(high=1 << 26)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None

    def data_received(self, data: bytes) -> None:
        self._data += data
        self._next()

    def _next(self) -> None:
        if self._waiting:
            return
        if self._head is None:
            end = self._data.find(b"\r\n\r\n")
            if end < 0:
                return
            first, *lines = self._data[:end].decode("latin-1").split("\r\n")
            del self._data[: end + 4]
            method, target, _ = first.split(" ", 2)
            pairs = (line.partition(":") for line in lines)
            headers = {name.lower(): value.strip() for name, _, value in pairs}
            self._length = int(headers.get("content-length") or 0)
            self._head = method, target, headers
            if headers.get("expect"):
                self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if len(self._data) < self._length:
            return
        method, target, headers = self._head
        body = bytes(memoryview(self._data)[: self._length])
        del self._data[: self._length]
        self._head = None
        bucket = self._bucket
        if target.startswith("/-/"):
            self._answer(method, target, headers, body)
            return
        bucket.in_flight += 1
        bucket.most_in_flight = max(bucket.most_in_flight, bucket.in_flight)
        bucket.requests[method] = bucket.requests.get(method, 0) + 1
        if not bucket.latency:
            bucket.in_flight -= 1
            self._answer(method, target, headers, body)
            return
        self._waiting = True
        loop = asyncio.get_running_loop()
        loop.call_later(bucket.latency, self._answer_late, method, target, headers, body)

    def _answer_late(self, *request: Any) -> None:
        self._waiting = False
        self._bucket.in_flight -= 1
        if self._transport is not None:
            self._answer(*request)
            self._next()

    def _answer(self, method: str, target: str, headers: dict[str, str], body: bytes) -> None:
        status, content, about = self._bucket.answer(method, target, headers, body)
        lines = [f"HTTP/1.1 {status} {_REASONS[status]}", f"Date: {_DATE}"]
        lines += [f"{name}: {value}" for name, value in about.items()]
        if status not in (204, 304):
            lines.append(f"Content-Length: {len(content)}")
        head = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"
        if method == "HEAD" or not content:
            self._transport.write(head)
        else:
            # Not by `writelines`, which fails in some versions where the client has gone.
            self._transport.write(head)
            self._transport.write(content)


def _error(status: int, code: str) -> Answer:
    text = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{code}</Message></Error>"
    return status, text.encode(), {"Content-Type": "application/xml"}


def _unescaped(text: bytes) -> str:
    plain = text.decode().replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", '"')
    return plain.replace("&apos;", "'").replace("&amp;", "&")


async def serve(latency: float, tell: Callable[[str], None]) -> None:
    """Serves on a free port until standard input ends; `tell` gets the address."""
    bucket = Bucket()
    bucket.latency = latency
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(bucket), "127.0.0.1", 0, backlog=512)
    port = server.sockets[0].getsockname()[1]
    tell(f"http://127.0.0.1:{port}")
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


class Server:
    """A server that runs: its address, and what it is told and asked."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint

    @property
    def storage_options(self) -> dict[str, Any]:
        """What `asyncexec` and `obstore` open `s3://bench/...` with."""
        return {
            "endpoint": self.endpoint,
            "access_key_id": "key",
            "secret_access_key": "secret",
            "region": "us-east-1",
            "client_options": {"allow_http": True},
        }

    def latency(self, seconds: float) -> None:
        """Sets how long it waits before each answer."""
        self._ask(SETTINGS, json.dumps({"latency": seconds}).encode())

    def stats(self) -> dict[str, Any]:
        """Returns the requests by method, the most in flight and the number of objects, and counts from zero."""
        found: dict[str, Any] = json.loads(self._ask(STATS))
        return found

    def _ask(self, path: str, body: bytes | None = None) -> bytes:
        request = urllib.request.Request(
            self.endpoint + path, data=body, method="GET" if body is None else "PUT"
        )
        with urllib.request.urlopen(request) as answer:
            data: bytes = answer.read()
        return data


@contextmanager
def server(latency: float = 0.0) -> Iterator[Server]:
    """Runs a server in a process of its own for the time of the context."""
    command = [sys.executable, __file__, "--latency", str(latency)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as ran:
        assert ran.stdout is not None
        assert ran.stdin is not None
        try:
            yield Server(ran.stdout.readline().strip())
        finally:
            ran.stdin.close()
            try:
                ran.wait(5)
            except subprocess.TimeoutExpired:
                ran.kill()


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--latency", type=float, default=0.0, help="seconds before each answer")
    options = parser.parse_args(arguments)
    asyncio.run(serve(options.latency, lambda text: print(text, flush=True)))


if __name__ == "__main__":
    main()
