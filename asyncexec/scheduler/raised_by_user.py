"""Errors of what users give to a run and the scheduler calls: policies, workspaces, what takes its log records.

They end that run alone: the dispatch guards each call into a run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncexec.errors import ExecutionError

if TYPE_CHECKING:
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


def raised(error: BaseException) -> str:
    """Return in words what was raised, and in which function of the user's, where it was in one."""
    where, traceback = "", error.__traceback__
    while traceback is not None:
        code = traceback.tb_frame.f_code
        if not code.co_filename.startswith(_PACKAGE):
            where = f" in {code.co_qualname} ({code.co_filename}:{traceback.tb_lineno})"
            break
        traceback = traceback.tb_next
    return f"raised {type(error).__name__}{where}: {error}"


_PACKAGE = __file__.rpartition("/")[0].rpartition("/")[0]
