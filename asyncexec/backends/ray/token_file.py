"""The file of Ray's token, with which code can be run on the user's Ray."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path


def keep_token_private() -> None:
    """Make the file of Ray's token readable by its owner only, before Ray starts here and makes or reads it.

    Ray makes the file itself where there is none, and lets everybody on the machine read it. A token, or a path of one,
    that the environment names is the user's own affair, and left alone.
    """
    if os.environ.get("RAY_AUTH_TOKEN") or os.environ.get("RAY_AUTH_TOKEN_PATH"):
        return
    if os.environ.get("RAY_AUTH_MODE", "token").lower() != "token":
        return
    with suppress(
        OSError, RuntimeError, ImportError
    ):  # Ray itself says what is wrong with the place.
        _prepare(Path.home() / ".ray" / "auth_token")


def _prepare(path: Path) -> None:
    if path.exists():
        _tighten(path)
        return
    from ray._private.authentication.authentication_token_generator import (
        generate_new_authentication_token,
    )

    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Not written in place: another program that starts a Ray now must never read half a token.
    part = path.with_name(f"{path.name}.{os.getpid()}")
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(generate_new_authentication_token())
    try:
        os.link(part, path)  # Unlike a rename, this keeps a token that has come meanwhile.
    except FileExistsError:
        _tighten(path)
    finally:
        part.unlink()


def _tighten(path: Path) -> None:
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        path.chmod(mode & 0o700)
