"""What the `lithops` executor makes of its options; its jobs are tested in systems/test_lithops.py."""

import math
import sys

import pytest

pytest.importorskip("lithops")

from asyncexec.backends.adapters.blocking_system import CallLostError
from asyncexec.backends.lithops import LithopsBackend
from asyncexec.backends.lithops.configuration import complete_configuration
from asyncexec.backends.lithops.options import LithopsOptions
from asyncexec.backends.lithops.system import LithopsSystem
from asyncexec.engine import Engine
from asyncexec.errors import BackendError, OptionError
from asyncexec.plan.locality import Locality

LAMBDA = {
    "lithops": {"backend": "aws_lambda", "storage": "aws_s3"},
    "aws": {"region": "us-east-1", "access_key_id": "id", "secret_access_key": "much secret"},
    "aws_lambda": {"execution_role": "arn:aws:iam::1:role/r", "max_workers": 40},
    "aws_s3": {"storage_bucket": "bucket"},
}


def configuration(**options):
    return complete_configuration(LithopsOptions(**options))


def test_this_machine_has_an_executor_for_each_worker():
    made = configuration(config={"lithops": {"backend": "localhost"}}, max_workers=3)
    assert (made.executors, made.calls, made.memory_bytes, made.is_local) == (3, 1, None, True)
    section = made.config["localhost"]
    assert (section["version"], section["worker_processes"]) == (1, 1)
    assert made.config["lithops"]["telemetry"] is False
    assert made.config["lithops"]["data_cleaner"] is False


def test_what_a_configuration_says_stands():
    config = {
        "lithops": {"backend": "localhost", "monitoring_interval": 3},
        "localhost": {"version": 2, "runtime": "python3", "worker_processes": 5},
    }
    made = configuration(config=config)
    assert made.executors == 5
    assert made.config["localhost"]["runtime"] == "python3"
    assert made.config["localhost"]["version"] == 2
    assert made.config["lithops"]["monitoring_interval"] == 3
    assert config["localhost"]["worker_processes"] == 5, "what was handed in is not changed"


def test_a_cloud_runs_as_many_calls_as_it_has_workers():
    made = configuration(config=LAMBDA)
    assert (made.executors, made.calls, made.is_local) == (1, 40, False)
    assert made.memory_bytes == 256 * 2**20
    assert configuration(config=LAMBDA, max_workers=7).calls == 7


def test_options_go_into_the_section_of_the_place():
    made = configuration(config=LAMBDA, runtime="image:1", runtime_memory=2048)
    assert made.memory_bytes == 2048 * 2**20
    assert made.config["aws_lambda"]["runtime"] == "image:1"
    assert made.config["aws_lambda"]["runtime_memory"] == 2048


def test_what_a_cloud_can_do_is_not_what_this_machine_can():
    here = LithopsBackend(config={"lithops": {"backend": "localhost"}}).capabilities
    assert (here.kills, here.metered, here.worker_bytes) == (True, False, None)
    assert here.locality is Locality.SAME_HOST
    cloud = LithopsBackend(config=LAMBDA, runtime_memory=512).capabilities
    assert (cloud.kills, cloud.locality, cloud.metered) == (False, Locality.ELSEWHERE, True)
    assert cloud.worker_bytes == 512 * 2**20
    assert cloud.loss_seconds is None


def test_lithops_ends_a_call_only_after_all_its_tasks_may_have():
    made = configuration(config=LAMBDA, timeout=2.5)
    assert made.execution_timeout(10) == 55
    assert configuration(config=LAMBDA).execution_timeout(10) is None
    assert configuration(config=LAMBDA, timeout=math.inf).execution_timeout(10) is None


def test_a_file_is_a_configuration(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("lithops: {backend: localhost}\nlocalhost: {worker_processes: 4}\n")
    assert configuration(config=path).executors == 4


def test_without_a_configuration_it_is_this_machine(tmp_path, monkeypatch):
    monkeypatch.setenv("LITHOPS_CONFIG_FILE", str(tmp_path / "none"))
    assert configuration().backend_name == "localhost"


def test_secrets_are_not_told():
    assert "much secret" not in repr(configuration(config=LAMBDA))
    backend = LithopsBackend(config=LAMBDA, env_vars={"TOKEN": "much secret"})
    assert "much secret" not in repr(backend)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"max_workers": 0}, "max_workers must be a whole number"),
        ({"runtime_memory": "2GB"}, "runtime_memory must be a whole number"),
        ({"runtime_memory": 512}, "does not set the memory of a worker"),
        ({"include_modules": "numpy"}, "include_modules must be a list"),
        ({"env_vars": {"A": 1}}, "env_vars must map names to text"),
        ({"timeout": -1}, "timeout must be 0 or more"),
        ({"batch_limit": 0}, "batch_limit must be a whole number"),
        ({"backend": "hamster_wheel"}, "hamster_wheel"),
        ({"config": "/nowhere/config"}, "there is no configuration file"),
        ({"config": {"lithops": {"backend": "aws_lambda"}}}, "does not take this configuration"),
        ({"cpus": 2}, "no option 'cpus'"),
    ],
)
def test_an_option_that_cannot_be_is_refused(options, message):
    given = {"config": {"lithops": {"backend": "localhost"}}} | options
    with pytest.raises(OptionError, match=message):
        Engine(executor="lithops", executor_options=given)


def test_a_python_that_is_not_there_is_said_before_any_task():
    with pytest.raises(BackendError, match=r"no Python interpreter '/no/such/python'"):
        system(runtime="/no/such/python").open()
    assert configuration(runtime="user/image:1").missing_interpreter == ""
    assert configuration(runtime=sys.executable).missing_interpreter == ""


@pytest.mark.parametrize(
    "error, expected",
    [
        (FileNotFoundError("no docker"), BackendError),
        (PermissionError("no"), BackendError),
        (ConnectionError("storage is away"), CallLostError),
    ],
)
def test_what_keeps_lithops_from_starting_a_call_is_no_failure_of_its_tasks(error, expected):
    class Refusing:
        busy = False

        def submit(self, _calls):
            raise error

    with pytest.raises(expected, match=str(error)):
        system()._start(Refusing(), [])


def test_entering_is_bounded():
    can = LithopsBackend(config=LAMBDA, start_timeout=7.0).capabilities
    assert can.opening_seconds == 7.0
    assert "aws_lambda" in can.opening_advice


def system(**options):
    made = configuration(**options)
    return LithopsSystem(made, made.capabilities(LithopsBackend.features))
