"""Commits of sessions, and what is said where a branch has other commits by then."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from asyncexec.errors import CommitConflictError, StorageError, StorageTimeoutError
from asyncexec.request_failures.reading import failure_of
from asyncexec.storage.places.repository_names import repository_name
from asyncexec.storage.places.requests import request
from asyncexec.storage.versions.waiting import SilentRepositoryError, while_answered


@dataclass(frozen=True, eq=False, kw_only=True)
class Commit:
    """The commit that ends a run.

    Attributes
    ----------
    message : str
    metadata : mapping, optional
        Kept with the snapshot.
    rebase_with : icechunk.ConflictSolver, optional
        Decides what becomes of conflicts where the branch has other commits by then.
    rebase_tries : int
        How often it is tried again, where others commit all the time.
    allow_empty : bool
        Whether a commit without changes may be made.
    """

    message: str
    metadata: Mapping[str, Any] | None = None
    rebase_with: Any = None
    rebase_tries: int = 1_000
    allow_empty: bool = False


def committed(session: Any, commit: Commit, *, probe: Callable[[], object]) -> str:
    """Commit ``session``, and return the snapshot; ``probe`` asks its repository for something small meanwhile.

    Raises
    ------
    CommitConflictError
        If the branch has other commits by now, and they could not be reconciled.
    StorageError
        If the repository fails.
    StorageTimeoutError
        If it does not answer.
    """
    branch = session.branch
    endpoint = repository_name(session)
    tries = 0

    def try_it(_: float) -> str:
        nonlocal tries
        # Counted, as a second try may meet the commit of the first, whose answer was lost.
        tries += 1
        return while_answered(commit_it, probe)

    def commit_it() -> str:
        snapshot: str = session.commit(
            commit.message,
            None if commit.metadata is None else dict(commit.metadata),
            rebase_with=commit.rebase_with,
            rebase_tries=commit.rebase_tries,
            allow_empty=commit.allow_empty,
        )
        return snapshot

    try:
        return request(try_it, endpoint)
    except SilentRepositoryError:
        raise _silent(endpoint, branch) from None
    except Exception as error:
        rebased = commit.rebase_with is not None
        raise _not_committed(error, branch, rebased=rebased, again=tries > 1) from error


def _silent(endpoint: str, branch: str | None) -> StorageTimeoutError:
    error = StorageTimeoutError(
        f"{endpoint} does not answer while the session is committed to branch {branch!r}: the commit may be made yet. "
        f"The session has all that the plan has computed; once the repository answers, look at "
        f"repo.ancestry(branch={branch!r}), and if the commit is not there, call session.commit(...)"
    )
    error.endpoint = endpoint
    return error


def _not_committed(
    error: Exception, branch: str | None, *, rebased: bool, again: bool
) -> StorageError:
    kept = (
        "Nothing was committed, and nothing is lost: the session has all that the plan has computed"
    )
    if again:
        kept = (
            f"Nothing is lost: the session has all that the plan has computed; but look at "
            f"repo.ancestry(branch={branch!r}) first, as an answer was lost, and that may have been of this very commit"
        )
    if not _is_conflict(error):
        return StorageError(
            f"the Icechunk session cannot be committed to branch {branch!r}: {_said(error)}. {kept}: mend the "
            f"cause, and call session.commit(...)"
        )
    if rebased:
        return CommitConflictError(
            f"branch {branch!r} has other commits since this Icechunk session began, and they conflict with it: "
            f"{_first_line(error)}. {kept}: call session.rebase(...) with a solver that decides for one side, such as "
            f"icechunk.BasicConflictSolver(on_chunk_conflict=icechunk.VersionSelection.UseOurs), and then "
            f"session.commit(...)"
        )
    return CommitConflictError(
        f"branch {branch!r} has other commits since this Icechunk session began. {kept}: call "
        f"session.rebase(icechunk.ConflictDetector()) and then session.commit(...). With "
        f"rebase_with=icechunk.ConflictDetector(), a run does so itself where the commits do not touch the same"
    )


def _is_conflict(error: Exception) -> bool:
    # By name, so that Icechunk need not be imported for it.
    return any(kind.__name__ == "ConflictError" for kind in type(error).__mro__)


def _said(error: Exception) -> str:
    failure = failure_of(error)
    return _first_line(error) if failure is None else f"{failure.reason.text} ({failure.code})"


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
