"""A backend of one's own, out of asyncio's subprocesses; run as a module, it is the worker."""

import asyncio
import pickle
import struct
import sys
from pathlib import Path

import anyio

from asyncexec.backends.contract import AttemptSpec, Capabilities
from asyncexec.errors import SerializationError
from asyncexec.events.outcome import Outcome, Status
from asyncexec.plan.locality import Locality
from asyncexec.worker.attempt import describe, run_attempt
from asyncexec.worker.codec import decode_outcomes, encode_input, encode_outcomes

SIZE = struct.Struct("<I")


class SubprocessPool:
    capabilities = Capabilities(
        name="subprocesses", kills=True, isolated=True, locality=Locality.SAME_HOST, batch_limit=4
    )

    def __init__(self, slots: int = 2) -> None:
        self.slots = slots
        self._idle: list[asyncio.subprocess.Process] = []

    async def open(self) -> None:
        pass

    async def call(self, batch, context):
        worker = self._idle.pop() if self._idle else await self._start()
        try:
            for job in batch.jobs:
                if context.started(job.attempt, f"subprocess-{worker.pid}"):
                    context.ended(await self._one(worker, batch.program, job))
        except BaseException:
            await self._end(worker)
            raise
        self._idle.append(worker)
        return []

    async def close(self) -> None:
        for worker in self._idle:
            await self._end(worker)

    async def _one(self, worker, program, job) -> Outcome:
        try:
            inputs = tuple(map(encode_input, job.inputs))
            sent = pickle.dumps((program.blob, AttemptSpec(job.attempt, job.task, inputs)))
        except SerializationError as error:
            return Outcome(job.attempt, Status.FAILED, error=describe(error, keep=True))
        worker.stdin.write(SIZE.pack(len(sent)) + sent)
        await worker.stdin.drain()
        (size,) = SIZE.unpack(await worker.stdout.readexactly(SIZE.size))
        return decode_outcomes(await worker.stdout.readexactly(size))[0]

    async def _start(self):
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.backends.subprocess_pool"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            cwd=Path(__file__).parents[2],
        )

    async def _end(self, worker) -> None:
        if worker.returncode is None:
            worker.kill()
        with anyio.CancelScope(shield=True):
            await worker.communicate()


def work() -> None:
    read, write = sys.stdin.buffer, sys.stdout.buffer
    while header := read.read(SIZE.size):
        blob, job = pickle.loads(read.read(*SIZE.unpack(header)))
        answer = encode_outcomes([run_attempt(job, *pickle.loads(blob)[:3], worker="subprocess")])
        write.write(SIZE.pack(len(answer)) + answer)
        write.flush()


if __name__ == "__main__":
    work()
