"""Functions that find and make artifacts: in tasks in the storage of the run, elsewhere where their caller says."""

from __future__ import annotations

from typing import Any

from asyncexec.artifacts.artifact import ROOT, Artifact, checked_artifact_name
from asyncexec.artifacts.folder import Folder
from asyncexec.artifacts.settings import ArtifactStorage, chosen_storage
from asyncexec.errors import ArtifactNotFoundError
from asyncexec.worker.task_context import current_attempt, get_run_context

DEFAULT_NAMESPACE = "default"


def get_artifact(
    name: str,
    namespace: str = "",
    protocol: str = "",
    base_path: str = "",
    *,
    create: bool = False,
    **params: Any,
) -> Artifact:
    """Return the artifact of that name.

    >>> from asyncexec.artifacts import get_artifact
    >>> artifact = get_artifact("model", base_path="runs", create=True)
    >>> get_artifact("model", base_path="runs").is_empty
    True

    Parameters
    ----------
    name : str
        Letters, digits, ``_`` and ``-``.
    namespace : str, optional
        By default that of the run, or ``"default"``.
    protocol, base_path : str, optional
        The file system, by fsspec's name, and the folder in it; by default those of the run.
    create : bool
        Whether to make it if it is not there.
    **params
        What the file system is opened with, in addition to what the run says.

    Raises
    ------
    ArtifactNotFoundError
        If there is none (a ``FileNotFoundError``).
    OptionError
        If the name cannot be one, or nobody says where artifacts are.
    """
    artifact = artifact_in(chosen_storage(protocol, base_path, params), name, namespace)
    if create:
        ensure_artifact(artifact)
    elif not artifact.exists:
        raise ArtifactNotFoundError(f"there is no artifact {artifact.uri}")
    return artifact


def new_artifact(
    name: str, namespace: str = "", protocol: str = "", base_path: str = "", **params: Any
) -> Artifact:
    """Return a new artifact; arguments as for :func:`get_artifact`.

    >>> from asyncexec.artifacts import new_artifact
    >>> new_artifact("weights", base_path="runs").is_empty
    True

    Raises
    ------
    FileExistsError
        If there is one of that name.
    """
    artifact = artifact_in(chosen_storage(protocol, base_path, params), name, namespace)
    if artifact.exists:
        raise FileExistsError(f"there is an artifact {artifact.uri} already")
    ensure_artifact(artifact)
    return artifact


def list_artifacts(
    namespace: str = "", protocol: str = "", base_path: str = "", **params: Any
) -> list[Artifact]:
    """Return all artifacts of a namespace, by name; arguments as for :func:`get_artifact`.

    >>> from asyncexec.artifacts import list_artifacts, new_artifact
    >>> _ = new_artifact("a", "listed", base_path="runs"), new_artifact("b", "listed", base_path="runs")
    >>> [artifact.name for artifact in list_artifacts("listed", base_path="runs")]
    ['a', 'b']
    """
    storage = chosen_storage(protocol, base_path, params)
    chosen = checked_artifact_name(namespace or namespace_here(), "namespace")
    root = Folder(storage, ROOT)
    return [Artifact(name, chosen, root) for name in root.inside(chosen).names()]


def check_if_artifact_exists(
    name: str, namespace: str = "", protocol: str = "", base_path: str = "", **params: Any
) -> bool:
    """Return whether there is an artifact; arguments as for :func:`get_artifact`.

    >>> from asyncexec.artifacts import check_if_artifact_exists
    >>> check_if_artifact_exists("nothing", base_path="runs")
    False
    """
    return artifact_in(chosen_storage(protocol, base_path, params), name, namespace).exists


def artifact_in(storage: ArtifactStorage, name: str, namespace: str = "") -> Artifact:
    """Return an artifact of a storage, which need not be there."""
    return Artifact(name, namespace or namespace_here(), Folder(storage, ROOT))


def ensure_artifact(artifact: Artifact) -> None:
    """Make an artifact that is not there: its metadata, since object stores have no folders."""
    if not artifact.exists:
        with artifact.transaction():
            artifact.set_meta("created_by", "asyncexec")


def namespace_here() -> str:
    """Return the namespace of the run whose task calls this, or the default."""
    if current_attempt() is None:
        return DEFAULT_NAMESPACE
    return get_run_context().namespace or DEFAULT_NAMESPACE
