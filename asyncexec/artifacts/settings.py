"""The place of artifacts, and of values that go there from the object store."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, cast, get_args

from asyncexec.config.checks import one_of
from asyncexec.config.fields import check_fields, read_fields
from asyncexec.errors import OptionError
from asyncexec.storage.places.options import StorageOptions
from asyncexec.worker.task_context import current_attempt, get_run_context

ENTRY = "object_store"
"""The name of these settings among the ``extras`` of a run's context."""
_PREFIX = "object_store: "

type Strategy = Literal["fallback", "artifact", "cluster_memory"]
"""The place of a value in the object store: cluster memory, or an artifact where that fails; or one of them alone."""


def checked_strategy(given: str) -> Strategy:
    """Return a strategy by its name.

    Raises
    ------
    OptionError
        If there is none of that name.
    """
    return cast("Strategy", one_of(given, "strategy", choices=get_args(Strategy.__value__)))


@dataclass(frozen=True, slots=True, kw_only=True)
class ArtifactStorage:
    """The file system and folder of artifacts, as ``Engine(object_store=...)`` takes it (or a mapping of it).

    >>> from asyncexec.artifacts import ArtifactStorage
    >>> ArtifactStorage(protocol="s3", base_path="bucket/runs", parameters={"secret": "hunter2"})
    ArtifactStorage(protocol='s3', base_path='bucket/runs', strategy='fallback')
    """

    protocol: str = "file"
    """The file system, by fsspec's name (``"file"``, ``"s3"``, ``"gcs"``, ``"memory"``)."""

    base_path: str | None = None
    """The folder, bucket or prefix in which artifacts are: in ``artifacts/NAMESPACE/NAME/``."""

    parameters: Mapping[str, Any] | None = field(default=None, repr=False)
    """What the file system is opened with (keys, endpoints); never shown."""

    strategy: Strategy = "fallback"
    """The place of values in the object store whose call does not say: ``"fallback"`` (cluster memory, and an artifact
    where that fails), ``"artifact"`` or ``"cluster_memory"``."""

    def __post_init__(self) -> None:
        check_fields(self, _PREFIX)
        if self.protocol in {"file", "local"} and self.base_path:
            # Workers may have another current directory.
            base = os.path.abspath(os.path.expanduser(self.base_path))  # noqa: PTH100, PTH111 - as text
            object.__setattr__(self, "base_path", base)
        object.__setattr__(self, "parameters", StorageOptions(self.parameters))

    @classmethod
    def of(cls, given: ArtifactStorage | Mapping[str, Any]) -> ArtifactStorage:
        """Return settings as they are, or those that a mapping has.

        Raises
        ------
        OptionError
            If a name is unknown, or a value is not allowed.
        """
        if isinstance(given, ArtifactStorage):
            return given
        return read_fields(cls, given, prefix=_PREFIX, section="object_store")


def storage_here() -> ArtifactStorage | None:
    """Return the storage of the run whose task calls this; None where there is none."""
    if current_attempt() is None:
        return None
    found: ArtifactStorage | None = get_run_context().extras.get(ENTRY)
    return found


def chosen_storage(
    protocol: str = "", base_path: str = "", parameters: Mapping[str, Any] | None = None
) -> ArtifactStorage:
    """Return the storage that is said, or that of the run whose task calls this, as far as nothing is said.

    Raises
    ------
    OptionError
        If neither says where.
    """
    here = storage_here()
    if here is None or (protocol and protocol != here.protocol):
        # What opens one file system does not open another.
        found = ArtifactStorage(
            protocol=protocol or "file", base_path=base_path or None, parameters=parameters
        )
    else:
        found = ArtifactStorage(
            protocol=here.protocol,
            base_path=base_path or here.base_path,
            parameters={**(here.parameters or {}), **(parameters or {})},
            strategy=here.strategy,
        )
    if not found.base_path and found.protocol != "memory":
        raise OptionError(
            "there is no place for artifacts: give base_path='…' (and protocol='…'), or "
            "Engine(object_store={'base_path': '…'})"
        )
    return found
