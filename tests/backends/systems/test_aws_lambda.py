"""The aws-lambda executor: aiobotocore against a Lambda of our own that runs AWS's runtime client in its sandboxes.

What is too large for a message goes through ministack's S3; ministack's Lambda gives a second opinion on throttling.
"""

import asyncio
import io
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("aiobotocore")
pytest.importorskip("awslambdaric")
pytest.importorskip("ministack")

import asyncexec as ax
from asyncexec.backends.aws_lambda import LambdaBackend
from asyncexec.errors import (
    BackendError,
    MemoryBudgetError,
    OptionError,
    TaskFailedError,
    TaskTimeoutError,
)
from asyncexec.events.outcome import Status
from asyncexec.testing import kernels
from asyncexec.testing.conformance import BackendConformance
from asyncexec.testing.driving import Driven
from asyncexec.testing.kernels import Held
from asyncexec.worker.attempt import decode

pytest_plugins = ["tests.backends.aws_lambda.server.fixtures"]
pytestmark = [
    pytest.mark.backend,
    pytest.mark.leaks("sandboxes belong to the servers, which end them with themselves"),
]

MEGABYTE = 1024 * 1024


@pytest.fixture(autouse=True)
async def threads_of_the_loop():
    """aiobotocore prepares TLS in the loop's own executor, whose threads live as long as the loop."""
    await asyncio.gather(*[asyncio.to_thread(time.sleep, 0.05) for _ in range(2)])


@pytest.fixture
def backend_of(aws_functions, aws_credentials):
    """Set a function up, and return a backend for it."""

    def backend_of(name, *, deployed=None, **options):
        aws_functions.set_up(name, **deployed or {})
        options = {"max_workers": 2} | options
        return LambdaBackend(function_name=name, endpoint_url=aws_functions.url, **options)

    return backend_of


@pytest.fixture(scope="module")
def function(aws_functions):
    return aws_functions.set_up("conformance", timeout=120)


class TestLambda(BackendConformance):
    owns_workers = False
    many = 2_000

    @pytest.fixture
    def configured(self, aws_functions, function, aws_credentials):
        def configured(**options):
            return LambdaBackend(
                function_name=function,
                endpoint_url=aws_functions.url,
                bucket="s3://payloads/conformance",
                **{"max_workers": 2} | options,
            )

        return configured

    @pytest.fixture
    def backend(self, configured):
        return configured


def driven(backend) -> Driven:
    return Driven(backend, patience=30)


# What travels.


async def test_messages_of_many_megabytes_go_through_the_bucket_and_leave_nothing_there(
    backend_of, aws_objects
):
    array = np.arange(MEGABYTE, dtype=np.int64)
    async with driven(backend_of("large", bucket="s3://payloads/large")) as drive:
        program = drive.program(lambda index, a: np.concatenate([a, a]))
        (attempt,) = drive.send(program, [0], [array])
        outcome = await drive.outcome(attempt)
    assert np.array_equal(decode(outcome.value), np.concatenate([array, array]))
    listed = await aws_objects.list_objects_v2(Bucket="payloads", Prefix="large/")
    assert listed["KeyCount"] == 0


async def test_an_input_too_large_without_a_bucket_fails_its_task_and_names_the_option(backend_of):
    async with driven(backend_of("no-bucket")) as drive:
        program = drive.program(lambda index, data: len(data))
        (large,) = drive.send(program, [0], [bytes(5 * MEGABYTE)])
        (small,) = drive.send(program, [1], [bytes(10)])
        assert (await drive.outcome(small)).status is Status.SUCCEEDED
        outcome = await drive.outcome(large)
    assert outcome.status is Status.FAILED
    assert outcome.error.type == "asyncexec.errors.SerializationError"
    assert "bucket" in outcome.error.message


async def test_a_result_too_large_without_a_bucket_fails_its_task_and_names_the_option(backend_of):
    async with ax.Engine(executor=backend_of("no-bucket-back")) as engine:
        with pytest.raises(TaskFailedError, match=r"does not fit into an answer.*bucket"):
            await engine.execute(ax.Plan.map(bytes, [10, 5 * MEGABYTE]), retry=False)


async def test_a_batch_too_large_for_one_message_travels_in_parts(backend_of, aws_functions):
    async with driven(backend_of("parts")) as drive:
        program = drive.program(lambda index, data: (index[0], data))
        attempts = drive.send(program, range(4), [bytes(2 * MEGABYTE)])
        outcomes = await drive.outcomes_of(attempts)
    assert [o.error for o in outcomes] == [None] * 4
    assert [decode(o.value)[0] for o in outcomes] == [0, 1, 2, 3]
    assert aws_functions.figures("parts")["invocations"] >= 2


async def test_results_too_large_for_one_answer_come_in_several(backend_of, aws_functions):
    async with driven(backend_of("answers")) as drive:
        program = drive.program(lambda index: bytes(2 * MEGABYTE))
        outcomes = await drive.outcomes_of(drive.send(program, range(5)))
    assert {o.status for o in outcomes} == {Status.SUCCEEDED}
    assert aws_functions.figures("answers")["invocations"] >= 3


# Being refused.


async def test_throttled_calls_are_not_charged_and_all_is_done(backend_of, aws_functions):
    backend = backend_of("throttled", deployed={"concurrency": 2}, max_workers=16)
    async with ax.Engine(executor=backend, straggler=False) as engine:
        result = await engine.execute(
            ax.Plan.map(lambda n: time.sleep(0.2) or n, range(32)), retry=False
        )
        assert engine.backend.slots < 16
    assert result.value == list(range(32))
    assert result.retries == 0
    assert aws_functions.figures("throttled")["throttles"] > 0


async def test_a_function_that_is_not_there_is_said_before_the_run(aws_functions, aws_credentials):
    backend = LambdaBackend(function_name="nowhere", endpoint_url=aws_functions.url)
    with pytest.raises(BackendError, match=r"'nowhere'.*Check function_name, qualifier and region"):
        async with backend:
            pass


async def test_wrong_credentials_are_said_before_the_run_and_not_repeated(
    backend_of, aws_credentials, monkeypatch
):
    backend = backend_of("refused")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAWRONG")
    with pytest.raises(BackendError, match="Check the credentials") as caught:
        async with backend:
            pass
    assert "not-a-secret" not in str(caught.value)


async def test_an_endpoint_where_nobody_listens_is_said_before_the_run(aws_credentials):
    backend = LambdaBackend(function_name="f", endpoint_url="http://127.0.0.1:9")
    with pytest.raises(BackendError, match=r"127\.0\.0\.1:9"):
        async with backend:
            pass


async def test_a_function_of_another_python_is_refused(backend_of):
    with pytest.raises(BackendError, match=r"runs python3\.9.*lambda package --python"):
        async with backend_of("old", deployed={"runtime": "python3.9"}):
            pass


async def test_a_timeout_longer_than_the_function_s_is_refused(backend_of):
    with pytest.raises(OptionError, match=r"longer than 3 s.*--timeout 61"):
        async with backend_of("short", deployed={"timeout": 3}, timeout=60.0):
            raise AssertionError


async def test_the_memory_of_the_function_is_known_and_holds_for_plans(backend_of, tmp_path):
    import asyncexec.array as xp

    async with ax.Engine(executor=backend_of("small")) as engine:
        assert engine.backend.capabilities.worker_bytes == 1024 * MEGABYTE
        spec = ax.Spec(work_dir=str(tmp_path), allowed_mem="2GB")
        ones = xp.ones((10, 10), chunks=(5, 5), spec=spec)
        with pytest.raises((MemoryBudgetError, OptionError, ax.AsyncexecError), match=r"1\.1 GB"):
            await engine.execute(xp.sum(ones))


# How calls end.


async def test_the_function_s_own_timeout_is_a_timeout(backend_of, tmp_path):
    held = Held(directory=tmp_path)
    backend = backend_of("slow", deployed={"timeout": 1})
    async with ax.Engine(executor=backend, straggler=False) as engine:
        with pytest.raises(TaskTimeoutError, match=r"own timeout.*update-function-configuration"):
            await engine.execute(ax.Plan.map(lambda n: held((n,)), [0]), retry=False)
    held.release()


async def test_a_task_over_the_function_s_memory_is_known_to_be(backend_of):
    async with driven(backend_of("tight")) as drive:
        program = drive.program(
            lambda index: time.sleep(0.5 * len(bytearray(b"x" * 10**9)) / 10**9)
        )
        (attempt,) = drive.send(program, [0])
        outcome = await drive.outcome(attempt)
    assert outcome.status is Status.LOST
    assert outcome.error.type == "builtins.MemoryError"


async def test_of_a_batch_the_task_that_ends_its_sandbox_is_the_one_charged(backend_of):
    def kernel(index):
        if index[0] == 2:
            kernels.exit_process()

    async with driven(backend_of("guilty")) as drive:
        outcomes = await drive.outcomes_of(drive.send(drive.program(kernel), range(4)))
    assert {o.status for o in outcomes} == {Status.LOST}
    assert [o.started for o in outcomes] == [False, False, True, False]
    assert "exit status 13" in outcomes[2].error.message


async def test_a_handler_of_something_else_breaks_the_backend(backend_of):
    deployed = {"handler": "operator.contains"}
    async with ax.Engine(executor=backend_of("other", deployed=deployed)) as engine:
        with pytest.raises(BackendError, match="lambda package"):
            await engine.execute(ax.Plan.map(abs, [1]))


async def test_a_handler_that_is_not_there_breaks_the_backend(backend_of):
    async with ax.Engine(
        executor=backend_of("lacking", deployed={"handler": "nothing.handler"})
    ) as engine:
        with pytest.raises(BackendError, match=r"Runtime\.ImportModuleError.*lambda package"):
            await engine.execute(ax.Plan.map(abs, [1]))


async def test_workers_have_names_of_their_own(backend_of, tmp_path):
    meeting = kernels.Meeting(directory=tmp_path, tasks=2)
    async with driven(backend_of("names")) as drive:
        program = drive.program(meeting)
        attempts = [drive.send(program, [task])[0] for task in range(2)]
        workers = {o.worker for o in await drive.outcomes_of(attempts)}
    assert len(workers) == 2
    assert all("[$LATEST]" in worker for worker in workers)


async def test_the_loop_stays_alive_while_clients_are_made(backend_of, unblocked_loop):
    async with driven(backend_of("lively")) as drive:
        (attempt,) = drive.send(drive.program(kernels.echo), [0])
        assert (await drive.outcome(attempt)).status is Status.SUCCEEDED


# A second opinion.


@pytest.fixture
async def ministack_function(aws_credentials, aws_objects_url):
    """A function on ministack with two sandboxes at most."""
    from aiobotocore.session import AioSession

    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(
            "second.py", "from asyncexec.backends.aws_lambda.worker_side import handler\n"
        )
    async with AioSession().create_client("lambda", endpoint_url=aws_objects_url) as client:
        await client.create_function(
            FunctionName="second",
            Runtime=f"python{'.'.join(map(str, sys.version_info[:2]))}",
            Role="arn:aws:iam::000000000000:role/none",
            Handler="second.handler",
            Code={"ZipFile": packed.getvalue()},
            Timeout=60,
            MemorySize=512,
            Environment={"Variables": {"PYTHONPATH": str(Path.cwd())}},
        )
        await client.put_function_concurrency(FunctionName="second", ReservedConcurrentExecutions=2)
        yield "second"
        await client.delete_function(FunctionName="second")


async def test_ministack_s_lambda_runs_a_plan_and_tries_again(
    ministack_function, aws_objects_url, tmp_path
):
    backend = LambdaBackend(
        function_name=ministack_function, endpoint_url=aws_objects_url, max_workers=2
    )
    function = kernels.Stumbling(directory=tmp_path, deed=kernels.lose_connection, only=(3,))
    async with ax.Engine(executor=backend, straggler=False) as engine:
        result = await engine.execute(ax.Plan.map(function, range(8)))
    assert result.value == list(range(8))
    assert result.failures == 1


async def test_ministack_s_throttling_is_borne(ministack_function, aws_objects_url):
    pytest.importorskip("docker", reason="ministack throttles functions in containers only")
    backend = LambdaBackend(
        function_name=ministack_function, endpoint_url=aws_objects_url, max_workers=8
    )
    async with ax.Engine(executor=backend, straggler=False) as engine:
        plan = ax.Plan.map(lambda n: time.sleep(0.3) or n, range(16))
        result = await engine.execute(plan, retry=False)
        assert engine.backend.slots < 8
    assert result.value == list(range(16))
    assert result.retries == 0
