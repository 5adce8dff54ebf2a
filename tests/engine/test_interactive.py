"""Sessions in which a person types: calls that block work there, show their progress, and can be interrupted."""

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import threading
from types import ModuleType, SimpleNamespace

import pytest

import asyncexec as ax
import asyncexec.array as xp
from asyncexec.engine import interactive
from asyncexec.engine.blocking_calls import PROGRESS_VARIABLE, _wants_progress
from asyncexec.errors import OptionError, RunningLoopError

CALLS = """
import tempfile
import asyncexec as ax, asyncexec.array as xp, numpy as np
from asyncexec.workflow import Workflow
x = xp.arange(4, chunks=2)
assert x.compute().tolist() == [0, 1, 2, 3]
assert float(xp.sum(x)) == 6.0 and int(xp.max(x)) == 3 and bool(xp.all(x >= 0))
assert [10, 20, 30, 40][xp.max(x)] == 40
assert np.asarray(x).sum() == 6
assert [int(row) for row in x] == [0, 1, 2, 3] and len(x) == 4 and "shape=(4,)" in repr(x)
assert [int(v) for v in xp.compute(xp.min(x), xp.max(x))] == [0, 3]
with tempfile.TemporaryDirectory() as folder:
    xp.to_zarr(x, f"{folder}/x.zarr")
    xp.store([x], [f"{folder}/y.zarr"]).compute()
    assert xp.from_zarr(f"{folder}/y.zarr").compute().sum() == 6
assert ax.sync.execute(ax.Plan.map(abs, [-1]), executor="serial").value == [1]
def double(a):
    return 2 * a
assert ax.sync.execute(Workflow("doubled", [double])(a=4)).value == 8
with ax.sync.SyncEngine("threads") as engine:
    assert engine.execute(ax.Plan.map(abs, [-2])).value == [2]
print("all", "well")
"""


@pytest.fixture
def _in_ipython(monkeypatch):
    """As in IPython: without it, which would stay for the other tests of this process."""
    module = ModuleType("IPython")
    module.get_ipython = object
    monkeypatch.setitem(sys.modules, "IPython", module)


@pytest.mark.usefixtures("_in_ipython")
async def test_a_blocking_call_works_in_the_loop_of_a_session():
    assert float(xp.sum(xp.arange(4, chunks=2))) == 6.0
    with ax.sync.SyncEngine("serial") as engine:
        assert engine.execute(ax.Plan.map(abs, [-1])).value == [1]


@pytest.mark.usefixtures("_in_ipython")
def test_a_loop_in_a_thread_of_a_session_is_that_of_a_service():
    raised = []

    async def serve():
        try:
            xp.ones(2).compute()
        except RunningLoopError as error:
            raised.append(error)

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    thread.join()
    assert len(raised) == 1


async def test_an_imported_ipython_without_a_session_is_no_session(monkeypatch):
    module = ModuleType("IPython")
    module.get_ipython = lambda: None
    monkeypatch.setitem(sys.modules, "IPython", module)
    with pytest.raises(RunningLoopError):
        xp.ones(2).compute()


@pytest.mark.usefixtures("_in_ipython")
def test_an_interrupt_reaches_the_call_although_the_loop_has_a_handler_of_its_own():
    release = threading.Event()

    def interrupt(number):
        if number == 0:
            os.kill(os.getpid(), signal.SIGINT)
        release.wait(30)

    async def main():
        before = signal.getsignal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            ax.sync.execute(ax.Plan.map(interrupt, range(4)), executor="serial")
        release.set()
        assert signal.getsignal(signal.SIGINT) is before

    # Where the tests run in the background, the shell has had them ignore it.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        # The handler of `asyncio.run` would only cancel this coroutine, once it awaits something.
        asyncio.run(main())
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_in_ipython")
def test_progress_is_shown_in_a_session_unless_somebody_says_otherwise(monkeypatch):
    assert _wants_progress((), said=None)
    assert not _wants_progress((), said=False)
    assert not _wants_progress((ax.Progress(),), said=None)
    monkeypatch.setenv(PROGRESS_VARIABLE, "off")
    assert not _wants_progress((), said=None)
    assert _wants_progress((), said=True)


def test_progress_is_not_shown_in_scripts_unless_somebody_says_so(monkeypatch):
    assert not _wants_progress((), said=None)
    monkeypatch.setenv(PROGRESS_VARIABLE, "on")
    assert _wants_progress((), said=None)
    with pytest.raises(OptionError, match="progress must be True or False"):
        xp.ones(2).compute(progress="yes")


def test_the_plain_prompt_of_python_is_interactive_and_its_loops_are_not(monkeypatch):
    assert not interactive.is_interactive()
    monkeypatch.setattr(sys, "ps1", ">>> ", raising=False)
    assert interactive.is_interactive()
    assert not interactive.may_block_loop()


def test_the_prompt_of_asyncio_is_a_session(monkeypatch):
    main = SimpleNamespace(__spec__=SimpleNamespace(name="asyncio.__main__"))
    monkeypatch.setitem(sys.modules, "__main__", main)
    assert interactive.may_block_loop()


def run(*arguments, given=""):
    return subprocess.run(
        [sys.executable, *arguments],
        input=given,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_blocking_calls_work_at_the_prompt_of_asyncio():
    lines = [
        "import asyncexec as ax, asyncexec.array as xp",
        "x = xp.arange(4, chunks=2)",
        "asyncio.get_running_loop() is not None, float(xp.sum(x))",
        "(await ax.compute(xp.max(x)))[0].item()",
    ]
    done = run("-m", "asyncio", given="\n".join(lines) + "\n")
    assert "(True, 6.0)" in done.stdout
    assert "\n3\n" in done.stdout.replace(">>> ", "")
    assert "Error" not in done.stderr
    assert "Warning" not in done.stderr


def test_blocking_calls_work_in_the_shell_of_ipython():
    pytest.importorskip("IPython")
    session = f"""
    import asyncio
    from IPython.core.interactiveshell import InteractiveShell

    shell = InteractiveShell.instance(colors="NoColor")

    async def main():
        code = {CALLS!r}
        (await shell.run_cell_async(code, transformed_cell=code)).raise_error()

    asyncio.run(main())
    """
    done = run("-c", textwrap.dedent(session))
    assert (done.returncode, done.stdout) == (0, "all well\n"), done.stderr


@pytest.fixture(scope="module")
def notebook():
    """Run cells in a kernel of Jupyter; what each writes and raises is returned."""
    pytest.importorskip("ipykernel")
    manager = pytest.importorskip("jupyter_client").KernelManager(kernel_name="python3")
    manager.start_kernel()
    client = manager.client()
    client.start_channels()

    def cell(code, interrupt_at=None):
        written = {"stdout": "", "stderr": "", "error": "", "parents": set()}

        def output(message):
            content = message["content"]
            if message["msg_type"] == "stream":
                written[content["name"]] += content["text"]
            elif message["msg_type"] == "error":
                written["error"] = content["ename"]
            if interrupt_at and interrupt_at in written["stderr"] and not written["parents"]:
                written["parents"].add("interrupted")
                os.kill(manager.provisioner.pid, signal.SIGINT)

        client.execute_interactive(
            textwrap.dedent(code), output_hook=output, timeout=120, store_history=False
        )
        return SimpleNamespace(**written)

    try:
        client.wait_for_ready(timeout=120)
        yield cell
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
        manager.cleanup_resources()


def test_blocking_calls_work_in_a_notebook(notebook):
    done = notebook(CALLS)
    assert (done.error, done.stdout, done.stderr) == ("", "all well\n", "")


SLOW = """
import threading
import asyncexec as ax

def wait(item):
    return threading.Event().wait({seconds})

plan = ax.Plan.map(wait, range(8), name="slow")
"""


def test_long_work_shows_its_progress_below_the_cell_that_waits(notebook):
    notebook(SLOW.format(seconds=0.16) + "engine = ax.sync.SyncEngine('serial').__enter__()")
    done = notebook("value = engine.execute(plan).value")
    assert done.error == ""
    first, *_, last = done.stderr.strip().split("\r")
    assert "slow-1: " in first
    assert " of 8 tasks" in first
    assert "succeeded" in last
    assert "8 of 8 tasks" in last
    assert notebook("engine.execute(plan, progress=False)").stderr == ""
    assert notebook("%env ASYNCEXEC_PROGRESS=off\nengine.execute(plan)").stderr == ""
    notebook("%env ASYNCEXEC_PROGRESS=\nengine.__exit__(None, None, None)")


@pytest.mark.parametrize("executor", ["threads", "processes"])
def test_an_interrupt_in_a_notebook_stops_the_work(notebook, executor):
    done = notebook(
        SLOW.format(seconds=3600) + f"ended = []\n"
        f"ax.sync.execute(plan, executor={executor!r}, observers=[ended.append])",
        interrupt_at="slow-1",
    )
    # On a busy machine the last line of the progress may come when the cell has ended.
    assert done.error == "KeyboardInterrupt"
    after = notebook(
        "print(type(ended[-1]).__name__, ax.sync.execute(ax.Plan.map(abs, [-1])).value)"
    )
    assert after.stdout == "PlanCancelled [1]\n"


def test_a_notebook_may_await_as_a_service_does(notebook):
    done = notebook(
        """
        import asyncexec as ax, asyncexec.array as xp
        (total,) = await ax.compute(xp.sum(xp.arange(4, chunks=2)))
        print(total)
        """
    )
    assert (done.error, done.stdout) == ("", "6\n")
