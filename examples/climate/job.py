"""The demo's job from beginning to end: netCDF, Zarr, one plan, pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import anyio
import numpy as np
import zarr
from anyio import to_thread

import asyncexec.array as xp
from asyncexec.engine import Engine, Result

from .analysis import BASELINE_YEARS, MEANINGS, climate_analysis
from .extras import require_extras
from .fields import (
    SCENARIOS,
    Field,
    field_chunks,
    read_field,
    repeated_field,
    scaled_shape,
)
from .pictures import draw_trend_map, draw_warming
from .places import Places

if TYPE_CHECKING:
    from asyncexec.events.observer import Observer
    from asyncexec.plan.plan import Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request to the demo.

    Attributes
    ----------
    executor : str
    executor_options : mapping of str to object
    allowed_mem : int or str
        What one task may hold, with its process.
    work_dir : Path
        Where input, results and pictures go.
    scale : int
        How many times the grid is repeated.
    """

    executor: str = "processes"
    executor_options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    allowed_mem: int | str = "500MB"
    work_dir: Path = Path("asyncexec-demo")
    scale: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One array to be stored.

    Attributes
    ----------
    array : Array
    path : Path
    meaning, unit : str
        Of what it holds.
    """

    array: xp.Array
    path: Path
    meaning: str
    unit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Results of the demo.

    Attributes
    ----------
    places : Places
    shape : tuple of int
        Of each scenario's field.
    years : sequence of int
    written : Result
        The run that wrote the fields to Zarr.
    analysed : Result
        The run of the plan.
    allowed_bytes : int
        What one task was allowed to hold.
    warming : mapping of str to float
        In the last 30 years, in K above the first 30, by scenario.
    targets : sequence of Target
    pictures : sequence of (Path, str)
        Each with what it shows.
    """

    places: Places
    shape: tuple[int, ...]
    years: Sequence[int]
    written: Result
    analysed: Result
    allowed_bytes: int
    warming: Mapping[str, float]
    targets: Sequence[Target]
    pictures: Sequence[tuple[Path, str]]


async def run_job(request: Request, observers: Sequence[Observer] = ()) -> Report:
    """Do the whole job.

    Parameters
    ----------
    request : Request
    observers : sequence of Observer
        Receive the events of both runs.

    Raises
    ------
    AsyncexecError
        If something asked for cannot be, or a run fails.
    """
    require_extras()
    engine = Engine(
        request.executor, executor_options=request.executor_options, observers=observers
    )
    fields = await to_thread.run_sync(read_fields)
    await to_thread.run_sync(check_fits, request, fields)
    places = Places(request.work_dir)
    await to_thread.run_sync(places.make)
    try:
        written, analysed, targets = await compute(engine, request, places, fields)
    finally:
        with anyio.CancelScope(shield=True):
            await to_thread.run_sync(places.remove_temporary)
    warming = await to_thread.run_sync(draw, places, fields)
    return Report(
        places=places,
        shape=scaled_shape(fields[0], request.scale),
        years=fields[0].years.tolist(),
        written=written,
        analysed=analysed,
        allowed_bytes=spec_of(request, places).allowed_bytes,
        warming=warming,
        targets=targets,
        pictures=(
            (places.warming_picture, "mean warming over time"),
            (places.trend_picture, "map of the trends' difference"),
        ),
    )


def read_fields() -> list[Field]:
    """Read all scenarios from netCDF."""
    return [read_field(scenario) for scenario in SCENARIOS]


def check_fits(request: Request, fields: Sequence[Field]) -> None:
    """Make the plans once on empty arrays elsewhere, so that what cannot run fails before anything is replaced.

    Raises
    ------
    PlanError
        If a task needs more memory than it is allowed.
    ConfigurationError
        If an option cannot be.
    """
    with TemporaryDirectory(prefix="asyncexec-demo-") as directory:
        places = Places(Path(directory))
        plan_of(writing_targets(request, places, fields), "write fields")
        for each in fields:
            zarr.create_array(
                places.field(each.scenario),
                shape=scaled_shape(each, request.scale),
                chunks=field_chunks(each, request.scale),
                dtype=each.temperature.dtype,
            )
        plan_of(analysis_targets(request, places, fields), "analysis")


async def compute(
    engine: Engine, request: Request, places: Places, fields: Sequence[Field]
) -> tuple[Result, Result, list[Target]]:
    """Write the fields to Zarr, then run the one plan on them."""
    async with engine:
        targets = writing_targets(request, places, fields)
        written = await engine.execute(plan_of(targets, "write fields"))
        await to_thread.run_sync(describe, targets)
        targets = await to_thread.run_sync(analysis_targets, request, places, fields)
        analysed = await engine.execute(plan_of(targets, "analysis"))
        await to_thread.run_sync(describe, targets)
    return written, analysed, targets


def writing_targets(request: Request, places: Places, fields: Sequence[Field]) -> list[Target]:
    """Say which fields are to be written, and where; nothing runs."""
    spec = spec_of(request, places)
    return [
        Target(
            array=repeated_field(f, scale=request.scale, spec=spec),
            path=places.field(f.scenario),
            meaning="annual mean of air temperature",
            unit="K",
        )
        for f in fields
    ]


def analysis_targets(request: Request, places: Places, fields: Sequence[Field]) -> list[Target]:
    """Say what is to be computed from the fields in ``places``, and where it goes; nothing runs."""
    spec = spec_of(request, places)
    temperature = {f.scenario: xp.from_zarr(places.field(f.scenario), spec=spec) for f in fields}
    results = climate_analysis(temperature, latitude=fields[0].latitude, spec=spec)
    targets: list[Target] = []
    for name, array in results.items():
        subject, result = name.split("-", 1)
        meaning, unit = MEANINGS[result]
        if subject == "difference":
            meaning = f"{meaning}, {' - '.join(temperature)}"
        targets.append(Target(array=array, path=places.result(name), meaning=meaning, unit=unit))
    return targets


def spec_of(request: Request, places: Places) -> xp.Spec:
    """Say where intermediate arrays go, and what one task may hold."""
    return xp.Spec(work_dir=places.temporary, allowed_mem=request.allowed_mem)


def plan_of(targets: Sequence[Target], name: str) -> Plan:
    """Return the one plan that stores all targets, in place of what an earlier run stored."""
    storing = xp.store([t.array for t in targets], [t.path for t in targets], overwrite=True)
    return replace(storing.to_plan(), name=name)


def describe(targets: Sequence[Target]) -> None:
    """Write into the arrays' attributes what they hold, for whoever opens them."""
    for target in targets:
        zarr.open_array(target.path, mode="r+").attrs.update(
            {"long_name": target.meaning, "units": target.unit}
        )


def draw(places: Places, fields: Sequence[Field]) -> dict[str, float]:
    """Draw the pictures from what is stored, and return the warming in the last years, by scenario.

    Of a grid that was repeated, the map shows the first copy; the others are the same.
    """
    first = fields[0]
    difference = stored(places.result("difference-trend"))
    draw_trend_map(
        places.trend_picture,
        np.asarray(difference[:, : len(first.longitude)]),
        latitude=first.latitude,
        longitude=first.longitude,
        years=first.years,
    )
    warming = {
        f.scenario: np.asarray(stored(places.result(f"{f.scenario}-warming"))[:]) for f in fields
    }
    draw_warming(places.warming_picture, warming, years=first.years, baseline=BASELINE_YEARS)
    return {name: float(series[-BASELINE_YEARS:].mean()) for name, series in warming.items()}


def stored(path: Path) -> zarr.Array[Any]:
    """Open a stored array to read from it."""
    return zarr.open_array(path, mode="r")
