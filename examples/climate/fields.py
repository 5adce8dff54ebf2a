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

import asyncexec.array as xp
from asyncexec.errors import CorruptArrayError, MissingExtraError, OptionError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from asyncexec.array import Array, Spec

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


def repeated_field(field: Field, *, scale: int, spec: Spec) -> Array:
    """Return the temperature of ``field`` with its grid repeated eastwards, one map a year in a chunk; nothing runs.

    Parameters
    ----------
    field : Field
    scale : int
        How many times.
    spec : Spec

    Raises
    ------
    OptionError
        If ``scale`` is less than 1.
    """
    if scale < 1:
        raise OptionError(
            f"scale={scale} is not a number of copies of the grid: it must be 1 or more"
        )
    chunks = field_chunks(field, scale)
    blank = xp.zeros(
        scaled_shape(field, scale), dtype=field.temperature.dtype, chunks=chunks, spec=spec
    )
    return xp.map_blocks(
        copies,
        blank,
        dtype=blank.dtype,
        extra_memory=field.temperature.nbytes,
        temperature=field.temperature,
        chunk_columns=chunks[2],
    )


def copies(
    blank: NDArray[Any], *, temperature: NDArray[Any], chunk_columns: int, block_id: tuple[int, ...]
) -> NDArray[Any]:
    """Return the chunk ``block_id``, of the shape of ``blank``, of ``temperature`` repeated eastwards."""
    year, _, chunk = block_id
    columns = np.arange(chunk * chunk_columns, chunk * chunk_columns + blank.shape[2])
    return temperature[year : year + 1, :, columns % temperature.shape[2]]


def scaled_shape(field: Field, scale: int) -> tuple[int, int, int]:
    """Return the shape of ``field`` with its grid repeated eastwards."""
    years, rows, columns = field.temperature.shape
    return years, rows, columns * scale


def field_chunks(field: Field, scale: int) -> tuple[int, int, int]:
    """Return the chunks that ``field`` is stored in, its grid repeated."""
    _, rows, columns = field.temperature.shape
    return 1, rows, columns * min(scale, COPIES_PER_CHUNK)


def _filled(variable: Any) -> NDArray[Any]:
    """Return the data of a netCDF variable, which comes masked, with NaN where something is missing."""
    data = np.ma.asarray(variable[:])
    return data.filled(np.nan) if np.ma.is_masked(data) else data.data


def _years(time: Any) -> NDArray[np.int64]:
    hours = _filled(time)
    return (1970 + np.floor(hours / HOURS_PER_YEAR)).astype(np.int64)


def _missing(package: str) -> MissingExtraError:
    return MissingExtraError.of("the demo", package, extra="demo")
