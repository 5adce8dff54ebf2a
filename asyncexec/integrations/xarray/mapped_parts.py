"""``.asyncexec.map_blocks``: a function of datasets, called with each part of them, lazily."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import numpy as np
import xarray as xr

from asyncexec.array.array import Array
from asyncexec.errors import OptionError
from asyncexec.integrations.xarray.duck_array import DuckArray
from asyncexec.integrations.xarray.numpy_calls import unwrapped
from asyncexec.integrations.xarray.part_calls import (
    ARRAY,
    Bounds,
    Expected,
    PartCall,
    PartedArgument,
    PartResult,
    as_dataset,
)
from asyncexec.integrations.xarray.part_nodes import Dims, Lengths, made_arrays

_MOST_TRIED = 1_000_000
"""The most elements of an array with which a function is tried to find out what it returns."""


def mapped_parts(
    function: Callable[..., Any],
    arguments: Sequence[Any],
    keywords: Mapping[str, Any],
    template: Any,
    extra_memory: int | str,
) -> Any:
    """Return what ``function`` makes of each part of the datasets and data arrays in ``arguments``.

    Raises
    ------
    OptionError
        If chunks differ, or it is unknown what the function returns, or its parts do not fit.
    TypeError
        If the template is neither a dataset nor a data array, or a keyword is lazy.
    """
    name = getattr(function, "__name__", "the function")
    _refuse_lazy_keywords(keywords)
    inputs = _Inputs.of(arguments)
    if not inputs.lazy:
        return function(*arguments, **keywords)
    if template is None:
        template, kept = _tried(function, inputs, keywords, name)
    elif isinstance(template, xr.Dataset | xr.DataArray):
        kept = {k for k, v in template.coords.items() if not _is_lazy(v.variable)}
    else:
        raise TypeError(
            f"template must be a Dataset or DataArray, and is a {type(template).__name__}"
        )
    promised = as_dataset(template)
    after = _lengths_after(promised, inputs.lengths)
    computed = [n for n in promised.variables if n not in kept]
    _refuse_reduced(promised, getattr(template, "name", None), inputs, name)
    call = PartCall(
        function=function,
        arguments=inputs.arguments,
        keywords=dict(keywords),
        expected=Expected(
            data_vars=frozenset(promised.data_vars),
            coords=frozenset(promised.coords),
            kept=promised.drop_vars(computed),
            sizes=dict(promised.sizes),
            bounds=bounds_of({d: after[d] for d in after if d in inputs.lengths}),
            is_array=isinstance(template, xr.DataArray),
            name=name,
        ),
        results=tuple(
            PartResult(n, promised.variables[n].dims, promised.variables[n].dtype) for n in computed
        ),
        along=(),
    )
    arrays = made_arrays(call, inputs.lazy, inputs.lengths, after, extra_memory)
    found = _assembled(promised, arrays)
    return found[ARRAY].rename(template.name) if isinstance(template, xr.DataArray) else found


def bounds_of(lengths: Lengths) -> Bounds:
    """Return the ends of all blocks along each dimension, with 0 before the first."""
    return {dim: tuple(accumulate(each, initial=0)) for dim, each in lengths.items()}


@dataclass(frozen=True, slots=True)
class _Inputs:
    """The arguments of a function, those that are parted as such, and the lazy arrays among their variables."""

    arguments: tuple[Any, ...]
    lazy: tuple[tuple[Array, Dims], ...]
    lengths: Lengths

    @classmethod
    def of(cls, arguments: Sequence[Any]) -> _Inputs:
        objects = [each for each in arguments if isinstance(each, xr.Dataset | xr.DataArray)]
        aligned = iter(xr.align(*objects, join="exact", copy=False))
        whole = [
            next(aligned) if isinstance(each, xr.Dataset | xr.DataArray) else each
            for each in arguments
        ]
        datasets = [
            as_dataset(each) for each in whole if isinstance(each, xr.Dataset | xr.DataArray)
        ]
        lengths = _lengths_before(datasets)
        parted = [
            _parted(each, lengths) if isinstance(each, xr.Dataset | xr.DataArray) else (each, ())
            for each in whole
        ]
        return cls(
            tuple(each for each, _ in parted), tuple(x for _, own in parted for x in own), lengths
        )


def _parted(value: Any, lengths: Lengths) -> tuple[PartedArgument, tuple[tuple[Array, Dims], ...]]:
    dataset = _in_chunks(as_dataset(value), lengths)
    lazy = {name: v for name, v in dataset.variables.items() if _is_lazy(v)}
    argument = PartedArgument(
        in_memory=dataset.drop_vars(lazy).load(),
        lazy={name: (v.dims, v.attrs) for name, v in lazy.items()},
        names=tuple(dataset.data_vars),
        bounds=bounds_of(lengths),
        is_array=isinstance(value, xr.DataArray),
        name=getattr(value, "name", None),
    )
    return argument, tuple((unwrapped(v._data), v.dims) for v in lazy.values())  # noqa: SLF001 - .data would load


def _in_chunks(dataset: xr.Dataset, lengths: Lengths) -> xr.Dataset:
    """Return ``dataset`` with variables in memory, indexes excepted, in the chunks of the lazy ones."""
    several = {dim: each for dim, each in lengths.items() if len(each) > 1}
    arrays = [unwrapped(v._data) for v in dataset.variables.values() if _is_lazy(v)]  # noqa: SLF001 - as above
    spec = {"spec": arrays[0].own_spec} if arrays else {}
    chunked = {
        name: v.chunk(
            {dim: several[dim] for dim in v.dims if dim in several},
            chunked_array_type="asyncexec",
            from_array_kwargs=spec,
        )
        for name, v in dataset.variables.items()
        if not _is_lazy(v) and name not in dataset.xindexes and any(d in several for d in v.dims)
    }
    return dataset.assign(chunked) if chunked else dataset


def _lengths_before(datasets: Sequence[xr.Dataset]) -> Lengths:
    found: dict[Hashable, tuple[int, ...]] = {}
    lazy = [v for ds in datasets for v in ds.variables.values() if _is_lazy(v)]
    for variable in lazy:
        for dim, lengths in zip(variable.dims, unwrapped(variable._data).chunksizes, strict=True):  # noqa: SLF001 - as above
            if found.setdefault(dim, lengths) != lengths:
                raise OptionError(
                    f"map_blocks: chunks along {dim!r} are {_short(found[dim])} and {_short(lengths)}: give all "
                    f"variables the same before, by .unify_chunks() or .chunk()"
                )
    return found


def _lengths_after(promised: xr.Dataset, before: Lengths) -> Lengths:
    found: dict[Hashable, tuple[int, ...]] = {}
    for variable in promised.variables.values():
        if _is_lazy(variable):
            found.update(
                zip(variable.dims, unwrapped(variable._data).chunksizes, strict=True)  # noqa: SLF001 - as above
            )
    for dim, n in promised.sizes.items():
        known = before.get(dim, (n,))
        found.setdefault(dim, known if sum(known) == n else (n,))
        if len(found[dim]) != len(known):
            raise OptionError(
                f"map_blocks makes one part of each part: there are {len(known)} along {dim!r}, and the template has "
                f"chunks {_short(found[dim])} there: give it {len(known)}, of the lengths that the function returns"
            )
    return found


def _refuse_reduced(
    promised: xr.Dataset, name_of_array: Hashable, inputs: _Inputs, name: str
) -> None:
    """Refuse data variables of which each part makes another, where the template has room for one."""
    known: dict[Hashable, Sequence[Hashable]] = {}
    for each in inputs.arguments:
        if isinstance(each, PartedArgument):
            known |= {n: v.dims for n, v in each.in_memory.variables.items()}
            known |= {n: dims for n, (dims, _) in each.lazy.items()}
    several = [dim for dim, lengths in inputs.lengths.items() if len(lengths) > 1]
    for variable, made in promised.data_vars.items():
        # What lacks the dimension before as well is the same in every part.
        before = known.get(variable, known.get(name_of_array) if variable == ARRAY else None)
        for dim in several:
            if dim not in made.dims and (before is None or dim in before):
                raise OptionError(
                    f"{name} makes {'an array' if variable == ARRAY else repr(variable)} without {dim!r} of each of "
                    f"{len(inputs.lengths[dim])} parts along it: return one element along {dim!r}, give a template= "
                    f"with chunks of 1, and put the parts together afterwards"
                )


def _tried(
    function: Callable[..., Any], inputs: _Inputs, keywords: Mapping[str, Any], name: str
) -> tuple[Any, set[Hashable]]:
    """Return what ``function`` makes of parts without elements, at full length, and which coordinates are known."""
    several = {dim for dim, each in inputs.lengths.items() if len(each) > 1}
    arrays = iter(inputs.lazy)
    arguments: list[Any] = []
    for each in inputs.arguments:
        if isinstance(each, PartedArgument):
            blocks = [_without_elements(*next(arrays), several) for _ in each.lazy]
            none = {dim: slice(0) for dim in several if dim in each.in_memory.sizes}
            arguments.append(each.joined(each.in_memory.isel(none), blocks))
        else:
            arguments.append(each)
    try:
        with np.errstate(all="ignore"):
            found = function(*arguments, **keywords)
    except Exception as error:
        raise OptionError(
            f"{name} fails on a part without elements ({type(error).__name__}: {error}), so that it is unknown what it "
            f"returns; say it with template="
        ) from error
    if not isinstance(found, xr.Dataset | xr.DataArray):
        raise TypeError(
            f"map_blocks: {name} must return a Dataset or DataArray, and returned a {type(found).__name__}"
        )
    parted = [each for each in inputs.arguments if isinstance(each, PartedArgument)]
    full, kept = _at_full_length(as_dataset(found), parted, several, inputs.lengths, name)
    return (full[ARRAY].rename(found.name) if isinstance(found, xr.DataArray) else full), kept


def _at_full_length(
    tried: xr.Dataset,
    parted: Sequence[PartedArgument],
    several: set[Hashable],
    lengths: Lengths,
    name: str,
) -> tuple[xr.Dataset, set[Hashable]]:
    lazy = {each for argument in parted for each in argument.lazy}
    # Coordinates that are in memory are those of the arguments, or what the function makes without any lazy array.
    sources = {each: a.in_memory for a in reversed(parted) for each in a.in_memory.coords}
    kept: dict[Hashable, xr.Dataset] = {}
    for each, coord in tried.coords.items():
        if each in lazy:
            continue
        if not several.intersection(coord.dims):
            kept[each] = tried
        elif each in sources and sources[each].variables[each].dims == coord.dims:
            kept[each] = sources[each]
        elif each in tried.xindexes:
            raise OptionError(
                f"{name} makes the index {each!r}, whose labels are unknown before it is computed: give a template= "
                f"that has it"
            )
    full = {
        each: xr.Variable(v.dims, _filled(v, several, lengths), v.attrs)
        for each, v in tried.variables.items()
        if each not in kept
    }
    found = xr.Dataset(full, attrs=tried.attrs)
    found = found.set_coords([each for each in full if each in tried.coords])
    for source in (tried, *(argument.in_memory for argument in parted)):
        own = [each for each, home in kept.items() if home is source]
        found = found.assign_coords(source.drop_vars(set(source.variables) - set(own)).coords)
    return found, set(kept)


def _filled(variable: xr.Variable, several: set[Hashable], lengths: Lengths) -> Any:
    shape = tuple(
        sum(lengths[dim]) if dim in several else n
        for dim, n in zip(variable.dims, variable.shape, strict=True)
    )
    return np.broadcast_to(np.zeros((), variable.dtype), shape)


def _without_elements(x: Array, dims: Dims, several: set[Hashable]) -> Any:
    """Return an array in memory like ``x``, without elements where it has several blocks."""
    shape = tuple(0 if dim in several else n for dim, n in zip(dims, x.shape, strict=True))
    found = np.broadcast_to(np.ones((), x.dtype), shape)
    if found.size > _MOST_TRIED:
        raise OptionError(
            f"map_blocks would call the function with an array of shape {shape} to find out what it returns; say it "
            f"with template="
        )
    return found


def _assembled(promised: xr.Dataset, arrays: Mapping[Hashable, Array]) -> xr.Dataset:
    variables = {
        name: xr.Variable(v.dims, DuckArray(arrays[name]), v.attrs)
        for name, v in promised.variables.items()
        if name in arrays
    }
    kept = promised.drop_vars(arrays)
    found = xr.Dataset(variables, kept.coords, promised.attrs)
    return found.set_coords([name for name in variables if name in promised.coords])


def _refuse_lazy_keywords(keywords: Mapping[str, Any]) -> None:
    for key, value in keywords.items():
        held = as_dataset(value) if isinstance(value, xr.Dataset | xr.DataArray) else None
        lazy = isinstance(value, DuckArray | Array) or (
            held is not None and any(map(_is_lazy, held.variables.values()))
        )
        if lazy:
            raise TypeError(
                f"map_blocks: the keyword {key!r} is lazy, and keywords go to every part as they are: give it in "
                f"args=, of which each part gets its own, or compute it before"
            )


def _is_lazy(variable: xr.Variable) -> bool:
    return isinstance(variable._data, DuckArray | Array)  # noqa: SLF001 - .data would load


def _short(lengths: tuple[int, ...]) -> str:
    return (
        str(lengths)
        if len(lengths) <= 4
        else f"({', '.join(map(str, lengths[:3]))}, …, {lengths[-1]})"
    )
