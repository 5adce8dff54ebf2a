"""What is raised in a run between tasks ends that run; a Ctrl-C is for the whole program."""

import pytest

from asyncexec.scheduler.raised_by_user import is_interrupt, raised
from asyncexec.scheduler.run_handle import RunHandle


def of_users():
    raise KeyboardInterrupt


def in_package(statement):
    """Return a function of a file of the package, in which a signal raises, say."""
    names = {}
    code = f"def function():\n    {statement}\n"
    exec(compile(code, RunHandle.guarded.__code__.co_filename, "exec"), names)
    return names["function"]


def caught(function):
    try:
        function()
    except BaseException as error:  # noqa: BLE001 - whatever it is
        return error.with_traceback(error.__traceback__.tb_next)  # without the frame of this test
    raise AssertionError


def test_a_ctrl_c_in_code_of_the_package_is_for_the_program():
    assert is_interrupt(caught(in_package("raise KeyboardInterrupt")))


def test_what_code_of_users_raises_is_none():
    assert not is_interrupt(caught(of_users))
    assert not is_interrupt(caught(in_package("raise SystemExit")))
    assert "in of_users (" in raised(caught(of_users))


def test_a_ctrl_c_passes_the_guard_of_a_run():
    handle = RunHandle.__new__(RunHandle)
    with pytest.raises(KeyboardInterrupt):
        handle.guarded(in_package("raise KeyboardInterrupt"))
