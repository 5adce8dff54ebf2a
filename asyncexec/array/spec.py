"""The place and the memory with which arrays are computed."""

from __future__ import annotations

import functools
import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from asyncexec.array.modules.choice import ArrayModule, chosen_module
from asyncexec.array.optimizer.choice import EVERY_RULE, chosen_rules
from asyncexec.array.streamed_reductions import REDUCTION_TASKS
from asyncexec.errors import OptionError
from asyncexec.plan.given_numbers import as_whole_number
from asyncexec.plan.memory import format_bytes, parse_bytes
from asyncexec.storage.chunks.array_traits import compressor_json
from asyncexec.storage.chunks.block_io import MOST_REQUESTS
from asyncexec.storage.places.locations import PlaceLike, locate
from asyncexec.storage.places.options import StorageOptions
from asyncexec.storage.tiers.intermediate_codec import codec_at

type Size = int | float | str
type Compressor = Literal["default"] | Mapping[str, Any] | Any | None


@dataclass(frozen=True, kw_only=True)
class Spec:
    """The place and the memory with which arrays are computed.

    >>> spec = ax.Spec(allowed_mem="500MB", executor="threads", executor_options={"max_workers": 2})
    >>> spec.allowed_bytes
    500000000
    >>> xp.sum(xp.ones(10, spec=spec)).compute()
    array(10.)
    >>> ax.Spec(allowed_mem="50MB")
    Traceback (most recent call last):
        ...
    OptionError: reserved_mem=100.0 MB leaves nothing of allowed_mem=50.0 MB: allow more than is reserved

    Parameters
    ----------
    work_dir : path, URL or Zarr store, optional
        Where intermediate arrays go; by default a temporary directory of this machine.
    allowed_mem : int or str
        What a worker may hold, reserved memory included: a number of bytes, or text such as ``"2GB"``.
    reserved_mem : int or str
        What a worker holds before any data: the interpreter and its libraries.
    executor : str, Backend, class, optional
        What ``Array.compute`` runs on: ``"threads"`` (default), ``"processes"``, … An ``Engine`` brings its own.
    executor_options : mapping, optional
        Passed on to the executor; never shown, as some are secret.
    storage_options : mapping, optional
        What stores of ``work_dir``, sources and targets are opened with (keys, endpoints); never shown.
    zarr_compressor : "default", None, mapping or codec
        How chunks of what is stored are compressed; ``"default"`` is Zarr's own.
    work_compressor : "auto", None, mapping or codec
        How chunks of intermediate arrays are compressed that do not stay in memory; ``"auto"`` decides by ``work_dir``:
        not at all on a disk of this machine, by blosc's lz4 elsewhere.
    memory_dir : path, optional
        The folder in a memory file system where processes of this machine share intermediate chunks; by default
        ``/dev/shm``, where there is one. What finds no room there goes to ``work_dir``.
    requests : int
        How many tasks one process loads and saves at once (128), where arrays are in stores elsewhere; fewer where more
        would not fit in ``allowed_mem``.
    reduction_tasks : int
        How many tasks the first pass of a reduction has at least (64), if there are as many chunks: a plan does not
        know how many workers it will have. Of more chunks, each task takes several one after another, and holds one at
        a time with its partial result. Where partial results have a megabyte or more, and more than half the bytes of
        the chunks, an eighth of that is enough. With another number, floating results may differ in their last bits.
    optimize : bool or names of rules
        The rules of the optimizer that are followed: all (True), none (False), or some of ``"elementwise"``,
        ``"reductions"``, ``"views"``, ``"rechunks"``, ``"subexpressions"``, ``"branches"``, ``"shared-reads"`` and
        ``"shared-results"``.
        ``x.to_plan().explain()`` says what they did. No result depends on them.
    array_module : str
        What tasks compute with: ``"numpy"`` (default), ``"cupy"``, ``"torch"``, ``"jax.numpy"`` or
        ``"array_api_strict"``, on its default device. Chunks are moved there once a task, and results back. Functions
        of elements, views, concatenation, sums and the like, matrix products and functions of users (which get arrays
        of the module) run there; everything else, and elements of types that the module lacks, in NumPy.

    Raises
    ------
    OptionError
        If a value cannot be.
    """

    work_dir: PlaceLike | None = None
    allowed_mem: Size = "2GB"
    reserved_mem: Size = "100MB"
    executor: Any = None
    executor_options: Mapping[str, Any] | None = field(default=None, repr=False)
    storage_options: Mapping[str, Any] | None = None
    zarr_compressor: Compressor = "default"
    work_compressor: Compressor = "auto"
    memory_dir: str | os.PathLike[str] | None = None
    requests: int = MOST_REQUESTS
    reduction_tasks: int = REDUCTION_TASKS
    optimize: bool | str | Collection[str] = True
    array_module: str = "numpy"
    module: ArrayModule | None = field(init=False, repr=False, compare=False)
    rules: frozenset[str] = field(init=False, repr=False, compare=False)
    allowed_bytes: int = field(init=False, repr=False)
    reserved_bytes: int = field(init=False, repr=False)

    def __post_init__(self) -> None:
        work_dir = self.work_dir
        if isinstance(work_dir, str | os.PathLike):
            work_dir = os.fspath(work_dir)
        elif work_dir is not None:
            # Stores compare by what they hold, and locations by their place.
            work_dir = locate(work_dir, self.storage_options)
        allowed = parse_bytes(self.allowed_mem, what="allowed_mem")
        reserved = parse_bytes(self.reserved_mem, what="reserved_mem")
        if reserved >= allowed:
            raise OptionError(
                f"reserved_mem={format_bytes(reserved)} leaves nothing of allowed_mem={format_bytes(allowed)}: "
                f"allow more than is reserved"
            )
        for name in ("executor_options", "storage_options"):
            if not isinstance(getattr(self, name), Mapping | None):
                kind = type(getattr(self, name)).__name__
                raise OptionError(f"{name} must map names to values, not be a {kind}")
        for name in ("requests", "reduction_tasks"):
            count = as_whole_number(getattr(self, name))
            if count is None or count < 1:
                raise OptionError(
                    f"{name}={getattr(self, name)!r} must be a whole number from 1 on"
                )
            object.__setattr__(self, name, count)
        rules = chosen_rules(self.optimize)
        object.__setattr__(self, "module", chosen_module(self.array_module))
        object.__setattr__(self, "rules", rules)
        object.__setattr__(self, "optimize", rules == EVERY_RULE or (bool(rules) and rules))
        object.__setattr__(self, "work_dir", work_dir)
        object.__setattr__(self, "executor_options", dict(self.executor_options or {}))
        object.__setattr__(self, "storage_options", StorageOptions(self.storage_options))
        object.__setattr__(self, "allowed_bytes", allowed)
        object.__setattr__(self, "reserved_bytes", reserved)
        compressor_json(self.compressor)
        if self.work_compressor not in ("auto", None):
            compressor_json(self.work_compressor)
        if self.memory_dir is not None:
            object.__setattr__(self, "memory_dir", as_folder(self.memory_dir))

    @property
    def compressor(self) -> Any:
        """The compressor as storage names it."""
        return "auto" if self.zarr_compressor == "default" else self.zarr_compressor

    @property
    def encodes_intermediates(self) -> bool:
        """True if chunks of intermediate arrays that do not stay in memory are compressed."""
        if self.work_compressor != "auto":
            return self.work_compressor is not None
        if self.work_dir is None:
            return False  # A temporary directory of this machine.
        return codec_at(locate(self.work_dir, self.storage_options), 1) is not None

    @property
    def work_is_near(self) -> bool:
        """True if ``work_dir`` is on this machine, or there is none, so that tasks read from there without waiting."""
        work_dir = self.work_dir
        return work_dir is None or locate(work_dir, self.storage_options).local_path is not None

    @property
    def free_bytes(self) -> int:
        """Bytes of data that a task may hold."""
        return self.allowed_bytes - self.reserved_bytes

    __hash__ = None  # type: ignore[assignment]  # options are mappings


def free_bytes_of(spec: Spec | None) -> int:
    """Return how many bytes of data a task may hold, of an array without a spec by default."""
    return _default_free_bytes() if spec is None else spec.free_bytes


@functools.cache
def _default_free_bytes() -> int:
    return Spec().free_bytes


def as_folder(memory_dir: object) -> str:
    """Return ``memory_dir`` as the absolute path of a folder that is there.

    Raises
    ------
    OptionError
        If it is none.
    """
    if not isinstance(memory_dir, str | os.PathLike) or not os.path.isdir(memory_dir):  # noqa: PTH112 - it may be no path
        raise OptionError(
            f"memory_dir={memory_dir!r} must be a folder of this machine, in a memory file system: make it first"
        )
    return os.path.abspath(os.fsdecode(memory_dir))  # noqa: PTH100 - as text
