"""The report on stored arrays: how many chunks there are, and which are missing, damaged or unfinished."""

from __future__ import annotations

from dataclasses import dataclass

NAMES_KEPT = 10
"""The number of names that are kept of each kind; all are counted."""


@dataclass(frozen=True, slots=True)
class ChunksFound:
    """Chunks or files of one kind: how many there are, and the first of them.

    Attributes
    ----------
    count : int
    names : tuple of str
        Of the first ones, at most ten: names relative to the array. With damaged ones, what is wrong comes behind.
    """

    count: int = 0
    names: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return self.count > 0

    def with_one(self, name: str) -> ChunksFound:
        """Return these and one more."""
        kept = (*self.names, name) if len(self.names) < NAMES_KEPT else self.names
        return ChunksFound(self.count + 1, kept)


@dataclass(frozen=True, slots=True, kw_only=True)
class ArrayReport:
    """The state of one array.

    Attributes
    ----------
    name : str
        Its path in the place that was verified; ``""`` for the place itself.
    chunks : int
        How many chunks its shape makes (or shards, where chunks are stored in shards).
    stored : int
        How many of these are stored.
    nbytes : int
        Their size as they are stored; 0 where the store does not say it.
    fill : int
        Chunks that are not stored and read as the fill value, which is no error in an array that may have such.
    missing : ChunksFound
        Chunks that are not stored although the run that made the array stores every chunk.
    damaged : ChunksFound
        Chunks that cannot be decoded, or whose checksum is wrong.
    partial : ChunksFound
        Files that a writer has begun and not finished: it was killed, or is writing now.
    stray : ChunksFound
        Other files and objects: of another grid or another naming of chunks, or of something else.
    staged : ChunksFound
        Files of an array that is to replace this one and lies among its chunks: ``overwrite=True`` is under way, or was
        ended in that. They do no harm.
    run, plan : str
        Of an array that is not complete: the run that made it, and its plan, if that can be resumed.
    unfinished : bool
        Whether the array says of itself that it is not complete.
    problem : str
        Why it could not be checked; else empty.
    """

    name: str
    chunks: int = 0
    stored: int = 0
    nbytes: int = 0
    fill: int = 0
    missing: ChunksFound = ChunksFound()
    damaged: ChunksFound = ChunksFound()
    partial: ChunksFound = ChunksFound()
    stray: ChunksFound = ChunksFound()
    staged: ChunksFound = ChunksFound()
    run: str = ""
    plan: str = ""
    unfinished: bool = False
    problem: str = ""

    @property
    def ok(self) -> bool:
        """True if the array is complete and can be read; other files in it do no harm."""
        return not (self.problem or self.unfinished or self.missing or self.damaged or self.partial)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """The state of all arrays at a place.

    Attributes
    ----------
    place : str
    arrays : tuple of ArrayReport
        By name.
    stray : ChunksFound
        Files and objects that are in no array, and are no metadata of a group.
    seconds : float
        How long it took.
    """

    place: str
    arrays: tuple[ArrayReport, ...]
    stray: ChunksFound = ChunksFound()
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """True if every array is complete and can be read."""
        return all(array.ok for array in self.arrays)
