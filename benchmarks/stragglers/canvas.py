"""What both kinds of pictures share: a figure, its colours, its file."""

from __future__ import annotations

import os
from contextlib import contextmanager
from importlib import util
from typing import TYPE_CHECKING, Any

from asyncexec.errors import MissingExtraError, OptionError, WorkDirError

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, SOFT, FAINT = "#1f2933", "#52606d", "#d5dde5"
# Told apart by those who do not see red and green apart as well (after M. Okabe and K. Ito).
PALETTE = ("#4477aa", "#66ccee", "#228833", "#ccbb44", "#aa3377", "#997700", "#999933", "#332288")
ENDINGS = (".svg", ".png", ".pdf")


def check_picture(path: Path) -> None:
    """Check that a picture can be drawn to ``path``: better before everything is simulated than after.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    OptionError
        If the name of the file does not end as that of a picture, or is that of a directory.
    WorkDirError
        If no file can be written there.
    """
    if path.suffix.lower() not in ENDINGS:
        raise OptionError(f"a picture's name ends in {', '.join(ENDINGS)}, not {path.name!r}")
    if path.is_dir():
        raise OptionError(f"the picture {path} cannot be written: it is a directory")
    above = next(each for each in path.absolute().parents if each.exists())
    if not above.is_dir() or not os.access(above, os.W_OK):
        raise WorkDirError(
            f"the picture {path} cannot be written: {above} is no directory that can be written to"
        )
    try:
        installed = util.find_spec("matplotlib") is not None
    except ValueError:  # `sys.modules` holds None under that name: it was made unavailable.
        installed = False
    if not installed:
        raise MissingExtraError(
            'pictures are drawn with matplotlib, not installed here: pip install "asyncexec[demo]"'
        )


def colours(count: int) -> list[str]:
    """Return so many colours, in an order that tells neighbours apart."""
    if count <= len(PALETTE):
        return list(PALETTE[:count])
    from matplotlib import colormaps, colors

    scale = colormaps["viridis"]
    return [colors.to_hex(scale(0.05 + 0.9 * i / (count - 1))) for i in range(count)]


@contextmanager
def canvas(path: Path, width: float, height: float) -> Generator[Figure]:
    """Give an empty white figure of so many inches, which is written to ``path`` at the end.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    OptionError
        If the name of the file does not end as that of a picture.
    WorkDirError
        If the file cannot be written.
    """
    check_picture(path)
    import matplotlib as mpl
    from matplotlib.figure import Figure

    # The same run gives the same file; text stays text.
    with mpl.rc_context(
        {"svg.hashsalt": "asyncexec", "svg.fonttype": "none", "hatch.linewidth": 0.5}
    ):
        figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
        yield figure
        metadata = {"Date": None} if path.suffix.lower() == ".svg" else None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            figure.savefig(path, dpi=150, metadata=metadata)
        except OSError as error:
            raise WorkDirError(f"the picture {path} cannot be written: {error}") from error


def dress(axes: Axes, heading: str, explanation: str = "", *, x: str = "", y: str = "") -> None:
    """Give axes a heading, a line of explanation, and labels; take their frame away."""
    axes.set_title(
        heading,
        loc="left",
        fontsize=11.5,
        fontweight="bold",
        color=INK,
        pad=24 if explanation else 8,
    )
    if explanation:
        axes.annotate(
            explanation,
            (0, 1),
            xycoords="axes fraction",
            xytext=(0, 8),
            textcoords="offset points",
            fontsize=9,
            color=SOFT,
        )
    axes.set_xlabel(x, color=SOFT, fontsize=9)
    axes.set_ylabel(y, color=SOFT, fontsize=9)
    axes.tick_params(colors=SOFT, labelsize=8.5, length=3)
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(FAINT)


def legend(
    figure: Figure, handles: Sequence[Any], *, columns: int = 5, length: float = 1.4
) -> None:
    """Put a legend below everything."""
    figure.legend(
        handles=list(handles),
        loc="outside lower left",
        ncols=min(columns, len(handles)),
        frameon=False,
        fontsize=8.5,
        labelcolor=SOFT,
        handlelength=length,
        columnspacing=1.4,
    )
