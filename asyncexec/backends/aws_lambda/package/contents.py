"""Lays out in a folder what an archive will hold: this package as it runs here, and what it depends on."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distributions, requires
from pathlib import Path

from asyncexec.errors import ConfigurationError, MissingExtraError

PACKAGE = "asyncexec"
_HERE = Path(__file__).resolve().parents[3]
# What AWS's Amazon Linux 2023 and Google's containers can load, the newest first.
_GLIBC = ("manylinux_2_34", "manylinux_2_28", "manylinux_2_17", "manylinux2014")
_TAIL_LINES = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """The Python and the machine that the archive will run on."""

    python: str
    """``"3.12"``, say."""
    machine: str
    """``"x86_64"`` or ``"aarch64"``."""


def lay_out(
    folder: Path,
    platform: Platform,
    *,
    extras: Collection[str] = (),
    packages: Sequence[str] = (),
    pinned: bool = True,
) -> None:
    """Put this package and its dependencies into ``folder``.

    Parameters
    ----------
    folder : Path
        Empty.
    platform : Platform
    extras : collection of str
        Extras of this package to include.
    packages : sequence of str
        Requirements to include besides, as pip takes them.
    pinned : bool
        Whether what is installed here too comes in the same version, so that what is pickled here is understood there.

    Raises
    ------
    ConfigurationError
        If something cannot be had for the target.
    """
    requirements = [*requirements_of(extras), *packages]
    constraints = folder.with_name(f"{folder.name}-constraints.txt")
    constraints.write_text("\n".join(_installed() if pinned else ()) + "\n", encoding="utf-8")
    _install(folder, platform, requirements, constraints)
    ignored = shutil.ignore_patterns("__pycache__", "*.pyc")
    shutil.copytree(_HERE, folder / PACKAGE, ignore=ignored, dirs_exist_ok=True)


def requirements_of(extras: Collection[str]) -> list[str]:
    """Return what this package needs, and what its extras need besides.

    Raises ConfigurationError if there is no such extra.
    """
    found = _split(requires(PACKAGE) or ())
    core = found.pop("", [])
    wanted, seen = list(extras), set[str]()
    while wanted:
        extra = wanted.pop()
        if extra in seen:
            continue
        seen.add(extra)
        if extra not in found:
            raise ConfigurationError(
                f"asyncexec has no extra {extra!r}. It has {', '.join(sorted(found))}"
            )
        for requirement in found[extra]:
            own = re.match(rf"{PACKAGE}\[([^\]]+)\]", requirement)
            if own is None:
                core.append(requirement)
            else:
                wanted += [name.strip() for name in own[1].split(",")]
    return sorted(set(core))


def _split(lines: Iterable[str]) -> dict[str, list[str]]:
    """Return requirements by the extra that they belong to; ``""`` for those of all."""
    found: dict[str, list[str]] = {}
    for line in lines:
        requirement, _, marker = line.partition(";")
        extra = re.search(r"extra\s*==\s*['\"]([^'\"]+)['\"]", marker)
        found.setdefault(extra[1] if extra else "", []).append(requirement.strip())
    return found


def _installed() -> list[str]:
    """Return a constraint for every package that is installed here from an index."""
    pins = {
        re.sub(r"[-_.]+", "-", d.name).lower(): d.version
        for d in distributions()
        if d.name and d.read_text("direct_url.json") is None
    }
    pins.pop(PACKAGE, None)
    return [f"{name}=={version}" for name, version in sorted(pins.items())]


def _install(
    folder: Path, platform: Platform, requirements: Sequence[str], constraints: Path
) -> None:
    command = _installer(folder, platform)
    command += ["--constraint", str(constraints), *requirements]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - pip or uv, with what the user typed as requirements
    if done.returncode:
        said = "\n".join((done.stderr or done.stdout).strip().splitlines()[-_TAIL_LINES:])
        raise ConfigurationError(
            f"the packages cannot be had for Python {platform.python} on {platform.machine}:\n{said}\n"
            f"Choose versions that have wheels for it; --latest ignores the versions installed here"
        )


def _installer(folder: Path, platform: Platform) -> list[str]:
    """Return the command that installs into ``folder``, all but what."""
    wheels_only = [
        "--target",
        str(folder),
        "--python-version",
        platform.python,
        "--only-binary=:all:",
    ]
    if importlib.util.find_spec("pip") is not None:
        platforms = [
            text for libc in _GLIBC for text in ("--platform", f"{libc}_{platform.machine}")
        ]
        pip = [
            sys.executable,
            "-m",
            "pip",
            "--disable-pip-version-check",
            "install",
            "--no-compile",
        ]
        return [*pip, *wheels_only, "--implementation", "cp", *platforms]
    uv = shutil.which("uv")
    if uv is None:
        raise MissingExtraError(
            "packing needs pip, which is not installed here: python -m ensurepip"
        )
    return [
        uv,
        "pip",
        "install",
        *wheels_only,
        "--python-platform",
        f"{platform.machine}-{_GLIBC[0]}",
    ]


def is_installed() -> bool:
    """Return True if this package is installed, so that its dependencies are known."""
    try:
        return requires(PACKAGE) is not None
    except PackageNotFoundError:
        return False
