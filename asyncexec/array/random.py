"""Random arrays, as ``xp.random``: their elements depend on a seed and their shape, and not on chunks or workers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from asyncexec.array import build, chunks as chunking
from asyncexec.array.array import Array
from asyncexec.array.calls import name_methods_in_errors
from asyncexec.array.chunks import ChunksLike
from asyncexec.array.distributions import Distributions, Size
from asyncexec.array.dtypes import checked_dtype
from asyncexec.array.indexing import take
from asyncexec.array.integers import as_shape, integer
from asyncexec.array.manipulation import reshape
from asyncexec.array.nodes import Creation
from asyncexec.array.operands import chunk_limit, own_source
from asyncexec.array.random_tiles import RandomTiles, stream
from asyncexec.array.spec import Spec

type Seed = int | Sequence[int] | np.random.SeedSequence | RandomArrays | None

_CALLS, _CHILDREN = 0, 1
"""The branches of a seed: one for the arrays that are drawn, one for generators that are spawned."""


def default_rng(seed: Seed = None, *, spec: Spec | None = None) -> RandomArrays:
    """Return a generator of random arrays.

    >>> x = xp.random.default_rng(7).normal(size=(4, 6), chunks=(2, 3))
    >>> again = xp.random.default_rng(7).normal(size=(4, 6), chunks=(4, 1))
    >>> bool(xp.all(x == again))
    True

    Parameters
    ----------
    seed : int, sequence of int, numpy.random.SeedSequence, generator or None
        None for one that is never the same. A generator is returned as it is.
    spec : Spec, optional
        Of the arrays.
    """
    if isinstance(seed, RandomArrays):
        return seed
    if not isinstance(seed, np.random.SeedSequence):
        seed = np.random.SeedSequence(seed)
    return RandomArrays(seed, spec=spec)


class RandomArrays(Distributions):
    """Draws random arrays; its methods are those of ``numpy.random.Generator``, with ``chunks``.

    The elements of an array depend on the seed, on how many arrays were drawn before, on its shape, and on the
    distribution with its parameters, which are numbers. They do not depend on chunks, on the part that is computed, or
    on where: an array is divided into tiles of at most 16384 elements, and each tile has a stream of its own. They are
    not those that NumPy draws from the same seed.

    >>> rng = xp.random.default_rng(0)
    >>> dice = rng.integers(1, 6, size=1_000_000, endpoint=True, chunks=100_000)
    >>> dice.dtype, 3.49 < float(xp.mean(dice)) < 3.51
    (dtype('int64'), True)

    Parameters
    ----------
    sequence : numpy.random.SeedSequence
    spec : Spec, optional
        Of the arrays.

    Notes
    -----
    Every method takes ``size`` (the shape of the array; none makes an array without axes) and ``chunks``, and raises
    what NumPy's raises of parameters that cannot be: at once.
    """

    def __init__(self, sequence: np.random.SeedSequence, *, spec: Spec | None = None) -> None:
        self._sequence = sequence
        self._spec = spec
        self._calls = 0
        self._children = 0

    def __repr__(self) -> str:
        return f"<RandomArrays of seed {self._sequence.entropy}>"

    def spawn(self, n_children: int) -> list[RandomArrays]:
        """Return generators that are independent of this one and of each other."""
        first = self._children
        self._children += integer(n_children, "n_children")
        return [
            RandomArrays(self._branch(_CHILDREN, number), spec=self._spec)
            for number in range(first, self._children)
        ]

    def _branch(self, kind: int, number: int) -> np.random.SeedSequence:
        path = (*self._sequence.spawn_key, kind, number)
        return np.random.SeedSequence(self._sequence.entropy, spawn_key=path)

    def _key(self) -> tuple[int, int]:
        """Return the key of the next array."""
        one, other = self._branch(_CALLS, self._calls).generate_state(2, np.uint64)
        self._calls += 1
        return int(one), int(other)

    def _drawn(
        self, method: str, size: Size, chunks: Any, /, *given: Any, **keywords: Any
    ) -> Array:
        shape = () if size is None else as_shape(size)
        for value in (*given, *keywords.values()):
            if isinstance(value, Array):
                raise TypeError(
                    f"{method} takes numbers, not arrays: draw standard values, and compute with them"
                )
        make = RandomTiles(
            key=self._key(), method=method, arguments=given, keywords=keywords, shape=shape
        )
        # Of no elements, so that parameters are checked, and types and further axes found.
        sample = getattr(stream(make.key, 0), method)(*given, size=(0,), **keywords)
        if sample.ndim > 1 and method not in _OF_SEVERAL:
            raise TypeError(f"{method} takes numbers, not arrays: draw one array for each")
        rest = sample.shape[1:]
        whole = (*shape, *rest)
        limit = chunk_limit(self._spec)
        if rest and not isinstance(chunks, str):
            lead = chunking.normalize_chunks(chunks, shape, sample.itemsize, limit=limit)
            chunks = (*lead, *(-1 for _ in rest))
        settled = chunking.normalize_chunks(chunks, whole, sample.itemsize, limit=limit)
        node = Creation(
            operation=method,
            make=make,
            shape=whole,
            chunks=settled,
            dtype=checked_dtype(sample.dtype, what=method),
        )
        return Array(node, self._spec)

    def random(
        self, size: Size = None, dtype: Any = np.float64, *, chunks: ChunksLike = "auto"
    ) -> Array:
        """Return draws from a uniform distribution on [0, 1), of float64 or float32."""
        return self._drawn("random", size, chunks, dtype=np.dtype(dtype))

    def integers(
        self,
        low: int,
        high: int | None = None,
        size: Size = None,
        dtype: Any = np.int64,
        endpoint: bool = False,  # noqa: FBT001, FBT002 - NumPy's
        *,
        chunks: ChunksLike = "auto",
    ) -> Array:
        """Return integers from ``low`` to before ``high`` (to it, with ``endpoint``); from 0 to ``low`` without it."""
        return self._drawn(
            "integers", size, chunks, low, high, dtype=np.dtype(dtype), endpoint=endpoint
        )

    def standard_normal(
        self, size: Size = None, dtype: Any = np.float64, *, chunks: ChunksLike = "auto"
    ) -> Array:
        """Return draws from a normal distribution of mean 0 and standard deviation 1, of float64 or float32."""
        return self._drawn("standard_normal", size, chunks, dtype=np.dtype(dtype))

    def standard_exponential(
        self,
        size: Size = None,
        dtype: Any = np.float64,
        method: str = "zig",
        *,
        chunks: ChunksLike = "auto",
    ) -> Array:
        """Return draws from an exponential distribution of scale 1, of float64 or float32."""
        return self._drawn(
            "standard_exponential", size, chunks, dtype=np.dtype(dtype), method=method
        )

    def standard_gamma(
        self,
        shape: float,
        size: Size = None,
        dtype: Any = np.float64,
        *,
        chunks: ChunksLike = "auto",
    ) -> Array:
        """Return draws from a gamma distribution of scale 1, of float64 or float32."""
        return self._drawn("standard_gamma", size, chunks, shape, dtype=np.dtype(dtype))

    def choice(
        self,
        a: int | Array | Sequence[Any],
        size: Size = None,
        replace: bool = True,  # noqa: FBT001, FBT002 - NumPy's
        p: Sequence[float] | None = None,
        axis: int = 0,
        *,
        chunks: ChunksLike = "auto",
    ) -> Array:
        """Return elements of ``a``, or numbers from 0 to before it, drawn by themselves or with probabilities ``p``.

        Without ``replace`` none comes twice; then, and where ``a`` is an array, the numbers of what is drawn are listed
        in memory, 8 bytes each.

        Raises
        ------
        ValueError
            If more are drawn than there are, without ``replace``.
        """
        if isinstance(a, Array) or not replace:
            count = a.shape[build.normalized_axis(axis, a.ndim)] if isinstance(a, Array) else a
            shape = () if size is None else as_shape(size)
            drawn = stream(self._key(), 0).choice(
                count, size=math.prod(shape), replace=replace, p=p
            )
            return self._taken(a, drawn, shape, axis, chunks)
        values = a if isinstance(a, int | np.integer) else np.asarray(a)
        if np.ndim(values) > 1:
            raise ValueError(
                "choice takes a number, or values along one axis; make an Array of others"
            )
        return self._drawn("choice", size, chunks, values, replace=True, p=p)

    def permutation(self, x: int | Array, axis: int = 0, *, chunks: ChunksLike = "auto") -> Array:
        """Return ``x``, or the numbers from 0 to before it, in a random order along ``axis``.

        The order is listed in memory: 8 bytes for each element along the axis.
        """
        count = (
            x.shape[build.normalized_axis(axis, x.ndim)]
            if isinstance(x, Array)
            else integer(x, "x")
        )
        order = stream(self._key(), 0).permutation(count)
        return self._taken(x, order, (count,), axis, chunks)

    def _taken(self, a: Any, drawn: Any, shape: tuple[int, ...], axis: int, chunks: Any) -> Array:
        if not isinstance(a, Array):
            values = np.asarray(drawn).reshape(shape)
            return Array(own_source(values, chunks, self._spec), self._spec)
        found = take(a, np.asarray(drawn), axis=axis)
        place = build.normalized_axis(axis, a.ndim)
        if len(shape) != 1:
            found = reshape(found, (*a.shape[:place], *shape, *a.shape[place + 1 :]))
        return found if chunks == "auto" else found.rechunk(chunks)


name_methods_in_errors(
    RandomArrays,
    [name for name in dir(RandomArrays) if not name.startswith("_")],
    "RandomArrays.",
)

_OF_SEVERAL = frozenset(
    {"dirichlet", "multinomial", "multivariate_hypergeometric", "multivariate_normal"}
)
"""The distributions whose draws have an axis of their own."""
