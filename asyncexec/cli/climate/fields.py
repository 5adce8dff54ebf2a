"""The demo's input: two climate-model fields, read from netCDF and written to Zarr.

The package iris-sample-data holds annual means of near-surface air temperature over North America, 1860 to 2099, from
a Met Office model under two emission scenarios: A1B (medium) and E1 (strong mitigation). History is the same in
both; they part in 2000.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import util
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr

from asyncexec.errors import CorruptArrayError, MissingExtraError, OptionError
from asyncexec.plan.plan import Plan

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

SCENARIOS = ("A1B", "E1")
VARIABLE = "air_temperature"
HOURS_PER_YEAR = 360 * 24  # The model's calendar has twelve months of 30 days.
# Copies of the grid in one chunk, at most: a map of one year is then 0.9 MB.
COPIES_PER_CHUNK = 128


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Field:
    """Annual mean air temperature of one scenario.

    Attributes
    ----------
    scenario : str
    temperature : float32 array of shape (years, latitudes, longitudes)
        In K.
    years : int64 array
    latitude, longitude : float64 arrays
        Centres of the cells in degrees north and east.
    """

    scenario: str
    temperature: NDArray[np.float32]
    years: NDArray[np.int64]
    latitude: NDArray[np.float64]
    longitude: NDArray[np.float64]


def read_field(scenario: str) -> Field:
    """Read one scenario from the netCDF file that iris-sample-data ships.

    Raises
    ------
    MissingExtraError
        If netCDF4 or iris-sample-data is not installed.
    CorruptArrayError
        If the file is not there or does not hold what it should.
    """
    try:
        import netCDF4  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise _missing("netCDF4") from error
    path = sample_directory() / f"{scenario}_north_america.nc"
    try:
        with netCDF4.Dataset(path) as dataset:
            return Field(
                scenario=scenario,
                temperature=_filled(dataset[VARIABLE]).astype(np.float32, copy=False),
                years=_years(dataset["time"]),
                latitude=_filled(dataset["latitude"]).astype(np.float64),
                longitude=_filled(dataset["longitude"]).astype(np.float64),
            )
    except (OSError, IndexError) as error:
        raise CorruptArrayError(
            f"{path} cannot be read as a climate field: {error}; install iris-sample-data again"
        ) from error


def sample_directory() -> Path:
    """Return where iris-sample-data keeps its files.

    Raises
    ------
    MissingExtraError
        If it is not installed.
    """
    spec = util.find_spec("iris_sample_data")
    if spec is None or not spec.submodule_search_locations:
        raise _missing("iris-sample-data")
    return Path(spec.submodule_search_locations[0], "sample_data")


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """What one task writes: some years of some columns, of one scenario."""

    scenario: str
    years: slice
    columns: slice


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteBlock:
    """Writes a block of a field whose grid is repeated eastwards; sent to workers with the field, once.

    Attributes
    ----------
    temperature : mapping of str to array
        The fields as they were read, by scenario.
    targets : mapping of str to str
        The Zarr arrays, by scenario.
    """

    temperature: dict[str, NDArray[np.float32]]
    targets: dict[str, str]

    def __call__(self, block: Block) -> int:
        """Write ``block``, and return how many bytes that was (not encoded)."""
        field = self.temperature[block.scenario]
        columns = np.arange(block.columns.start, block.columns.stop) % field.shape[2]
        data = field[block.years][:, :, columns]
        zarr.open_array(self.targets[block.scenario], mode="r+")[block.years, :, block.columns] = (
            data
        )
        return data.nbytes


def writing_plan(fields: Sequence[Field], directory: Path, *, scale: int = 1) -> Plan:
    """Make the Zarr arrays, one map a year in a chunk, and return the plan that fills them, a chunk a task.

    Parameters
    ----------
    fields : sequence of Field
    directory : Path
        Where the arrays are made, each as ``{scenario}.zarr``; arrays of those names are replaced.
    scale : int
        How many times the grid is repeated, side by side eastwards.

    Raises
    ------
    OptionError
        If ``scale`` is less than 1.
    """
    if scale < 1:
        raise OptionError(
            f"scale={scale} is not a number of copies of the grid: it must be 1 or more"
        )
    targets = {f.scenario: target(directory, f.scenario) for f in fields}
    blocks: list[Block] = []
    for field in fields:
        array = _create(field, targets[field.scenario], scale)
        blocks += _blocks(field.scenario, array.shape, array.chunks)
    write = WriteBlock(
        temperature={f.scenario: f.temperature for f in fields},
        targets={scenario: str(path) for scenario, path in targets.items()},
    )
    memory = 3 * max(_chunk_bytes(f, scale) for f in fields)
    return Plan.map(write, blocks, name="write fields", memory=memory)


def scaled_shape(field: Field, scale: int) -> tuple[int, int, int]:
    """Return the shape of ``field`` with its grid repeated eastwards."""
    years, rows, columns = field.temperature.shape
    return years, rows, columns * scale


def target(directory: Path, scenario: str) -> Path:
    """Return where the field of ``scenario`` is stored in ``directory``."""
    return directory / f"{scenario}.zarr"


def _create(field: Field, path: Path, scale: int) -> zarr.Array[Any]:
    _, rows, columns = field.temperature.shape
    return zarr.create_array(
        path,
        shape=scaled_shape(field, scale),
        chunks=(1, rows, columns * min(scale, COPIES_PER_CHUNK)),
        dtype=field.temperature.dtype,
        dimension_names=("year", "latitude", "longitude"),
        attributes={
            "scenario": field.scenario,
            "standard_name": VARIABLE,
            "units": "K",
            "first_year": int(field.years[0]),
        },
        overwrite=True,
    )


def _blocks(scenario: str, shape: tuple[int, ...], chunks: tuple[int, ...]) -> list[Block]:
    return [
        Block(
            scenario=scenario,
            years=slice(year, year + chunks[0]),
            columns=slice(column, min(column + chunks[2], shape[2])),
        )
        for year in range(0, shape[0], chunks[0])
        for column in range(0, shape[2], chunks[2])
    ]


def _chunk_bytes(field: Field, scale: int) -> int:
    return int(field.temperature[0].nbytes) * min(scale, COPIES_PER_CHUNK)


def _filled(variable: Any) -> NDArray[Any]:
    """Return the data of a netCDF variable, which comes masked, with NaN where something is missing."""
    data = np.ma.asarray(variable[:])
    return data.filled(np.nan) if np.ma.is_masked(data) else data.data


def _years(time: Any) -> NDArray[np.int64]:
    hours = _filled(time)
    return (1970 + np.floor(hours / HOURS_PER_YEAR)).astype(np.int64)


def _missing(package: str) -> MissingExtraError:
    return MissingExtraError(
        f'the demo needs {package}, not installed here: pip install "asyncexec[demo]"'
    )
