"""The ``slurm`` executor.

``options`` makes the arguments of a job, ``commands`` calls SLURM's programs, ``channel`` passes messages between a job
and its driver (by files), ``worker_side`` runs in the job, ``client`` does everything that blocks on the driver's side,
``idle_jobs`` keeps the jobs without work, and ``system`` is the side of the event loop.
"""

from typing import TYPE_CHECKING

from asyncexec.lazy import names_of

if TYPE_CHECKING:
    from asyncexec.backends.slurm.backend import SlurmBackend as SlurmBackend
else:
    __getattr__, __dir__ = names_of(__name__, {"SlurmBackend": "backend"})
