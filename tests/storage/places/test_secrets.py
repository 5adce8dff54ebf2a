"""Credentials travel to workers, and show nowhere on the way."""

import logging
import pickle
import traceback

import numpy as np
import pytest

from asyncexec.backends.contract import AttemptSpec, StageProgram
from asyncexec.storage import (
    ArrayWorkspace,
    BlockIO,
    TaskInput,
    TaskOutput,
    planned_array,
)
from asyncexec.storage.chunks.access import forget_opened
from asyncexec.worker.attempt import attempt_runner
from tests.storage.pipelines import double, opening
from tests.storage.regions import same_block

CANARY = "canary-e07c55"
OPTIONS = {
    "access_key_id": f"AKIA{CANARY}",
    "secret_access_key": f"secret/{CANARY}",
    "token": CANARY,
    "endpoint": "http://127.0.0.1:9",
    "client_options": {"allow_http": True, "timeout": "1s", "user_agent": CANARY},
    "retry_config": {"max_retries": 0},
}
URLS = [
    "s3://bucket/x",
    f"s3://user:{CANARY}@bucket/x",
    f"az://container/x?sig={CANARY}",
    f"ftp://u:{CANARY}@127.0.0.1:9/x",
]


def io_for(url, options):
    ref = planned_array(url, shape=(4,), dtype="f8", chunks=(2,), storage_options=options)
    return BlockIO(
        sources=(TaskInput(array=ref, select=same_block((4,), (2,))),),
        targets=(TaskOutput(array=ref, block=(2,)),),
        label="double",
    )


@pytest.mark.parametrize("url", URLS)
def test_no_text_of_anything_on_the_way_shows_them(url):
    io = io_for(url, OPTIONS)
    workspace = ArrayWorkspace(blocks={"a": io}, work_dir=url, storage_options=OPTIONS)
    program = StageProgram(key="k", plan="p", stage="a", kernel=double, shape=(2,), io=io)
    ref = io.targets[0].ref
    for thing in (
        io,
        workspace,
        program,
        ref,
        ref.location,
        ref.description,
        io.sources,
        (io,),
        {"io": io},
    ):
        assert CANARY not in repr(thing)
        assert CANARY not in str(thing)


@pytest.mark.parametrize("url", URLS)
def test_no_error_of_a_task_shows_them(url, caplog):
    caplog.set_level(logging.DEBUG)
    io = io_for(url, OPTIONS if "ftp" not in url and "az" not in url else {"secret": CANARY})
    for _ in range(2):
        run = attempt_runner(double, io, (2,), worker="w", keep_exception=True)
        outcome = run(AttemptSpec(1, 0))
        assert outcome.error is not None
        assert CANARY not in outcome.error.message
        assert CANARY not in outcome.error.traceback
        assert CANARY not in "".join(traceback.format_exception(outcome.error.exception))
    assert not [
        r for r in caplog.records if r.name.startswith("asyncexec") and CANARY in r.getMessage()
    ]
    forget_opened()


@pytest.mark.parametrize("url", URLS[:2])
def test_no_error_of_opening_a_run_shows_them(url):
    workspace = ArrayWorkspace(
        blocks={"a": io_for(url, OPTIONS)}, work_dir=url, storage_options=OPTIONS
    )
    with pytest.raises(Exception) as caught:  # noqa: PT011 - which one is another test's
        workspace.open([], opening())
    assert CANARY not in "".join(traceback.format_exception(caught.value))


def test_they_do_travel():
    """A worker must be able to open what the driver can."""
    ref = io_for(URLS[0], OPTIONS).targets[0].ref
    assert dict(pickle.loads(pickle.dumps(ref)).location.options) == OPTIONS
    assert np.dtype(ref.dtype) == np.float64
