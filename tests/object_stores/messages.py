"""HTTP/1.1 messages, read as a whole and packed again."""

import asyncio
from dataclasses import dataclass, field
from http import HTTPStatus

HOP = {
    "connection",
    "keep-alive",
    "transfer-encoding",
    "expect",
    "content-length",
    "proxy-connection",
}


@dataclass(slots=True)
class Message:
    """A request or an answer: its first line, headers as they came, and the whole body."""

    line: str
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""
    keeps_open: bool = True
    length: int | None = None

    @property
    def method(self) -> str:
        return self.line.split(" ", 1)[0]

    @property
    def target(self) -> str:
        return self.line.split(" ", 2)[1]

    @property
    def status(self) -> int:
        return int(self.line.split(" ", 2)[1])

    def get(self, name: str) -> str:
        return next((value for key, value in self.headers if key.lower() == name), "")

    def packed(self) -> bytes:
        # The answer to HEAD has the length of a body that does not come.
        length = len(self.body) if self.length is None else self.length
        kept = [f"{key}: {value}" for key, value in self.headers if key.lower() not in HOP]
        head = "\r\n".join([self.line, *kept, f"Content-Length: {length}", "", ""])
        return head.encode("latin-1") + self.body


async def read_request(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> Message | None:
    """Return the next request, or None at the connection's end."""
    try:
        request = await _read_head(reader)
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise
        return None
    if request.get("expect").lower() == "100-continue":
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        await writer.drain()
    request.body = await _read_body(reader, request, until_end=False)
    return request


async def read_answer(reader: asyncio.StreamReader, method: str) -> Message:
    answer = await _read_head(reader)
    while answer.status == 100:
        answer = await _read_head(reader)
    if method == "HEAD" or answer.status in (204, 304):
        answer.length = int(answer.get("content-length") or 0)
    else:
        answer.body = await _read_body(reader, answer, until_end=True)
    closes = answer.get("connection").lower() == "close" or not answer.line.startswith("HTTP/1.1")
    answer.keeps_open = answer.keeps_open and not closes
    answer.line = "HTTP/1.1" + answer.line[8:]
    return answer


async def _read_head(reader: asyncio.StreamReader) -> Message:
    head = await reader.readuntil(b"\r\n\r\n")
    line, *rest = head.decode("latin-1").split("\r\n")[:-2]
    pairs = [entry.split(":", 1) for entry in rest]
    return Message(line, [(key.strip(), value.strip()) for key, value in pairs])


async def _read_body(reader: asyncio.StreamReader, message: Message, *, until_end: bool) -> bytes:
    if "chunked" in message.get("transfer-encoding").lower():
        return await _read_chunks(reader)
    if length := message.get("content-length"):
        return await reader.readexactly(int(length))
    if until_end:
        message.keeps_open = False
        return await reader.read()
    return b""


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    parts = []
    while size := int((await reader.readline()).split(b";")[0], 16):
        parts.append(await reader.readexactly(size))
        await reader.readexactly(2)
    while await reader.readline() != b"\r\n":
        pass
    return b"".join(parts)


def error(status: int, code: str, method: str) -> bytes:
    """Return an answer with an error as S3 puts it."""
    body = f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>by the fault proxy</Message></Error>'
    line = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}"
    answer = Message(line, [("Content-Type", "application/xml")], body.encode())
    if method == "HEAD":
        answer.length, answer.body = len(answer.body), b""
    return answer.packed()
