"""The computation of the demo, written as anybody would write it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

import asyncexec.array as xp

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from asyncexec.array import Array, Spec

BASELINE_YEARS = 30
DECADE = 10
# Columns whose series one task holds, at most: 240 years of them are 14 MB.
SERIES_COLUMNS = 392


# What each result holds, and its unit.
MEANINGS = {
    "anomaly": ("above the first 30 years", "K"),
    "decadal": ("decadal mean", "K"),
    "trend": ("trend", "K per decade"),
    "warming": ("mean of the area", "K"),
}


def climate_analysis(
    temperature: Mapping[str, Array], *, latitude: NDArray[np.float64], spec: Spec
) -> dict[str, Array]:
    """Say what there is to compute from two scenarios; nothing runs.

    Parameters
    ----------
    temperature : mapping of str to Array
        Annual means (years, latitudes, longitudes) in K, one map a chunk, by scenario; two of them.
    latitude : array
        Centres of the rows in degrees north.
    spec : Spec

    Returns
    -------
    dict of str to Array
        By name: ``{scenario}-{result}`` and ``difference-{result}``, for the results in ``MEANINGS``.
    """
    results: dict[str, Array] = {}
    for scenario, annual in temperature.items():
        anomaly = annual - xp.mean(annual[:BASELINE_YEARS], axis=0)
        weights = area_weights(anomaly, latitude, spec)
        results[f"{scenario}-anomaly"] = anomaly
        results[f"{scenario}-decadal"] = decadal_mean(anomaly)
        results[f"{scenario}-trend"] = warming_trend(anomaly)
        results[f"{scenario}-warming"] = xp.sum(anomaly * weights, axis=(1, 2))
    one, other = temperature
    for name in ("decadal", "trend"):
        results[f"difference-{name}"] = results[f"{one}-{name}"] - results[f"{other}-{name}"]
    return results


def decadal_mean(anomaly: Array) -> Array:
    """Return the mean over each ten years, shape (decades, latitudes, longitudes)."""
    decades = xp.rechunk(anomaly, {0: DECADE})
    return xp.map_blocks(average, decades, dtype=anomaly.dtype, chunks={0: 1})


def warming_trend(anomaly: Array) -> Array:
    """Return the least-squares trend of each cell in K per decade, shape (latitudes, longitudes)."""
    columns = anomaly.shape[2]
    # A fit needs all years of a cell at once: from chunks of maps to chunks of series.
    series = xp.rechunk(anomaly, (-1, -1, min(SERIES_COLUMNS, max(1, columns // 7))))
    return xp.map_blocks(slope, series, dtype=np.float64, drop_axis=0)


def area_weights(anomaly: Array, latitude: NDArray[np.float64], spec: Spec) -> Array:
    """Return the share of each row's cells in the area, shape (latitudes, 1); over all cells they add up to 1."""
    weights = np.cos(np.deg2rad(latitude))
    weights /= weights.sum() * anomaly.shape[2]
    return xp.asarray(weights[:, np.newaxis], spec=spec)


def average(block: NDArray[Any]) -> NDArray[Any]:
    """Return the mean along the first axis, which stays."""
    mean: NDArray[Any] = block.mean(axis=0, keepdims=True, dtype=np.float64).astype(block.dtype)
    return mean


def slope(series: NDArray[Any]) -> NDArray[np.float64]:
    """Return the slope of the least-squares line along the first axis, in units per ten steps."""
    years = np.arange(len(series), dtype=np.float64)
    years -= years.mean()
    # einsum converts to float64 buffer by buffer, not all at once.
    slopes: NDArray[np.float64] = np.einsum("t,t...->...", years, series) / (years @ years)
    return slopes * DECADE
