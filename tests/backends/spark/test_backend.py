import asyncio
import pickle
import subprocess
import sys
import threading
import time

import pytest

from asyncexec.backends.adapters.packing import Packer
from asyncexec.backends.contract import AttemptSpec, StageProgram
from asyncexec.backends.spark.errors_of_start import explained
from asyncexec.backends.spark.links import WorkerListener
from asyncexec.backends.spark.options import SparkOptions, is_local
from asyncexec.backends.spark.session import spark_conf
from asyncexec.backends.spark.system import SparkSystem
from asyncexec.backends.spark.worker_side import ConnectInfo
from asyncexec.errors import BackendError, OptionError
from asyncexec.events.outcome import Status
from asyncexec.plan.locality import Locality
from asyncexec.worker.attempt import decode
from asyncexec.worker.codec import decode_outcomes
from asyncexec.worker.remote_batch import RemoteBatch

pytest.importorskip("pyspark")

from asyncexec.backends.spark import SparkBackend
from asyncexec.testing.patience import scaled

PATIENCE = 20.0
SERVE = (
    "import pickle, sys; from asyncexec.backends.spark.worker_side import serve; "
    "serve(pickle.load(sys.stdin.buffer))"
)


def start(info):
    process = subprocess.Popen([sys.executable, "-c", SERVE], stdin=subprocess.PIPE)
    process.stdin.write(pickle.dumps(info))
    process.stdin.close()
    return process


class Worker:
    """A worker as Spark would run it, in a process of the test's own."""

    def __init__(self, listener, port, **options) -> None:
        token, self.connecting = listener.issue_token()
        self.info = ConnectInfo(host="127.0.0.1", port=port, token=token, **options)
        self.process = start(self.info)

    async def link(self):
        return await asyncio.wait_for(self.connecting, scaled(PATIENCE))

    async def ended(self):
        return await asyncio.to_thread(self.process.wait, scaled(PATIENCE))


@pytest.fixture
async def listener():
    listener = WorkerListener()
    port = await listener.open("127.0.0.1", 0)
    made = []

    def worker(**options):
        made.append(Worker(listener, port, **options))
        return made[-1]

    yield worker
    await listener.close()
    for one in made:
        one.process.kill()
        one.process.wait()


def call_of(kernel):
    program = StageProgram(key="k", plan="p", stage="s", kernel=kernel, shape=(9,))
    call, failed = Packer().pack(program, [AttemptSpec(1, 7)])
    assert not failed
    return call


async def test_a_worker_serves_calls_until_the_driver_hangs_up(listener):
    worker = listener()
    link = await worker.link()
    for _ in range(3):
        (outcome,) = decode_outcomes(await link.send(call_of(lambda index: index)))
        assert outcome.status is Status.SUCCEEDED
        assert decode(outcome.value) == (7,)
        assert outcome.worker == link.worker
        assert outcome.peak_bytes > 0
    assert link.alive
    link.disconnect()
    assert await worker.ended() == 0


async def test_a_worker_says_that_it_needs_the_program(listener):
    link = await listener().link()
    call = call_of(lambda index: index)
    assert await link.send(RemoteBatch(call.key, None, call.jobs)) == b""
    link.disconnect()


async def test_hanging_up_on_a_call_kills_it_also_where_it_holds_the_interpreter(listener):
    def hold(_index):
        sum(range(10**12))  # One call of C code, which never looks up.

    worker = listener()
    link = await worker.link()
    sending = asyncio.create_task(link.send(call_of(hold)))
    await asyncio.sleep(0.3)
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)
    start = time.monotonic()
    await link.kill()
    assert await worker.ended() < 0
    assert time.monotonic() - start < scaled(PATIENCE)


async def test_a_worker_that_dies_is_a_broken_connection(listener):
    import os

    link = await listener().link()
    with pytest.raises(ConnectionError, match="died"):
        await link.send(call_of(lambda index: os._exit(3)))
    assert not link.alive
    link.disconnect()


async def test_environment_and_memory_are_as_asked(listener):
    def look(_index):
        import os

        return os.environ["ASYNCEXEC_TRIAL"]

    worker = listener(env_vars={"ASYNCEXEC_TRIAL": "yes"}, memory_bytes=500_000_000)
    link = await worker.link()
    (outcome,) = decode_outcomes(await link.send(call_of(look)))
    assert decode(outcome.value) == "yes"
    (outcome,) = decode_outcomes(await link.send(call_of(lambda index: bytearray(10**9))))
    assert outcome.error.type == "builtins.MemoryError"
    link.disconnect()
    assert await worker.ended() == 0


async def test_an_invitation_is_good_for_one_worker(listener):
    first = listener()
    link = await first.link()
    again = start(first.info)
    assert await asyncio.to_thread(again.wait, scaled(PATIENCE)) == 0
    assert link.alive
    link.disconnect()


def test_a_local_spark_listens_on_loopback_and_repeats_nothing():
    conf = spark_conf(SparkOptions(master="local[2,3]"))
    assert conf["spark.driver.bindAddress"] == "127.0.0.1"
    assert conf["spark.task.maxFailures"] == "1"
    assert conf["spark.speculation"] == "false"
    far = spark_conf(SparkOptions(master="spark://host:7077", conf={"spark.ui.enabled": "true"}))
    assert "spark.driver.bindAddress" not in far
    assert far["spark.ui.enabled"] == "true"
    assert is_local("local[*]")
    assert not is_local("yarn")


def test_options_are_checked():
    for options, word in (
        ({"master": 3}, "master"),
        ({"master": "loca[2]"}, r"'loca\[2\]' is no master of Spark's"),
        ({"master": "local[x]"}, "is no master"),
        ({"master": "sprk://host:7077"}, "is no master"),
        ({"master": "spark://host"}, "spark://host:7077"),
        ({"conf": {"a": 1}}, "conf"),
        ({"cpus": 0}, "cpus"),
        ({"max_workers": 0}, "max_workers"),
        ({"env_vars": {"a": 1}}, "env_vars"),
        ({"py_modules": "text"}, "py_modules"),
        ({"py_modules": ["/no/such/module"]}, "no/such"),
        ({"session": object()}, "SparkSession"),
        ({"memory": "much"}, "memory"),
    ):
        with pytest.raises(OptionError, match=word):
            SparkBackend(**options)


@pytest.mark.parametrize(
    "master",
    ["local", "local[*]", "local[2, 3]", "local-cluster[1,1,1024]", "spark://a:1,b:2", "yarn"],
)
def test_masters_of_spark_are_taken(master):
    assert SparkOptions(master=master).master == master
    assert SparkOptions(master="k8s://https://host:443").master.startswith("k8s")


def test_an_error_of_the_start_names_java_only_where_java_is_the_matter(monkeypatch):
    assert "Java" not in explained(RuntimeError("the cluster refuses"))
    gone = RuntimeError("[JAVA_GATEWAY_EXITED] it exited")
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    assert "there is no Java here" in explained(gone)
    monkeypatch.setattr("shutil.which", lambda *_, **__: "/usr/bin/java")
    assert "/usr/bin/java" in explained(gone)


class _Hanging:
    """A session whose start waits until it is interrupted."""

    def __init__(self):
        self.began = threading.Event()
        self.interrupted = threading.Event()

    def open(self):
        self.began.set()
        assert self.interrupted.wait(PATIENCE)
        raise BackendError("its JVM was killed")

    def interrupt(self):
        self.interrupted.set()

    def close(self):
        raise AssertionError("nothing was opened")


async def test_a_start_that_hangs_is_interrupted_at_its_bound():
    options, session = SparkOptions(start_timeout=0.1, master="spark://nowhere:1"), _Hanging()
    system = SparkSystem(session, options, SparkBackend.features)
    with pytest.raises(BackendError, match=r"'spark://nowhere:1' within 0\.1 s"):
        await system.open()
    assert session.interrupted.is_set()


async def test_a_start_that_is_cancelled_is_interrupted():
    session = _Hanging()
    opening = asyncio.create_task(
        SparkSystem(session, SparkOptions(), SparkBackend.features).open()
    )
    assert await asyncio.to_thread(session.began.wait, PATIENCE)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    assert session.interrupted.is_set()


def test_it_knows_what_it_can_do():
    can = SparkBackend(memory="1GB").capabilities
    assert (can.kills, can.isolated, can.worker_bytes) == (True, True, 10**9)
    assert can.locality is Locality.SAME_HOST
    assert can.guarantees_memory
    assert SparkBackend(master="yarn").capabilities.locality is Locality.ELSEWHERE
    assert SparkBackend.features.kills
