"""A backend of one's own, out of asyncio's subprocesses; run as a module, it is the worker."""

import asyncio
import pickle
import struct
import sys
from functools import partial
from pathlib import Path

import anyio

from asyncexec.backends.contract import Capabilities
from asyncexec.errors import SerializationError
from asyncexec.events.outcome import Outcome, Status
from asyncexec.plan.locality import Locality
from asyncexec.worker.attempt import describe
from asyncexec.worker.codec import decode_reports, encode_input, encode_reports
from asyncexec.worker.control import BatchControl
from asyncexec.worker.records import Note
from asyncexec.worker.runner import BatchRunner

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
                    *notes, outcome = await self._one(worker, batch.program, job)
                    context.noted(*notes)
                    context.ended(outcome)
        except BaseException:
            await self._end(worker)
            raise
        self._idle.append(worker)
        return []

    async def close(self) -> None:
        for worker in self._idle:
            await self._end(worker)

    async def _one(self, worker, program, job) -> list[Note | Outcome]:
        try:
            inputs = tuple(map(encode_input, job.inputs))
            sent = pickle.dumps((program.blob, job._replace(inputs=inputs)))
        except SerializationError as error:
            return [Outcome(job.attempt, Status.FAILED, error=describe(error, keep=True))]
        worker.stdin.write(SIZE.pack(len(sent)) + sent)
        await worker.stdin.drain()
        (size,) = SIZE.unpack(await worker.stdout.readexactly(SIZE.size))
        return decode_reports(await worker.stdout.readexactly(size))

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


class Said:
    """Keeps what is reported of one attempt, but for its start, which the driver knows."""

    def __init__(self) -> None:
        self.reports: list[Note | Outcome] = []
        self.noted = self.ended = self.reports.append

    def started(self, attempt) -> None:
        pass


def work() -> None:
    read, write = sys.stdin.buffer, sys.stdout.buffer
    while header := read.read(SIZE.size):
        blob, job = pickle.loads(read.read(*SIZE.unpack(header)))
        said = Said()
        control = BatchControl([job.attempt])
        load = partial(pickle.loads, blob)
        BatchRunner([job], load, control=control, sink=said, worker="subprocess").run()
        answer = encode_reports(said.reports)
        write.write(SIZE.pack(len(answer)) + answer)
        write.flush()


if __name__ == "__main__":
    work()
