"""What the demo must compute, in plain NumPy, all at once and in float64."""

from pathlib import Path

import iris_sample_data
import netCDF4
import numpy as np

SAMPLES = Path(iris_sample_data.path)


def temperature(scenario, scale=1):
    with netCDF4.Dataset(SAMPLES / f"{scenario}_north_america.nc") as dataset:
        data = np.asarray(dataset["air_temperature"][:])
    return np.tile(data, (1, 1, scale))


def latitude():
    with netCDF4.Dataset(SAMPLES / "A1B_north_america.nc") as dataset:
        return np.asarray(dataset["latitude"][:], dtype=np.float64)


def expected(scale=1):
    """Every result by the name of its array, in float64."""
    results = {}
    for scenario in ("A1B", "E1"):
        data = temperature(scenario, scale).astype(np.float64)
        years, rows, columns = data.shape
        anomaly = data - data[:30].mean(axis=0)
        slope, _ = np.polyfit(np.arange(years), anomaly.reshape(years, -1), 1)
        weights = np.broadcast_to(np.cos(np.deg2rad(latitude()))[:, np.newaxis], (rows, columns))
        results |= {
            f"{scenario}-anomaly": anomaly,
            f"{scenario}-decadal": anomaly.reshape(years // 10, 10, rows, columns).mean(axis=1),
            f"{scenario}-trend": 10 * slope.reshape(rows, columns),
            f"{scenario}-warming": [np.average(year, weights=weights) for year in anomaly],
        }
    for name in ("decadal", "trend"):
        results[f"difference-{name}"] = results[f"A1B-{name}"] - results[f"E1-{name}"]
    return {name: np.asarray(values) for name, values in results.items()}
