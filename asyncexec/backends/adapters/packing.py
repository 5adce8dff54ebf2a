"""How a batch is packed for a worker in another process, and its program shipped no more often than needed."""

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
    """Packs calls for workers in other processes; used in one thread.

    A small program travels with every call. A large one travels until a call with it has come back, and then again to
    each worker that says it does not have it.
    """

    def __init__(self) -> None:
        self._keys: WeakKeyDictionary[StageProgram, bytes] = WeakKeyDictionary()
        self._delivered: WeakKeyDictionary[StageProgram, int] = WeakKeyDictionary()

    def delivered(self, program: StageProgram, generation: int = 0) -> None:
        """Note that some worker of this generation of workers has the program."""
        self._delivered[program] = generation

    def pack(
        self,
        program: StageProgram,
        jobs: Sequence[AttemptSpec],
        *,
        generation: int = 0,
        send_program: bool = False,
    ) -> tuple[RemoteBatch, list[Outcome]]:
        """Return what to submit, and the outcomes of attempts whose inputs cannot travel.

        Raises
        ------
        SerializationError
            If the program cannot travel.
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
                told = describe(error, keep=True)
                failed.append(Outcome(job.attempt, Status.FAILED, "", time.time(), error=told))
        sent = None if known and len(blob) > SMALL_PROGRAM_BYTES else blob
        return RemoteBatch(key, sent, packed), failed
