"""What the `modal` executor decides without Modal, and one run through it."""

import pickle

import pytest

import asyncexec as ax
from asyncexec.backends.modal import ModalBackend
from asyncexec.backends.modal.call_errors import CallErrorAction, action_for, advice
from asyncexec.backends.modal.images import requirements
from asyncexec.backends.modal.options import ModalOptions, gpu_of, longest_call
from asyncexec.backends.modal.worker_side import BatchInbox
from asyncexec.errors import OptionError
from asyncexec.events.outcome import Status
from asyncexec.worker.codec import decode_reports
from asyncexec.worker.programs import LoadedProgram
from asyncexec.worker.records import AttemptSpec
from asyncexec.worker.remote_batch import RemoteBatch

modal = pytest.importorskip("modal")
Terminated = type("StreamTerminatedError", (Exception,), {"__module__": "grpclib.exceptions"})


@pytest.mark.parametrize(
    "kind, count, wanted",
    [
        (None, None, None),
        ("A100", None, "A100"),
        ("H100:2", None, "H100:2"),
        ("A100", 4, "A100:4"),
        (["A100", "H100"], None, ["A100", "H100"]),
        (["A100", "H100"], 2, ["A100:2", "H100:2"]),
        (None, 1, "any:1"),
        (None, 0, None),
    ],
)
def test_gpus_are_asked_for_as_modal_wants_it(kind, count, wanted):
    assert gpu_of(kind, count) == wanted


@pytest.mark.parametrize(
    "kind, count", [("A100", 0), ("A100:2", 2), ([], None), (7, None), ("A100", 1.5)]
)
def test_gpus_that_contradict_each_other_are_refused(kind, count):
    with pytest.raises(OptionError, match="gpu"):
        ModalOptions(gpu=kind, gpus=count)


@pytest.mark.parametrize(
    "timeout, batch, wanted",
    [(None, 1, 86_400), (1.5, 100, 210), (3600, 1000, 86_400), (float("inf"), 1, 86_400)],
)
def test_modal_never_ends_a_batch_before_the_engine_could(timeout, batch, wanted):
    assert longest_call(timeout, batch) == wanted


@pytest.mark.parametrize(
    "options",
    [
        {"max_workers": 0},
        {"memory": "much"},
        {"cpus": -1},
        {"pip": "numpy"},
        {"region": 3},
        {"secrets": "one"},
        {"env_vars": {"A": 1}},
        {"timeout": -1},
        {"scaledown_window": 1},
        {"app_name": ""},
        {"batch_limit": 0},
        {"volumes": ["/data"]},
        {"nonpreemptible": "no"},
    ],
)
def test_an_option_that_is_not_what_it_should_be_is_named(options):
    (name,) = options
    with pytest.raises(OptionError, match=name):
        ModalBackend(**options)


def test_options_are_told_of_a_typing_error():
    with pytest.raises(OptionError, match="did you mean 'memory'"):
        ax.Engine(executor="modal", executor_options={"memmory": "2GB"})


def test_memory_is_what_plans_are_checked_against():
    assert ModalBackend(memory="2GB").capabilities.worker_bytes == 2 * 10**9
    assert ModalBackend().capabilities.worker_bytes is None


def test_a_backend_does_not_show_secrets():
    backend = ModalBackend(env_vars={"PASSWORD": "hunter2"}, secrets=["named"])
    assert "hunter2" not in repr(backend) + repr(backend._system._options)


@pytest.mark.parametrize(
    "error, wanted",
    [
        (modal.exception.InternalFailure("container died"), CallErrorAction.LOST),
        (modal.exception.FunctionTimeoutError("too long"), CallErrorAction.LOST),
        (modal.exception.RemoteError("cancelled"), CallErrorAction.LOST),
        (modal.exception.ResourceExhaustedError("too many"), CallErrorAction.REFUSED),
        (modal.exception.ServiceError("unavailable"), CallErrorAction.REFUSED),
        (modal.exception.ConnectionError("no route"), CallErrorAction.REFUSED),
        (OSError("no route"), CallErrorAction.REFUSED),
        (Terminated("Connection lost"), CallErrorAction.REFUSED),
        (modal.exception.AuthError("no"), CallErrorAction.BROKEN),
        (modal.exception.NotFoundError("no such app"), CallErrorAction.BROKEN),
        (modal.exception.ConflictError("the app has stopped"), CallErrorAction.BROKEN),
        (ModuleNotFoundError("No module named 'asyncexec'"), CallErrorAction.BROKEN),
    ],
)
def test_an_error_of_modals_means_one_of_three_things(error, wanted):
    assert action_for(error) is wanted


def test_an_image_that_lacks_a_module_is_told_how_to_get_it():
    assert "py_modules" in advice(ModuleNotFoundError("No module named 'mine'"))


def test_containers_get_the_drivers_versions():
    import numpy as np

    assert f"numpy=={np.__version__}" in requirements()


def test_an_order_to_leave_attempts_out_is_answered_for_those_that_had_not_started():
    call = RemoteBatch(
        b"modal", pickle.dumps(LoadedProgram(abs, None, (9,))), [AttemptSpec(n, n) for n in (1, 2)]
    )
    inbox = BatchInbox(call, "container")
    inbox.drop({2, 3})
    inbox.work()
    frames = [*iter(inbox.frames.get, None)]
    ended = [(r.attempt, r.status) for frame in frames for r in decode_reports(frame)]
    assert ended == [(2, Status.CANCELLED), (1, Status.FAILED)]
    inbox.drop({1, 2})
    assert inbox.frames.empty()
