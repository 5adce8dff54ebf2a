"""Discrete Fourier transforms of the extension ``fft`` of the array API standard.

A transform makes its axis whole by rechunking, and divides the other axes so that blocks fit into memory; transforms
along several axes go one axis after the other. Elements of single precision make single precision.
"""

from __future__ import annotations

from collections.abc import Sequence

from asyncexec.array import build
from asyncexec.array.array import Array
from asyncexec.array.fourier_transforms import transformed
from asyncexec.array.integers import integers
from asyncexec.array.wrapping import as_array


def fft(x: Array, /, *, n: int | None = None, axis: int = -1, norm: str = "backward") -> Array:
    """Return the discrete Fourier transform along ``axis``.

    >>> xp.fft.fft(xp.asarray([1.0, 0.0, 0.0, 0.0])).compute()
    array([1.+0.j, 1.+0.j, 1.+0.j, 1.+0.j])

    Parameters
    ----------
    x : Array
    n : int, optional
        The number of points; the axis is cut off or filled up with zeros. By default its length.
    axis : int
    norm : {"backward", "ortho", "forward"}
        What is scaled by the number of points: the inverse transform, both by its root, or this one.

    Returns
    -------
    Array
        Of complex elements, with ``n`` along the axis.

    Raises
    ------
    ValueError
        If there are no points, or the norm is another.
    MemoryBudgetError
        If a line along the axis does not fit into a task's memory, and its length is no product of two numbers of about
        the same size: otherwise it is transformed by way of shorter lines (Bailey's four steps).
    """
    return transformed("fft", as_array(x, "fft"), n, axis, norm)


def ifft(x: Array, /, *, n: int | None = None, axis: int = -1, norm: str = "backward") -> Array:
    """Return the inverse discrete Fourier transform along ``axis``; parameters and errors are those of :func:`fft`.

    >>> xp.fft.ifft(xp.asarray([4 + 0j, 0j, 0j, 0j])).compute()
    array([1.+0.j, 1.+0.j, 1.+0.j, 1.+0.j])
    """
    return transformed("ifft", as_array(x, "ifft"), n, axis, norm)


def rfft(x: Array, /, *, n: int | None = None, axis: int = -1, norm: str = "backward") -> Array:
    """Return the discrete Fourier transform of real elements along ``axis``, without the negative frequencies.

    Parameters and errors are those of :func:`fft`; there are ``n // 2 + 1`` elements along the axis.

    >>> xp.fft.rfft(xp.asarray([1.0, 0.0, 0.0, 0.0])).compute()
    array([1.+0.j, 1.+0.j, 1.+0.j])

    Raises
    ------
    TypeError
        If the elements are complex.
    """
    return transformed("rfft", as_array(x, "rfft"), n, axis, norm)


def irfft(x: Array, /, *, n: int | None = None, axis: int = -1, norm: str = "backward") -> Array:
    """Return the inverse of :func:`rfft` along ``axis``, which is real.

    Parameters and errors are those of :func:`fft`; ``n`` is the number of points of the result, by default an even one:
    twice one less than there are elements.

    >>> xp.fft.irfft(xp.asarray([4 + 0j, 0j, 0j])).compute()
    array([1., 1., 1., 1.])
    """
    return transformed("irfft", as_array(x, "irfft"), n, axis, norm)


def hfft(x: Array, /, *, n: int | None = None, axis: int = -1, norm: str = "backward") -> Array:
    """Return the discrete Fourier transform of a signal with Hermitian symmetry along ``axis``, which is real.

    ``x`` is the half of the signal from 0 on; parameters and errors are those of :func:`irfft`.

    >>> xp.fft.hfft(xp.asarray([1 + 0j, 0j, 0j])).compute()
    array([1., 1., 1., 1.])
    """
    return transformed("hfft", as_array(x, "hfft"), n, axis, norm)


def ihfft(x: Array, /, *, n: int | None = None, axis: int = -1, norm: str = "backward") -> Array:
    """Return the inverse of :func:`hfft` along ``axis``; parameters and errors are those of :func:`rfft`.

    >>> xp.fft.ihfft(xp.asarray([4.0, 0.0, 0.0, 0.0])).compute()
    array([1.-0.j, 1.-0.j, 1.-0.j])
    """
    return transformed("ihfft", as_array(x, "ihfft"), n, axis, norm)


def fftn(
    x: Array,
    /,
    *,
    s: Sequence[int] | None = None,
    axes: Sequence[int] | None = None,
    norm: str = "backward",
) -> Array:
    """Return the discrete Fourier transform along several axes.

    >>> xp.fft.fftn(xp.ones((2, 2))).compute()
    array([[4.+0.j, 0.+0.j],
           [0.+0.j, 0.+0.j]])

    Parameters
    ----------
    x : Array
    s : sequence of int, optional
        The number of points along each of the axes; -1 is the axis as it is.
    axes : sequence of int, optional
        By default the last ones, as many as ``s`` has lengths, or all.
    norm : {"backward", "ortho", "forward"}
        See :func:`fft`, whose errors it raises.

    Raises
    ------
    ValueError
        If there are not as many lengths as axes.
    """
    return _one_after_another("fftn", x, s, axes, norm)


def ifftn(
    x: Array,
    /,
    *,
    s: Sequence[int] | None = None,
    axes: Sequence[int] | None = None,
    norm: str = "backward",
) -> Array:
    """Return the inverse discrete Fourier transform along several axes; parameters are those of :func:`fftn`.

    >>> xp.fft.ifftn(xp.asarray([[4 + 0j, 0j], [0j, 0j]])).compute()
    array([[1.+0.j, 1.+0.j],
           [1.+0.j, 1.+0.j]])
    """
    return _one_after_another("ifftn", x, s, axes, norm)


def rfftn(
    x: Array,
    /,
    *,
    s: Sequence[int] | None = None,
    axes: Sequence[int] | None = None,
    norm: str = "backward",
) -> Array:
    """Return the discrete Fourier transform of real elements along several axes; parameters are those of :func:`fftn`.

    The last of the axes is without negative frequencies, as in :func:`rfft`.

    >>> xp.fft.rfftn(xp.ones((2, 2))).compute()
    array([[4.+0.j, 0.+0.j],
           [0.+0.j, 0.+0.j]])
    """
    return _one_after_another("rfftn", x, s, axes, norm)


def irfftn(
    x: Array,
    /,
    *,
    s: Sequence[int] | None = None,
    axes: Sequence[int] | None = None,
    norm: str = "backward",
) -> Array:
    """Return the inverse of :func:`rfftn`, which is real; parameters are those of :func:`fftn`.

    ``s`` are the numbers of points of the result; see :func:`irfft` for the last of them.

    >>> xp.fft.irfftn(xp.asarray([[4 + 0j, 0j], [0j, 0j]])).compute()
    array([[1., 1.],
           [1., 1.]])
    """
    return _one_after_another("irfftn", x, s, axes, norm)


def _one_after_another(
    name: str,
    x: Array,
    s: Sequence[int] | None,
    axes: Sequence[int] | None,
    norm: str,
) -> Array:
    array = as_array(x, name)
    last = name[:-1]
    places, lengths = _places_and_lengths(name, array, s, axes)
    if not places:
        if last in ("rfft", "irfft"):
            raise ValueError(f"{name}() takes one axis at least")
        return array
    steps = [(last, places[-1], lengths[-1])]
    within = last.removeprefix("r") if last == "rfft" else last.replace("irfft", "ifft")
    others = [(within, axis, n) for axis, n in zip(places[:-1], lengths[:-1], strict=True)]
    # What is real, or becomes it, is so along the last axis while the others are transformed.
    order = [*others, *steps] if last == "irfft" else [*steps, *reversed(others)]
    for kind, axis, n in order:
        array = transformed(kind, array, n, axis, norm)
    return array


def _places_and_lengths(
    name: str, array: Array, s: Sequence[int] | None, axes: Sequence[int] | None
) -> tuple[tuple[int, ...], list[int | None]]:
    given = None if s is None else integers(s, f"s of {name}()")
    if axes is None and given is not None:
        axes = range(array.ndim - len(given), array.ndim)
    places = build.normalized_axes(axes, array.ndim)
    if given is None:
        return places, [None] * len(places)
    if len(given) != len(places):
        raise ValueError(
            f"{name}() takes one length for each axis, and got s={given} for the axes {places}"
        )
    # Also for a real result, -1 is the axis as it is, as in NumPy.
    return places, [array.shape[a] if n == -1 else n for a, n in zip(places, given, strict=True)]
