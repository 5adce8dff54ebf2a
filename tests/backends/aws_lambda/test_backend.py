"""What of the aws-lambda executor can be decided without a Lambda."""

import json
import pickle
from types import SimpleNamespace

import pytest

pytest.importorskip("aiobotocore")

from asyncexec.backends.aws_lambda import LambdaBackend, worker_side as aws_lambda_worker
from asyncexec.backends.aws_lambda.api_errors import ApiErrorKind, classify_api_error
from asyncexec.backends.aws_lambda.call_errors import (
    StartMark,
    last_start_mark,
    out_of_memory,
    outcomes_of,
    start_line,
)
from asyncexec.backends.aws_lambda.deployment import Deployment, check_deployment
from asyncexec.backends.aws_lambda.envelope import (
    LARGEST_BYTES,
    MESSAGE_BYTES,
    ObjectLocation,
    Request,
    StoredObject,
    decode_answer,
    decode_request,
    encode_answer,
    encode_request,
    pack_call,
    sha256,
)
from asyncexec.backends.aws_lambda.payloads import Bucket
from asyncexec.backends.contract import AttemptSpec
from asyncexec.backends.registry import make_backend
from asyncexec.errors import BackendError, ConfigurationError, OptionError
from asyncexec.events.outcome import Status
from asyncexec.testing import kernels
from asyncexec.worker.attempt import decode
from asyncexec.worker.codec import decode_outcomes
from asyncexec.worker.programs import LoadedProgram, digest
from asyncexec.worker.remote_batch import NEEDS_PROGRAM, RemoteBatch

# The messages.


@pytest.mark.parametrize("answer", [None, ObjectLocation("b", "k")])
@pytest.mark.parametrize("call", [b"", b"\0\xff" * 100, StoredObject("b", "k", "0" * 64)])
def test_requests_arrive_as_they_were(call, answer):
    request = Request(call, answer)
    assert decode_request(json.loads(encode_request(request))) == request


@pytest.mark.parametrize("answer", [b"", b"\0\xff" * 100, StoredObject("b", "k", "0" * 64)])
def test_answers_arrive_as_they_were(answer):
    assert decode_answer(json.dumps(encode_answer(answer)).encode(), "f") == answer


def test_the_largest_message_is_as_large_as_lambda_takes():
    event = encode_request(Request(bytes(LARGEST_BYTES), ObjectLocation("b" * 63, "k" * 1024)))
    assert 0.99 * MESSAGE_BYTES < len(event) <= MESSAGE_BYTES


@pytest.mark.parametrize("event", [None, {}, [], {"asyncexec": 0}, {"Records": []}])
def test_an_event_of_something_else_is_refused(event):
    with pytest.raises(ValueError, match="deploy the function again"):
        decode_request(event)


@pytest.mark.parametrize(
    "payload", [b"", b"null", b"3", b'"hello"', b'{"a": 1}', b'{"outcomes": "\xc3\xa4"}', b"[1]"]
)
def test_an_answer_of_something_else_breaks_the_backend(payload):
    with pytest.raises(BackendError, match="asyncexec lambda package"):
        decode_answer(payload, "f")


# What errors of the API mean.


@pytest.mark.parametrize(
    "code, status, kind",
    [
        ("TooManyRequestsException", 429, ApiErrorKind.BUSY),
        ("ThrottlingException", 400, ApiErrorKind.BUSY),
        ("ResourceConflictException", 409, ApiErrorKind.BUSY),
        ("ServiceUnavailable", 503, ApiErrorKind.BUSY),
        ("RequestTooLargeException", 413, ApiErrorKind.TOO_LARGE),
        ("ServiceException", 500, ApiErrorKind.LOST),
        ("EC2UnexpectedException", 502, ApiErrorKind.LOST),
        ("InvalidZipFileException", 502, ApiErrorKind.BROKEN),
        ("AccessDeniedException", 403, ApiErrorKind.BROKEN),
        ("ResourceNotFoundException", 404, ApiErrorKind.BROKEN),
        ("ExpiredTokenException", 403, ApiErrorKind.BROKEN),
    ],
)
def test_each_error_of_the_api_means_one_thing(code, status, kind):
    assert classify_api_error(code, status) is kind


# How functions end.

RUNNING = StartMark(7, 100.0, "f/request")
REPORT = (
    "REPORT RequestId: r\tBilled Duration: 1 ms\tMemory Size: 128 MB\tMax Memory Used: {} MB\t\n"
)


def ended(told, log="", attempts=(7, 8, 9)):
    payload = json.dumps(told).encode()
    return outcomes_of(payload, log, attempts=attempts, function="f", running=RUNNING)


@pytest.mark.parametrize(
    "told",
    [
        {"errorMessage": "2026-01-01T00:00:00.000Z 1-2-3 Task timed out after 3.00 seconds"},
        {"errorType": "Sandbox.Timedout", "errorMessage": "RequestId: 1 Error: Task timed out"},
    ],
)
def test_a_timeout_of_the_function_is_one_of_its_first_task(told):
    outcomes = ended(told)
    assert [o.status for o in outcomes] == [Status.TIMED_OUT, Status.LOST, Status.LOST]
    assert [o.started_at for o in outcomes] == [100.0, 0.0, 0.0]
    assert "update-function-configuration" in outcomes[0].error.message


def test_the_log_says_which_task_was_running():
    log = (
        "noise\n"
        + start_line(StartMark(7, 101.5, "s/1"))
        + "more\n"
        + start_line(StartMark(8, 102.5, "s/1"))
    )
    outcomes = ended({"errorType": "Runtime.ExitError", "errorMessage": "exit status 1"}, log)
    assert [(o.status, o.started_at, o.worker) for o in outcomes] == [
        (Status.LOST, 0.0, ""),
        (Status.LOST, 102.5, "s/1"),
        (Status.LOST, 0.0, ""),
    ]


@pytest.mark.parametrize("kind", ["Runtime.ExitError", "Sandbox.Timedout"])
def test_of_tasks_that_overlapped_none_is_charged_with_the_end_of_their_sandbox(kind):
    payload = json.dumps({"errorType": kind, "errorMessage": "exit status 1"}).encode()
    log = start_line(StartMark(8, 102.5, "s/1"))
    for attempts, status in (((7, 8, 9), Status.LOST), ((8,), None)):
        outcomes = outcomes_of(
            payload, log, attempts=attempts, function="f", running=RUNNING, overlaps=True
        )
        for outcome in outcomes:
            assert outcome.started
            assert (outcome.worker == "") == (len(attempts) > 1)
            assert status in (None, outcome.status)


def test_a_log_of_somebody_else_s_attempts_is_not_believed():
    log = start_line(StartMark(77, 101.5, "s/1"))
    first, *_ = ended({"errorType": "Runtime.ExitError", "errorMessage": "exit status 1"}, log)
    assert (first.started_at, first.worker) == (100.0, "f/request")


@pytest.mark.parametrize(
    "kind, used, expected",
    [
        ("Runtime.OutOfMemory", 1, "builtins.MemoryError"),
        ("Runtime.ExitError", 128, "builtins.MemoryError"),
        ("Runtime.ExitError", 100, "Runtime.ExitError"),
    ],
)
def test_a_sandbox_that_used_all_its_memory_died_of_that(kind, used, expected):
    told = {"errorType": kind, "errorMessage": "Runtime exited with error: signal: killed"}
    first, *_ = ended(told, REPORT.format(used))
    assert first.status is Status.LOST
    assert first.error.type == expected


def test_an_error_of_the_handler_fails_every_task():
    told = {"errorType": "ClientError", "errorMessage": "no bucket", "stackTrace": ["  line\n"]}
    outcomes = ended(told)
    assert {o.status for o in outcomes} == {Status.FAILED}
    assert outcomes[0].error.traceback == "  line\nClientError: no bucket"


@pytest.mark.parametrize("payload", [b"", b"null", b"<html>"])
def test_an_ending_in_no_known_words_is_a_failure_all_the_same(payload):
    (outcome,) = outcomes_of(payload, "", attempts=[7], function="f", running=RUNNING)
    assert outcome.status is Status.FAILED


def test_marks_survive_the_carriage_returns_of_logs():
    assert last_start_mark(start_line(RUNNING).replace("\n", "\r\n")) == RUNNING
    assert last_start_mark("nothing") is None
    assert not out_of_memory("nothing")


# What is deployed.


def deployment(**changes) -> Deployment:
    return Deployment("Active", "", 2**30, 60.0, "")._replace(**changes)


def test_a_deployment_that_fits_is_taken():
    check_deployment(deployment(), "f", timeout=60)
    check_deployment(deployment(timeout=None), "f", timeout=6000)


@pytest.mark.parametrize(
    "changes, error, told",
    [
        ({"state": "Failed", "reason": "no image"}, BackendError, "no image"),
        ({"runtime": "python3.8"}, BackendError, "runs python3.8"),
        ({"runtime": "nodejs22.x"}, BackendError, "runs nodejs22.x"),
        ({"timeout": 59.0}, OptionError, "longer than 59 s"),
    ],
)
def test_a_deployment_that_does_not_fit_is_refused(changes, error, told):
    with pytest.raises(error, match=told):
        check_deployment(deployment(**changes), "f", timeout=60)


def test_lambda_s_own_words_are_understood():
    told = Deployment.from_configuration({"MemorySize": 512, "Timeout": 3, "Runtime": "python3.12"})
    assert told == Deployment("Active", "", 512 * 2**20, 3.0, "python3.12")
    assert Deployment.from_configuration({}).memory_bytes is None


# The handler.


class Context:
    def __init__(self, seconds=900.0):
        self.seconds = seconds

    def get_remaining_time_in_millis(self):
        return self.seconds * 1000


def handled(kernel, jobs, *, context=None, answer=None):
    blob = pickle.dumps(LoadedProgram(kernel, None, (100,)))
    call = RemoteBatch(digest(blob), blob, jobs)
    event = json.loads(encode_request(Request(pack_call(call), answer)))
    told = aws_lambda_worker.handler(event, context or Context())
    return decode_answer(json.dumps(told).encode(), "f")


def test_the_handler_runs_the_jobs_and_measures_them(monkeypatch, capsys):
    monkeypatch.setenv("AWS_LAMBDA_LOG_STREAM_NAME", "2026/01/01/[$LATEST]abc")
    outcomes = decode_outcomes(handled(kernels.echo, [AttemptSpec(1, 5), AttemptSpec(2, 6)]))
    assert [decode(o.value) for o in outcomes] == [((5,),), ((6,),)]
    assert {o.worker for o in outcomes} == {"2026/01/01/[$LATEST]abc"}
    assert all(o.peak_bytes > 0 for o in outcomes)
    assert last_start_mark(capsys.readouterr().out).attempt == 2


def test_a_single_job_writes_no_log(capsys):
    handled(kernels.echo, [AttemptSpec(1, 5)])
    assert capsys.readouterr().out == ""


def test_jobs_for_which_there_is_no_time_left_are_left_out():
    outcomes = decode_outcomes(
        handled(slow, [AttemptSpec(1, 0), AttemptSpec(2, 1)], context=Context(0.01))
    )
    assert [o.attempt for o in outcomes] == [1]


def slow(index):
    import time

    time.sleep(0.02)


def large(index):
    return bytes(3_000_000)


def test_without_a_bucket_as_many_results_come_as_fit():
    outcomes = decode_outcomes(handled(large, [AttemptSpec(1, 0), AttemptSpec(2, 1)]))
    assert [o.attempt for o in outcomes] == [1]


def test_a_missing_program_is_asked_for():
    event = encode_request(
        Request(pack_call(RemoteBatch(b"never seen", None, [AttemptSpec(1, 0)])), None)
    )
    told = aws_lambda_worker.handler(json.loads(event), Context())
    assert decode_answer(json.dumps(told).encode(), "f") == NEEDS_PROGRAM


def test_a_program_that_cannot_be_loaded_fails_every_job():
    call = RemoteBatch(b"broken", b"no pickle", [AttemptSpec(1, 0), AttemptSpec(2, 1)])
    told = aws_lambda_worker.handler(
        json.loads(encode_request(Request(pack_call(call), None))), Context()
    )
    outcomes = decode_outcomes(decode_answer(json.dumps(told).encode(), "f"))
    assert [(o.attempt, o.status) for o in outcomes] == [(1, Status.FAILED), (2, Status.FAILED)]


def test_what_somebody_else_has_put_into_the_bucket_is_not_run(monkeypatch):
    stored = StoredObject("bucket", "key", sha256(b"what the driver sent"))
    body = SimpleNamespace(read=lambda: b"something else")
    s3 = SimpleNamespace(get_object=lambda **_: {"Body": body})
    monkeypatch.setattr(aws_lambda_worker, "_s3", lambda: s3)
    with pytest.raises(ValueError, match="not what the driver has put there"):
        aws_lambda_worker.handler(json.loads(encode_request(Request(stored, None))), Context())


# Options.


@pytest.mark.parametrize(
    "text, bucket",
    [
        ("name", Bucket("name", "asyncexec")),
        ("s3://name", Bucket("name", "asyncexec")),
        ("s3://name/a/b/", Bucket("name", "a/b")),
    ],
)
def test_a_bucket_is_a_name_or_a_url(text, bucket):
    assert Bucket.parse(text) == bucket
    first, second = bucket.new_location(), bucket.new_location()
    assert first != second
    assert first.key.startswith(f"{bucket.prefix}/")


@pytest.mark.parametrize(
    "options, told",
    [
        ({}, "needs the option 'function_name'"),
        ({"function_name": ""}, "function_name must be text"),
        ({"function_name": "f", "region": 3}, "region must be text"),
        ({"function_name": "f", "max_workers": 0}, "max_workers"),
        ({"function_name": "f", "bucket": "gs://b"}, "bucket must be a name"),
        ({"function_name": "f", "timeout": -1}, "timeout must be 0 or more"),
        ({"function_name": "f", "memory": "much"}, "memory='much'"),
        ({"function_name": "f", "env_vars": {}}, "no option 'env_vars'"),
    ],
    ids=str,
)
def test_options_that_cannot_be_are_refused(options, told):
    with pytest.raises(OptionError, match=told):
        make_backend("aws-lambda", options)


async def test_an_unknown_profile_and_no_region_are_said(monkeypatch, tmp_path):
    for name in ("AWS_DEFAULT_REGION", "AWS_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    with pytest.raises(OptionError, match=r"region='eu-central-1'"):
        await LambdaBackend(function_name="f").__aenter__()
    with pytest.raises(OptionError, match="nobody"):
        await LambdaBackend(function_name="f", profile="nobody", region="r").__aenter__()


async def test_missing_credentials_are_said_with_what_to_do(monkeypatch, tmp_path):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(ConfigurationError, match=r"finds no credentials.*aws configure"):
        async with LambdaBackend(function_name="f", region="eu-central-1"):
            pass


def test_it_says_what_it_can_do_without_being_opened():
    backend = LambdaBackend(function_name="f", memory="3GB", batch_limit=10)
    can = backend.capabilities
    assert (can.worker_bytes, can.batch_limit, can.kills) == (3_000_000_000, 10, False)
    assert LambdaBackend.features.metered
