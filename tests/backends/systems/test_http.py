"""The http executor against functions-framework, which serves our worker as it would on Google Cloud."""

import asyncio
import logging

import pytest

pytest.importorskip("httpx")
pytest.importorskip("functions_framework")

import asyncexec as ax
from asyncexec.backends.http import HttpBackend
from asyncexec.backends.http.signing import SECRET_VARIABLE
from asyncexec.errors import BackendError, OptionError
from asyncexec.events.outcome import Status
from asyncexec.testing import kernels
from asyncexec.testing.conformance import BackendConformance
from asyncexec.testing.driving import Driven
from asyncexec.testing.kernels import Files, Held
from tests.backends.http.server import SECRET, function_server

pytestmark = [
    pytest.mark.backend,
    pytest.mark.leaks("a server replaces processes that died by others of its own"),
]


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    with function_server(tmp_path_factory.mktemp("function")) as url:
        yield url


@pytest.fixture
def made(url):
    """Return a backend on the server."""

    def made(**options):
        return HttpBackend(**{"url": url, "secret": SECRET, "max_workers": 2} | options)

    return made


class TestHttp(BackendConformance):
    owns_workers = False
    many = 2_000

    @pytest.fixture
    def configured(self, made):
        return made

    @pytest.fixture
    def backend(self, made):
        return made


# Who may call.


async def test_a_wrong_secret_is_refused_before_the_run_and_not_repeated(made):
    wrong = "wrong-but-long-enough"
    with pytest.raises(
        BackendError, match=r"status 403: the request is not signed.*secret="
    ) as caught:
        async with made(secret=wrong):
            pass
    assert wrong not in str(caught.value)


async def test_without_a_secret_a_call_is_refused_before_the_run(made, monkeypatch):
    monkeypatch.delenv(SECRET_VARIABLE, raising=False)
    with pytest.raises(BackendError, match="status 403"):
        async with made(secret=None):
            pass


async def test_a_worker_without_a_secret_refuses_everybody(tmp_path):
    with function_server(tmp_path, **{SECRET_VARIABLE: ""}) as url:
        backend = HttpBackend(url=url, secret=SECRET)
        with pytest.raises(BackendError, match="does not know whom to trust"):
            await backend.__aenter__()


async def test_a_worker_that_trusts_its_platform_takes_unsigned_calls(tmp_path, monkeypatch):
    monkeypatch.delenv(SECRET_VARIABLE, raising=False)
    variables = {SECRET_VARIABLE: "", "ASYNCEXEC_HTTP_TRUST_PLATFORM": "1"}
    with function_server(tmp_path, **variables) as url:
        async with ax.Engine(executor=HttpBackend(url=url)) as engine:
            assert (await engine.execute(ax.Plan.map(abs, [-1, 2]))).value == [1, 2]


async def test_a_timeout_longer_than_the_platform_s_is_refused(tmp_path):
    with function_server(tmp_path, CLOUD_RUN_TIMEOUT_SECONDS="60") as url:
        backend = HttpBackend(url=url, secret=SECRET, timeout=90)
        with pytest.raises(OptionError, match="after 60 s, and timeout is 90 s"):
            await backend.__aenter__()


# What runs.


@pytest.mark.parametrize("how", ["cancel", "leave"])
async def test_what_is_given_up_does_not_save_and_what_was_behind_it_does_not_start(
    made, tmp_path, how
):
    held, io = Held(directory=tmp_path, only=(0,)), Files(directory=tmp_path)
    async with Driven(made(), patience=30) as drive:
        batch = drive.send(drive.program(held, io=io), range(3))
        await drive.started(batch[0])
        if how == "cancel":
            drive.cancel(batch)
            outcomes = await drive.outcomes_of(batch)
            assert [o.status for o in outcomes] == [Status.CANCELLED] * 3, outcomes[0].error
            assert [o.started for o in outcomes] == [True, False, False]
    held.release()
    await asyncio.sleep(0.5)
    assert not any(io.saved(task).exists() for task in range(3))
    assert not held.began(1)


async def test_workers_have_names_of_their_own(made):
    async with Driven(made(), patience=30) as drive:
        (attempt,) = drive.send(drive.program(kernels.echo), [0])
        before = (await drive.outcome(attempt)).worker
        (attempt,) = drive.send(drive.program(kernels.die), [0])
        lost = await drive.outcome(attempt)
        (attempt,) = drive.send(drive.program(kernels.echo), [0])
        after = (await drive.outcome(attempt)).worker
    assert lost.status is Status.LOST
    assert lost.worker == before
    assert before != after


async def test_an_input_larger_than_a_request_may_be_fails_its_task(made):
    async with Driven(made(request_bytes="1MB"), patience=30) as drive:
        program = drive.program(lambda index, data: len(data))
        (large,) = drive.send(program, [0], [bytes(1_100_000)])
        outcome = await drive.outcome(large)
        parts = await drive.outcomes_of(drive.send(program, range(3), [bytes(400_000)]))
    assert outcome.status is Status.FAILED
    assert "request_bytes" in outcome.error.message
    assert {o.status for o in parts} == {Status.SUCCEEDED}


async def test_secrets_and_tokens_are_in_no_log(made, caplog):
    caplog.set_level(logging.DEBUG)
    token = "token-of-the-test"
    async with ax.Engine(
        executor=made(token=lambda: token, headers={"X-Key": "key-of-the-test"})
    ) as engine:
        assert (await engine.execute(ax.Plan.map(abs, [-1]))).value == [1]
        assert token not in repr(engine.backend._system._options)
        assert SECRET not in repr(engine.backend._system._options)
    assert caplog.text
    for hidden in (token, SECRET, "key-of-the-test"):
        assert hidden not in caplog.text
