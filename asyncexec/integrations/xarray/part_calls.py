"""A function of one part of datasets, as a task calls it: arrays go in and come out; datasets are made of them here."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

type Bounds = Mapping[Hashable, tuple[int, ...]]
"""The ends of all blocks along each dimension, with 0 before the first."""


ARRAY = "<the data array>"
"""What the values of a data array are called in a dataset."""


def as_dataset(value: Any) -> xr.Dataset:
    """Return a dataset as it is, and a data array as one whose variable is :data:`ARRAY`."""
    return value.to_dataset(name=ARRAY) if isinstance(value, xr.DataArray) else value


def slices_of(
    bounds: Bounds, numbers: Mapping[Hashable, int], among: Mapping[Hashable, int]
) -> dict[Hashable, slice]:
    """Return the slices of the blocks with these ``numbers``, the first where there is none, along ``among``."""
    found = {dim: (ends, numbers.get(dim, 0)) for dim, ends in bounds.items() if dim in among}
    return {dim: slice(ends[n], ends[n + 1]) for dim, (ends, n) in found.items()}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PartedArgument:
    """A dataset or data array of which the function gets a part.

    Attributes
    ----------
    in_memory : Dataset
        Its variables that are in memory.
    lazy : mapping of name to (dimensions, attributes)
        Its other variables, in the order in which their blocks come.
    names : tuple
        Its data variables, in their order.
    bounds : Bounds
    is_array : bool
    name : hashable
        Of the data array.
    """

    in_memory: xr.Dataset
    lazy: Mapping[Hashable, tuple[tuple[Hashable, ...], Mapping[Any, Any]]]
    names: tuple[Hashable, ...]
    bounds: Bounds
    is_array: bool
    name: Hashable

    def part(self, numbers: Mapping[Hashable, int], blocks: Sequence[Any]) -> Any:
        """Return the part of the blocks with these ``numbers``, of which the lazy variables are ``blocks``."""
        slices = slices_of(self.bounds, numbers, self.in_memory.sizes)
        return self.joined(self.in_memory.isel(slices), blocks)

    def joined(self, others: xr.Dataset, blocks: Sequence[Any]) -> Any:
        """Return the dataset, or data array, of variables in memory and ``blocks`` of the lazy ones."""
        found = others.assign(
            {
                name: xr.Variable(dims, block, attrs)
                for (name, (dims, attrs)), block in zip(self.lazy.items(), blocks, strict=True)
            }
        )
        found = found.set_coords([name for name in self.lazy if name not in self.names])
        # In their order, which decides what functions such as to_array() return.
        ordered = xr.Dataset(
            {name: found.variables[name] for name in self.names}, found.coords, found.attrs
        )
        return ordered[ARRAY].rename(self.name) if self.is_array else ordered


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Expected:
    """The names, lengths and coordinates that the function has to return for a part.

    Attributes
    ----------
    data_vars, coords : frozenset
        The names of all variables.
    kept : Dataset
        The coordinates that the result has in memory; those of a part must equal them.
    sizes : mapping of dimension to int
        The lengths along all dimensions of the result.
    bounds : Bounds
        Along those that are followed block by block.
    is_array : bool
    name : str
        Of the function, in messages.
    """

    data_vars: frozenset[Hashable]
    coords: frozenset[Hashable]
    kept: xr.Dataset
    sizes: Mapping[Hashable, int]
    bounds: Bounds
    is_array: bool
    name: str

    def checked(self, returned: Any, numbers: Mapping[Hashable, int]) -> xr.Dataset:
        """Return ``returned`` as a dataset.

        Raises
        ------
        TypeError
            If it is something else than was promised.
        ValueError
            If it has other variables, lengths or coordinates.
        """
        wanted = xr.DataArray if self.is_array else xr.Dataset
        if not isinstance(returned, wanted):
            raise TypeError(
                f"{self.name} returned a {type(returned).__name__} for a part, and the template is a {wanted.__name__}"
            )
        found = as_dataset(returned)
        self._compare_names("data variables", set(found.data_vars), self.data_vars)
        self._compare_names("coordinates", set(found.coords), self.coords)
        self._compare_lengths(found, numbers)
        self._compare_coordinates(found, numbers)
        return found

    def _compare_names(self, what: str, own: set[Any], promised: frozenset[Any]) -> None:
        lacking, more = sorted(map(str, promised - own)), sorted(map(str, own - promised))
        if lacking or more:
            raise ValueError(
                f"the {what} that {self.name} returned for a part are not those of the template: it lacks {lacking}, "
                f"and has {more} more"
            )

    def _compare_lengths(self, found: xr.Dataset, numbers: Mapping[Hashable, int]) -> None:
        slices = slices_of(self.bounds, numbers, found.sizes)
        parts = {dim: each.stop - each.start for dim, each in slices.items()}
        for dim, n in {**self.sizes, **parts}.items():
            if found.sizes.get(dim, n) != n:
                raise ValueError(
                    f"{self.name} returned {found.sizes[dim]} elements along {dim!r} for a part of which the template "
                    f"has {n}: the template's chunks say how many each part has"
                )

    def _compare_coordinates(self, found: xr.Dataset, numbers: Mapping[Hashable, int]) -> None:
        kept = self.kept.isel(slices_of(self.bounds, numbers, self.kept.sizes))
        for name, variable in kept.variables.items():
            own: Any = found.variables[name]
            if not own.equals(variable):
                raise ValueError(
                    f"the coordinate {name!r} that {self.name} returned for a part is not the template's: give a "
                    f"template= with the values that it returns, or leave that coordinate out of both"
                )


@dataclass(frozen=True, slots=True)
class PartResult:
    """A variable whose blocks are computed."""

    name: Hashable
    dims: tuple[Hashable, ...]
    dtype: np.dtype[Any]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PartCall:
    """The call of a function with parts of its arguments; it returns the blocks of some variables.

    Attributes
    ----------
    function : callable
    arguments : tuple
        Those that are parted, and others as they are.
    keywords : mapping
    expected : Expected
    results : tuple of PartResult
    along : tuple
        The dimension that each number of a block counts along.
    """

    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    keywords: Mapping[str, Any]
    expected: Expected
    results: tuple[PartResult, ...]
    along: tuple[Hashable, ...]

    @property
    def __name__(self) -> str:
        # What messages and plans call it.
        return self.expected.name

    def __call__(self, *blocks: Any, block_id: tuple[int, ...]) -> tuple[Any, ...]:
        numbers = dict(zip(self.along, block_id, strict=True))
        given = iter(blocks)
        arguments = [
            each.part(numbers, [next(given) for _ in each.lazy])
            if isinstance(each, PartedArgument)
            else each
            for each in self.arguments
        ]
        found = self.expected.checked(self.function(*arguments, **self.keywords), numbers)
        return tuple([self._block(found.variables[each.name], each) for each in self.results])

    def _block(self, variable: xr.Variable, result: PartResult) -> Any:
        if set(variable.dims) != set(result.dims):
            raise ValueError(
                f"{self.__name__} returned {result.name!r} with the dimensions {variable.dims} for a part, and the "
                f"template has {result.dims}"
            )
        values = variable.transpose(*result.dims).to_numpy()
        if not np.can_cast(values.dtype, result.dtype, "same_kind"):
            raise TypeError(
                f"{self.__name__} returned {result.name!r} of {values.dtype} for a part, and the template has "
                f"{result.dtype}"
            )
        return values.astype(result.dtype, copy=False)


@dataclass(frozen=True, slots=True, eq=False)
class OnlyResult:
    """The one block that a call returns."""

    call: PartCall

    @property
    def __name__(self) -> str:
        # What messages and plans call it.
        return self.call.__name__

    def __call__(self, *blocks: Any, block_id: tuple[int, ...]) -> Any:
        (found,) = self.call(*blocks, block_id=block_id)
        return found
