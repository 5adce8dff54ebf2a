"""Errors of what users give to a run and the scheduler calls: policies, workspaces, what takes its log records.

They end that run alone: the dispatch guards each call into a run.
"""

from __future__ import annotations

import sysconfig
from itertools import islice
from typing import TYPE_CHECKING

from asyncexec.errors import ExecutionError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from asyncexec.scheduler.stage import StageState


def policy_failed(
    plan: str, stage: StageState, option: str, policy: object, error: BaseException
) -> ExecutionError:
    """Return the error of a run that a policy has ended, as it raised or gave what cannot be used.

    Parameters
    ----------
    plan : str
    stage : StageState
    option : str
        The option under which the policy was given (``straggler``).
    policy : object
    error : BaseException
    """
    failed = ExecutionError(
        f"plan {plan!r}, stage {stage.name!r}: the policy {option}={policy!r} "
        f"{raised(error)}. Mend its {type(policy).__name__}, or leave out {option}=",
        plan=plan,
        stage=stage.name,
    )
    failed.__cause__ = error
    return failed


def run_failed(execution: str, plan: str, error: BaseException) -> ExecutionError:
    """Return the error of a run in which something has raised that it calls between tasks."""
    if isinstance(error, ExecutionError):
        return error
    failed = ExecutionError(
        f"execution {execution}: what it calls between tasks {raised(error)}; other runs go on",
        plan=plan,
    )
    failed.__cause__ = error
    return failed


def is_interrupt(error: BaseException) -> bool:
    """Return whether ``error`` is a Ctrl-C that came while no code of users ran, which is for the whole program."""
    if not isinstance(error, KeyboardInterrupt):
        return False
    installed = tuple(map(sysconfig.get_path, ("stdlib", "purelib", "platlib")))
    return all(file.startswith((_PACKAGE, *installed)) for file, *_ in _frames(error))


def raised(error: BaseException) -> str:
    """Return in words what was raised, and in which function of the user's, where it was in one."""
    outside = (each for each in _frames(error) if not each[0].startswith(_PACKAGE))
    where = "".join(f" in {name} ({file}:{line})" for file, name, line in islice(outside, 1))
    return f"raised {type(error).__name__}{where}: {error}"


def _frames(error: BaseException) -> Iterator[tuple[str, str, int]]:
    """Yield file, function and line of each frame that the error has passed, the outermost first."""
    traceback = error.__traceback__
    while traceback is not None:
        code = traceback.tb_frame.f_code
        yield code.co_filename, code.co_qualname, traceback.tb_lineno
        traceback = traceback.tb_next


_PACKAGE = __file__.rpartition("/")[0].rpartition("/")[0]
