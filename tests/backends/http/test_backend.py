"""The http executor against our worker on a server in this process, which can be told to misbehave."""

import asyncio
import pickle
import socketserver
import sys
import threading
import time
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

import pytest

from tests.fresh_interpreter import printed_by

pytest.importorskip("httpx")

import asyncexec as ax
from asyncexec.backends.adapters.service_calls import BusyError, TooLargeError
from asyncexec.backends.contract import AttemptSpec
from asyncexec.backends.http import HttpBackend, worker_side as http_worker
from asyncexec.backends.http.messages import (
    CallHeader,
    Frame,
    FrameType,
    HttpFrames,
    decode_header,
    encode_frame,
    encode_header,
)
from asyncexec.backends.http.responses import error_of
from asyncexec.backends.http.signing import (
    HEADER,
    LEEWAY_SECONDS,
    SECRET_VARIABLE,
    is_signed,
    signature,
)
from asyncexec.backends.http.tokens import TokenCache
from asyncexec.backends.registry import make_backend
from asyncexec.errors import BackendError, OptionError, TaskMemoryError
from asyncexec.events.outcome import Status
from asyncexec.testing import kernels
from asyncexec.testing.driving import Driven
from asyncexec.worker.programs import LoadedProgram
from asyncexec.worker.remote_batch import RemoteBatch

SECRET = "a-secret-of-the-tests"
URL = "https://function.example"


class Server(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = False


class Quiet(WSGIRequestHandler):
    def log_message(self, *_arguments):
        pass


class Scripted:
    """Our worker, but for what the script says: one entry for a call, None to let it through."""

    def __init__(self):
        self.script = []
        self.headers = []

    def __call__(self, environ, start_response):
        self.headers.append({k: v for k, v in environ.items() if k.startswith("HTTP_")})
        if environ["REQUEST_METHOD"] == "POST" and self.script:
            step = self.script.pop(0)
            if step is not None:
                environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
                return step(environ, start_response)
        return http_worker.app(environ, start_response)


def status(code, **headers):
    def answer(_environ, start_response):
        start_response(f"{code} -", list(headers.items()))
        return [b"no"]

    return answer


def cut(*frames):
    def answer(_environ, start_response):
        start_response("200 -", [])
        return [encode_frame(frame) for frame in frames]

    return answer


@pytest.fixture
def worker(monkeypatch):
    monkeypatch.setenv(SECRET_VARIABLE, SECRET)
    return Scripted()


@pytest.fixture
def url(worker):
    with Server(("127.0.0.1", 0), Quiet) as server:
        server.set_app(worker)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def driven(url, **options) -> Driven:
    return Driven(HttpBackend(url=url, **options), patience=20)


# Going well, and not so well.


def _asks_for(size):
    return bytearray(size)[0]


async def _asks_for_and_waits(size):
    return _asks_for(size)


@pytest.mark.skipif(sys.platform != "linux", reason="there is no such limit elsewhere")
@pytest.mark.parametrize("kernel", [_asks_for, _asks_for_and_waits])
async def test_a_task_over_the_memory_that_was_declared_is_out_of_memory(url, kernel):
    options = {"url": url, "secret": SECRET, "memory": "100MB"}
    async with ax.Engine(executor="http", executor_options=options) as engine:
        result = await engine.execute(ax.Plan.map(kernel, [10, 1_000_000]))
        assert result.value == [0, 0]
        with pytest.raises(TaskMemoryError, match=r"task \(1,\)"):
            await engine.execute(ax.Plan.map(kernel, [10, 1_000_000_000]))
        assert (await engine.execute(ax.Plan.map(kernel, [10]))).value == [0]


async def test_a_plan_runs_on_any_wsgi_server(url):
    async with ax.Engine(executor="http", executor_options={"url": url}) as engine:
        result = await engine.execute(ax.Plan.map(lambda n: n * 2, range(50)))
    assert result.value == list(range(0, 100, 2))


@pytest.mark.parametrize("code", [429, 503])
async def test_a_busy_function_costs_nobody_an_attempt(url, worker, code):
    async with driven(url, max_workers=8) as drive:
        worker.script = [status(code)]
        batch = drive.send(drive.program(kernels.echo), range(2))
        outcomes = await drive.outcomes_of(batch)
        assert [(o.status, o.started) for o in outcomes] == [(Status.LOST, False)] * 2
        assert str(code) in outcomes[0].error.message
        assert drive.backend.slots == 4
        (again,) = drive.send(drive.program(kernels.echo), [0])
        assert (await drive.outcome(again)).status is Status.SUCCEEDED


@pytest.mark.parametrize("code", [401, 403, 404, 302])
async def test_a_function_that_does_not_want_us_breaks_the_backend(url, worker, code):
    async with driven(url) as drive:
        worker.script = [status(code)]
        (attempt,) = drive.send(drive.program(kernels.echo), [0])
        assert (await drive.outcome(attempt)).status is Status.LOST
        with pytest.raises(BackendError, match=f"status {code}"):
            await drive.finish()


@pytest.mark.parametrize(
    "step",
    [
        status(500),
        status(502),
        cut(),
        cut(Frame(FrameType.HEARTBEAT)),
        cut(Frame(FrameType.HEADER, b'["w", "c"]'), Frame(FrameType.HEARTBEAT)),
    ],
)
async def test_a_call_that_is_cut_off_charges_one_task_and_names_a_worker(url, worker, step):
    async with driven(url) as drive:
        worker.script = [step]
        first, *rest = await drive.outcomes_of(drive.send(drive.program(kernels.echo), range(3)))
        assert (first.status, first.started) == (Status.LOST, True)
        assert first.worker
        assert [(o.status, o.started) for o in rest] == [(Status.LOST, False)] * 2
        (again,) = drive.send(drive.program(kernels.echo), [0])
        assert (await drive.outcome(again)).status is Status.SUCCEEDED


async def test_what_is_no_answer_of_ours_breaks_the_backend(url, worker):
    def babble(_environ, start_response):
        start_response("200 OK", [])
        return [b"<html>hello</html>"]

    async with driven(url) as drive:
        worker.script = [babble]
        drive.send(drive.program(kernels.echo), [0])
        with pytest.raises(BackendError, match=r"http\.worker_side:handle"):
            await drive.finish()


async def test_nobody_there_is_said_before_the_run():
    with pytest.raises(BackendError, match=r"127\.0\.0\.1:9 cannot be reached"):
        async with HttpBackend(url="http://127.0.0.1:9"):
            pass


async def test_another_python_is_refused(url, monkeypatch):
    monkeypatch.setattr(http_worker, "_description", lambda: {"asyncexec": 1, "python": "3.9"})
    with pytest.raises(BackendError, match=r"runs Python 3\.9"):
        async with HttpBackend(url=url):
            pass


async def test_headers_and_a_token_go_with_every_request(url, worker):
    asked = []

    async def token():
        asked.append(1)
        return "of-the-test"

    async with driven(url, token=token, headers={"X-Project": "p"}) as drive:
        await drive.outcomes_of(drive.send(drive.program(kernels.echo), range(3)))
    assert len(asked) == 1
    assert {h["HTTP_AUTHORIZATION"] for h in worker.headers} == {"Bearer of-the-test"}
    assert {h["HTTP_X_PROJECT"] for h in worker.headers} == {"p"}


@pytest.mark.parametrize("token", [lambda: "", lambda: 3, lambda: "two\nlines", lambda: 1 / 0])
async def test_a_token_that_is_none_is_said_before_the_run(token):
    tokens = TokenCache(token)
    with pytest.raises(BackendError, match="token"):
        await tokens.headers()
    tokens.close()


async def test_a_token_that_blocks_does_not_hold_the_loop(unblocked_loop):
    tokens = TokenCache(lambda: time.sleep(0.3) or "late")
    assert await tokens.headers() == {"Authorization": "Bearer late"}
    tokens.close()


# The worker's door.


def call(task=3):
    blob = pickle.dumps(LoadedProgram(kernels.echo, None, (10,)))
    return pickle.dumps(RemoteBatch(b"program", blob, [AttemptSpec(1, task)]))


@pytest.mark.parametrize("forged", [None, "", "t=1,v1=" + "0" * 64, "nonsense"])
def test_an_unsigned_call_is_not_even_looked_into(worker, forged):
    answer = http_worker.respond("POST", "", forged, b"not a pickle")
    assert answer.status == 403


def test_a_worker_that_was_told_nothing_refuses(monkeypatch):
    monkeypatch.delenv(SECRET_VARIABLE, raising=False)
    monkeypatch.delenv(http_worker.TRUST_VARIABLE, raising=False)
    answer = http_worker.respond("POST", "", None, call())
    assert answer.status == 403
    assert b"whom to trust" in next(iter(answer.body))


def test_a_secret_wins_over_trust_in_the_platform(monkeypatch, worker):
    monkeypatch.setenv(http_worker.TRUST_VARIABLE, "1")
    assert http_worker.respond("POST", "", None, call()).status == 403


@pytest.mark.parametrize(
    "method, body, code", [("DELETE", b"", 405), ("POST", pickle.dumps(3), 400)]
)
def test_what_is_no_call_is_refused(worker, method, body, code):
    assert (
        http_worker.respond(method, "", signature(SECRET, body, time.time()), body).status == code
    )


def test_an_answer_that_nobody_reads_to_its_end_leaves_nothing_running(worker):
    body = call()
    answer = http_worker.respond("POST", "", signature(SECRET, body, time.time()), body)
    frames = iter(answer.body)
    next(frames)
    assert len(http_worker._running) == 1
    frames.close()
    assert http_worker._running == {}


# Pure parts.


def test_a_signature_holds_for_its_secret_its_body_and_a_while():
    signed = signature(SECRET, b"body", 1000.0)
    assert is_signed(signed, SECRET, b"body", 1000.0 + LEEWAY_SECONDS)
    assert is_signed(signed, SECRET, b"body", 1000.0 - LEEWAY_SECONDS)
    assert not is_signed(signed, SECRET, b"body", 1001.0 + LEEWAY_SECONDS)
    assert not is_signed(signed, SECRET, b"other", 1000.0)
    assert not is_signed(signed, "another-secret", b"body", 1000.0)
    assert not is_signed(signed.replace("t=1000", "t=1001"), SECRET, b"body", 1000.0)
    assert SECRET not in signed
    assert HEADER.startswith("X-")


def test_frames_are_found_however_the_bytes_are_cut(rng):
    frames = [
        Frame(FrameType.HEARTBEAT),
        Frame(FrameType.REPORTS, rng.bytes(1000)),
        Frame(FrameType.END),
    ]
    data = encode_header(CallHeader("w", "c")) + b"".join(map(encode_frame, frames))
    reader, found = HttpFrames(), []
    while data:
        size = int(rng.integers(1, 50))
        found += reader.feed(data[:size])
        data = data[size:]
    assert decode_header(found[0].content) == CallHeader("w", "c")
    assert found[1:] == frames


@pytest.mark.parametrize(
    "code, kind",
    [
        (429, BusyError),
        (503, BusyError),
        (413, TooLargeError),
        (401, BackendError),
        (404, BackendError),
        (408, ConnectionError),
        (500, ConnectionError),
        (504, ConnectionError),
    ],
)
def test_each_status_means_one_thing(code, kind):
    assert type(error_of(URL, code, {}, b"")) is kind


def test_a_pause_that_is_asked_for_is_known():
    assert error_of(URL, 429, {"retry-after": "7"}, b"").pause_seconds == 7.0
    assert error_of(URL, 429, {"retry-after": "Wed, 21 Oct"}, b"").pause_seconds == 0.0


@pytest.mark.parametrize(
    "options, found",
    [
        ({}, "needs the option 'url'"),
        ({"url": "function.example"}, "url must be an address"),
        ({"url": 3}, "url must be an address"),
        ({"url": "http://function.example"}, "insecure=True"),
        ({"url": "https://me:word@function.example"}, "no password"),
        ({"url": URL, "max_workers": 0}, "max_workers"),
        ({"url": URL, "timeout": "long"}, "timeout must be in seconds"),
        ({"url": URL, "secret": "short"}, "at least 16 characters"),
        ({"url": URL, "token": "a token"}, "token must be a function"),
        ({"url": URL, "headers": {"a": 1}}, "headers must map texts to texts"),
        ({"url": URL, "memory": "much"}, "memory='much'"),
        ({"url": URL, "env_vars": {}}, "no option 'env_vars'"),
    ],
    ids=str,
)
def test_options_that_cannot_be_are_refused_without_a_word_of_secrets(options, found):
    with pytest.raises(OptionError, match=found) as caught:
        make_backend("http", options)
    for hidden in ("short", "a token", "me:word"):
        assert f"{hidden!r}" not in str(caught.value)


def test_plain_http_may_be_allowed():
    backend = HttpBackend(url="http://gateway.cluster", insecure=True, memory="2GB")
    assert backend.capabilities.worker_bytes == 2_000_000_000
    assert backend.capabilities.tells_progress
    assert not backend.capabilities.kills


def test_the_worker_does_without_what_the_driver_needs():
    code = (
        "import sys; sys.modules['httpx'] = sys.modules['aiobotocore'] = None;"
        "import asyncexec.backends.http.worker_side, asyncexec.backends.aws_lambda.worker_side"
    )
    assert not printed_by(code)


async def test_entering_ends_although_the_function_never_answers():
    async def hold(_reader, writer):
        await released.wait()
        writer.close()

    released = asyncio.Event()
    server = await asyncio.start_server(hold, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    options = {"url": f"http://127.0.0.1:{port}", "start_timeout": 0.2}
    try:
        with pytest.raises(BackendError, match=r"within 0.2 s.*does not answer"):
            async with ax.Engine(executor="http", executor_options=options):
                pass
    finally:
        released.set()
        server.close()
        await server.wait_closed()
