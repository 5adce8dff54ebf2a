"""The demo's two pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from asyncexec.errors import MissingExtraError

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

INK, FAINT = "#222222", "#8a8a8a"
COLOURS = {"A1B": "#c1272d", "E1": "#1f6fb2"}
DESCRIPTIONS = {"A1B": "A1B: medium emissions", "E1": "E1: strong mitigation"}
# To find one's way on a map without coastlines: name, degrees north, degrees east.
CITIES = (
    ("Vancouver", 49.3, -123.1),
    ("Los Angeles", 34.1, -118.2),
    ("Mexico City", 19.4, -99.1),
    ("Houston", 29.8, -95.4),
    ("Winnipeg", 49.9, -97.1),
    ("Chicago", 41.9, -87.6),
    ("Miami", 25.8, -80.2),
    ("New York", 40.7, -74.0),
    ("St. John's", 47.6, -52.7),
)


def draw_trend_map(
    path: Path,
    difference: NDArray[Any],
    *,
    latitude: NDArray[np.float64],
    longitude: NDArray[np.float64],
    years: NDArray[np.int64],
) -> None:
    """Draw the map of how much faster A1B warms than E1, as a PNG.

    Parameters
    ----------
    path : Path
        Replaced if it exists.
    difference : array of shape (latitudes, longitudes)
        In K per decade.
    latitude, longitude : arrays
        Centres of the cells in degrees north and east.
    years : array
        The years that the trends were fitted to.
    """
    figure = new_figure(8.2, 5.1)
    axes = figure.add_subplot()
    west = np.where(longitude > 180, longitude - 360, longitude)
    mesh = axes.pcolormesh(west, latitude, difference, cmap="YlOrRd", shading="nearest")
    bar = figure.colorbar(mesh, ax=axes, pad=0.02)
    bar.ax.tick_params(colors="#444444", labelsize=8.5, length=3)
    bar.set_label("Difference of trends (K per decade)", color=INK)
    bar.outline.set_visible(False)
    name_cities(axes, west, latitude)
    axes.set_aspect(1 / np.cos(np.deg2rad(latitude.mean())))
    axes.xaxis.set_major_formatter(lambda value, _: f"{abs(value):.0f}°W")
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0f}°N")
    title(
        axes,
        "How much faster North America warms under A1B than under E1",
        f"Difference of linear trends of annual air temperature, {years[0]}-{years[-1]}",
    )
    figure.savefig(path, dpi=150)


def draw_warming(
    path: Path, warming: dict[str, NDArray[Any]], *, years: NDArray[np.int64], baseline: int
) -> None:
    """Draw the mean warming over time of all scenarios, as a PNG.

    Parameters
    ----------
    path : Path
        Replaced if it exists.
    warming : mapping of str to array of shape (years,)
        By scenario, in K above the mean of the first years.
    years : array
    baseline : int
        How many first years there are.
    """
    figure = new_figure(8.2, 4.9)
    axes = figure.add_subplot()
    axes.axhline(0, color=FAINT, linewidth=0.8)
    axes.axvspan(years[0], years[baseline - 1], color="#f0f0f0", zorder=0, linewidth=0)
    shared = common_years(list(warming.values()))
    for scenario, series in warming.items():
        draw_series(axes, years, series, shared, COLOURS.get(scenario, INK))
        axes.annotate(
            f"{DESCRIPTIONS.get(scenario, scenario)}\n{series[-30:].mean():+.1f} K in {years[-30]}-{years[-1]}",
            (years[-1], smooth(series)[-1]),
            xytext=(8, 0),
            textcoords="offset points",
            va="center",
            color=COLOURS.get(scenario, INK),
            annotation_clip=False,
        )
    axes.annotate(
        f"baseline\n{years[0]}-{years[baseline - 1]}",
        (years[baseline // 2], 1),
        xycoords=("data", "axes fraction"),
        xytext=(0, -6),
        textcoords="offset points",
        ha="center",
        va="top",
        fontsize=8,
        color=FAINT,
    )
    axes.set_xlim(years[0], years[-1])
    axes.set_ylabel("Warming (K)", color=INK)
    axes.grid(axis="y", color="#e6e6e6", linewidth=0.8)
    axes.set_axisbelow(True)
    title(
        axes,
        "North America's mean air temperature under two emission scenarios",
        f"Above the mean of {years[0]}-{years[baseline - 1]}; thin: each year, thick: eleven-year mean",
    )
    figure.savefig(path, dpi=150)


def draw_series(
    axes: Axes, years: NDArray[np.int64], series: NDArray[Any], shared: int, colour: str
) -> None:
    """Draw one scenario, grey as long as all are the same."""
    for start, stop, ink in ((0, shared + 1, "#555555"), (shared, len(years), colour)):
        if stop - start > 1:
            part = slice(max(start, 0), stop)
            axes.plot(years[part], series[part], color=ink, linewidth=0.7, alpha=0.45)
            axes.plot(years[part], smooth(series)[part], color=ink, linewidth=2.2)


def common_years(series: list[NDArray[Any]]) -> int:
    """Return for how many first years all series are the same."""
    differ = np.flatnonzero(np.any([s != series[0] for s in series], axis=0))
    return int(differ[0]) if differ.size else len(series[0])


def smooth(series: NDArray[Any], width: int = 11) -> NDArray[Any]:
    """Return the running mean over ``width`` years, over fewer near the ends."""
    window = np.ones(width)
    return np.convolve(series, window, "same") / np.convolve(np.ones(len(series)), window, "same")


def name_cities(axes: Axes, longitude: NDArray[Any], latitude: NDArray[Any]) -> None:
    """Mark the cities that are on the map."""
    for name, north, east in CITIES:
        if not (
            longitude.min() < east < longitude.max() and latitude.min() < north < latitude.max()
        ):
            continue
        axes.plot(east, north, "o", color=INK, markersize=3)
        axes.annotate(
            name,
            (east, north),
            xytext=(4, 3),
            textcoords="offset points",
            fontsize=7.5,
            color=INK,
        )


def new_figure(width: float, height: float) -> Figure:
    """Return an empty white figure that needs no display; sizes in inches.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415 - an extra
        from matplotlib.figure import Figure  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise MissingExtraError.of("the demo", "matplotlib", extra="demo") from error
    figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def title(axes: Axes, heading: str, explanation: str) -> None:
    """Write a heading and, smaller, what is to be seen; take the frame away."""
    axes.set_title(heading, loc="left", fontsize=12.5, fontweight="bold", color=INK, pad=26)
    axes.annotate(
        explanation,
        (0, 1),
        xycoords="axes fraction",
        xytext=(0, 9),
        textcoords="offset points",
        fontsize=9,
        color="#555555",
    )
    axes.tick_params(colors="#444444", labelsize=8.5, length=3)
    for spine in axes.spines.values():
        spine.set_visible(False)
