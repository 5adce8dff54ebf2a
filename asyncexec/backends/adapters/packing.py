"""Pack batches for workers in other processes, and ship each program no more often than needed."""

from __future__ import annotations

import time
from collections.abc import Sequence
from weakref import WeakKeyDictionary

from asyncexec.backends.contract import AttemptSpec, StageProgram
from asyncexec.errors import SerializationError
from asyncexec.events.outcome import Outcome, Status
from asyncexec.worker.attempt import describe
from asyncexec.worker.codec import encode_input
from asyncexec.worker.programs import digest
from asyncexec.worker.remote_batch import RemoteBatch

SMALL_PROGRAM_BYTES = 32_768


class Packer:
    """Packs batches for workers in other processes; used in one thread.

    A small program is sent with every batch. A large one is sent until a batch with it has come back, and after that
    only to a worker that answers that it does not have it.

    Parameters
    ----------
    memory_bytes : int, optional
        What a worker may hold while it runs a batch.
    """

    def __init__(self, *, memory_bytes: int | None = None) -> None:
        self._memory_bytes = memory_bytes
        self._keys: WeakKeyDictionary[StageProgram, bytes] = WeakKeyDictionary()
        self._delivered: WeakKeyDictionary[StageProgram, int] = WeakKeyDictionary()

    def delivered(self, program: StageProgram, generation: int = 0) -> None:
        """Note that a worker of this generation has the program."""
        self._delivered[program] = generation

    def pack(
        self,
        program: StageProgram,
        jobs: Sequence[AttemptSpec],
        *,
        generation: int = 0,
        send_program: bool = False,
    ) -> tuple[RemoteBatch, list[Outcome]]:
        """Return the batch to submit, and outcomes of the attempts whose inputs cannot be pickled.

        Raises SerializationError if the program cannot be pickled.
        """
        blob = program.blob
        key = self._keys.get(program)
        if key is None:
            key = self._keys[program] = digest(blob)
        known = self._delivered.get(program) == generation and not send_program
        packed: list[AttemptSpec] = []
        failed: list[Outcome] = []
        for job in jobs:
            try:
                packed.append(job._replace(inputs=tuple(map(encode_input, job.inputs))))
            except SerializationError as error:
                info = describe(error, keep=True)
                failed.append(Outcome(job.attempt, Status.FAILED, "", time.time(), error=info))
        sent = None if known and len(blob) > SMALL_PROGRAM_BYTES else blob
        call = RemoteBatch(
            key,
            sent,
            packed,
            concurrency=program.concurrency,
            memory_bytes=self._memory_bytes,
        )
        return call, failed
