"""The real scheduler on a virtual clock, against modelled workers.

>>> import asyncexec as ax
>>> from asyncexec.simulation import Cluster, Noise, simulate
>>> plan = ax.Plan.map(abs, range(1000))
>>> run = simulate(plan, Cluster(workers=100), durations=10.0, noise=Noise(slow_share=0.02), seed=1)
>>> run.makespan_seconds < 150
True
"""

from asyncexec.simulation.cluster import Cluster
from asyncexec.simulation.durations import (
    ByTask,
    Constant,
    Durations,
    Empirical,
    Lognormal,
    Mixture,
    Pareto,
)
from asyncexec.simulation.figures import Bar, Simulated
from asyncexec.simulation.noise import Noise, NoiseFunction, SimulatedAttempt
from asyncexec.simulation.simulate import simulate

__all__ = [
    "Bar",
    "ByTask",
    "Cluster",
    "Constant",
    "Durations",
    "Empirical",
    "Lognormal",
    "Mixture",
    "Noise",
    "NoiseFunction",
    "Pareto",
    "Simulated",
    "SimulatedAttempt",
    "simulate",
]
