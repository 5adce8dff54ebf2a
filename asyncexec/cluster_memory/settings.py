"""The settings of an engine's cluster memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from asyncexec.config.checks import Memory, bytes_of
from asyncexec.config.fields import check_fields, read_fields
from asyncexec.storage.places.options import StorageOptions

_PREFIX = "cluster_memory: "


@dataclass(frozen=True, slots=True, kw_only=True)
class MemorySettings:
    """Settings of the cluster memory, as ``Engine(cluster_memory=...)`` takes them (or a mapping of them).

    >>> from asyncexec.cluster_memory import MemorySettings
    >>> MemorySettings(quota="1GB", lifetime="engine").quota_bytes
    1000000000
    >>> ax.Engine(cluster_memory={"qouta": "1GB"})
    Traceback (most recent call last):
        ...
    OptionError: there is no 'qouta' in cluster_memory: did you mean 'quota'? it has ...
    """

    quota: Memory | None = None
    """The memory that values may take together (``"1GB"``): the oldest beyond go to disk. Default: as much as fits in
    memory, where a quarter of the memory file system is left to others."""

    lifetime: Literal["run", "engine"] = "run"
    """``"run"``: each run has a memory of its own, which ends with it. ``"engine"``: all runs share one."""

    work_dir: str | None = None
    """A directory or bucket for executors whose workers are on other machines; default: the ``work_dir`` of the run."""

    storage_options: Mapping[str, Any] | None = field(default=None, repr=False)
    """What the store of ``work_dir`` is opened with (keys, endpoints); never shown."""

    def __post_init__(self) -> None:
        check_fields(self, _PREFIX)
        object.__setattr__(self, "storage_options", StorageOptions(self.storage_options))

    @classmethod
    def of(cls, given: MemorySettings | Mapping[str, Any] | None) -> MemorySettings:
        """Return settings as they are, or those that a mapping has.

        Raises
        ------
        OptionError
            If a name is unknown, or a value is not allowed.
        """
        if isinstance(given, MemorySettings):
            return given
        return read_fields(
            cls, {} if given is None else given, prefix=_PREFIX, section="cluster_memory"
        )

    @property
    def quota_bytes(self) -> int | None:
        """The quota in bytes."""
        return bytes_of(self.quota)
