"""A bucket on this machine: as much of S3's HTTP interface as arrays need, in memory, for tests only."""

import email.utils
import hashlib
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape


class Bucket:
    """Objects by key, what was asked, and what shall go wrong."""

    def __init__(self):
        self.objects = {}
        self.attributes = {}
        self.requests = []
        self.failing = None
        self.lock = threading.Lock()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    bucket: Bucket

    def log_message(self, *args):
        pass

    def do_GET(self):
        parts, key = self._asked()
        query = parse_qs(parts.query, keep_blank_values=True)
        if "list-type" in query:
            self._answer(200, self._listing(query).encode(), {"Content-Type": "application/xml"})
        else:
            self._send_object(key, self.command == "GET")

    do_HEAD = do_GET  # noqa: N815 - as the base class has it

    def do_PUT(self):
        _, key = self._asked()
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        with self.bucket.lock:
            there = self.bucket.objects.get(key)
            wanted = self.headers.get("If-Match")
            taken = self.headers.get("If-None-Match") == "*" and there is not None
            taken = taken or (wanted is not None and (there is None or _tag(there) != wanted))
            if not taken:
                self.bucket.objects[key] = body
                self.bucket.attributes[key] = {
                    name: value
                    for name, value in self.headers.items()
                    if name.lower().startswith("x-amz-meta-")
                }
        if taken:
            self._answer(412, b"<Error><Code>PreconditionFailed</Code></Error>")
        else:
            self._answer(200, b"", {"ETag": _tag(body)})

    def do_DELETE(self):
        _, key = self._asked()
        self.bucket.objects.pop(key, None)
        self._answer(204, b"")

    def do_POST(self):
        """Several deletions in one request."""
        self._asked()
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        keys = [part.split("</Key>")[0] for part in body.split("<Key>")[1:]]
        for key in keys:
            self.bucket.objects.pop(key, None)
        deleted = "".join(f"<Deleted><Key>{key}</Key></Deleted>" for key in keys)
        self._answer(200, f"<DeleteResult>{deleted}</DeleteResult>".encode())

    def _asked(self):
        parts = urlsplit(self.path)
        _, _, key = unquote(parts.path).strip("/").partition("/")
        self.bucket.requests.append((self.command, key))
        return parts, key

    def _send_object(self, key, with_body):
        body = self.bucket.objects.get(key)
        if body is None:
            self._answer(404, b"<Error><Code>NoSuchKey</Code></Error>")
            return
        status, headers = (
            200,
            {"ETag": _tag(body), "Last-Modified": email.utils.formatdate(usegmt=True)},
        )
        wanted = self.headers.get("Range")
        if wanted:
            first, _, last = wanted.removeprefix("bytes=").partition("-")
            start = int(first) if first else len(body) - int(last)
            stop = min(int(last) + 1, len(body)) if first and last else len(body)
            headers["Content-Range"] = f"bytes {start}-{stop - 1}/{len(body)}"
            status, body = 206, body[start:stop]
        headers |= self.bucket.attributes.get(key, {})
        self._answer(status, body, headers, with_body=with_body)

    def _listing(self, query):
        prefix = query.get("prefix", [""])[0]
        delimiter = query.get("delimiter", [""])[0]
        found, folders = [], set()
        for key in sorted(self.bucket.objects):
            rest = key.removeprefix(prefix)
            if not key.startswith(prefix):
                continue
            if delimiter and delimiter in rest:
                folders.add(prefix + rest.split(delimiter)[0] + delimiter)
            else:
                found.append(key)
        when = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime())
        contents = "".join(
            f"<Contents><Key>{escape(key)}</Key><LastModified>{when}</LastModified><ETag>{_tag(self.bucket.objects[key])}"
            f"</ETag><Size>{len(self.bucket.objects[key])}</Size><StorageClass>STANDARD</StorageClass></Contents>"
            for key in found
        )
        common = "".join(
            f"<CommonPrefixes><Prefix>{escape(f)}</Prefix></CommonPrefixes>"
            for f in sorted(folders)
        )
        return (
            f"<ListBucketResult><Name>bucket</Name><Prefix>{escape(prefix)}</Prefix><KeyCount>{len(found)}</KeyCount>"
            f"<MaxKeys>1000</MaxKeys><IsTruncated>false</IsTruncated>{contents}{common}</ListBucketResult>"
        )

    def _answer(self, status, body, headers=None, *, with_body=True):
        if self.bucket.failing is not None:
            status, body, headers = self.bucket.failing, b"<Error><Code>Refused</Code></Error>", {}
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        # No thread of this server waits for another request when a test ends.
        self.send_header("Connection", "close")
        self.end_headers()
        if with_body and status != 204:
            self.wfile.write(body)


class _Server(ThreadingHTTPServer):
    # Chunks are sent at once; with the default of 5, some connections wait a second for another try.
    request_queue_size = 128


def _tag(body):
    return f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'


@contextmanager
def serving():
    """Yield a bucket and the storage options that lead to it."""
    bucket = Bucket()
    handler = type("Handler", (_Handler,), {"bucket": bucket})
    server = _Server(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield bucket, {"endpoint": f"http://127.0.0.1:{server.server_address[1]}"}
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
