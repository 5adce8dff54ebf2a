"""The settings of all arrays that xarray makes here."""

from __future__ import annotations

from dataclasses import dataclass
from types import TracebackType
from typing import Self

from asyncexec.array.spec import Spec
from asyncexec.errors import OptionError


@dataclass(slots=True)
class _Settings:
    spec: Spec | None = None


_settings = _Settings()


class set_options:  # noqa: N801 - named and used like xarray's own
    """Set the spec of all arrays that xarray makes from now on, or in a ``with`` block.

    What is opened, chunked or read with ``from_array_kwargs={"spec": spec}`` has that one instead.

    >>> import xarray as xr
    >>> from asyncexec.integrations.xarray import set_options
    >>> with set_options(spec=ax.Spec(allowed_mem="1GB")):
    ...     ds = xr.Dataset({"t": ("x", np.arange(6.0))}).chunk(x=2, chunked_array_type="asyncexec")
    >>> ds.t.data.spec.allowed_bytes
    1000000000

    Parameters
    ----------
    spec : Spec or None
        None for the default.

    Raises
    ------
    OptionError
        If it is no spec.
    """

    __slots__ = ("_before",)

    def __init__(self, *, spec: Spec | None) -> None:
        if not isinstance(spec, Spec | None):
            raise OptionError(f"spec must be an asyncexec.Spec, or None, and is {spec!r}")
        self._before = _settings.spec
        _settings.spec = spec

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        _settings.spec = self._before


def chosen_spec(given: Spec | None = None) -> Spec | None:
    """Return ``given``, or what was set; None for the default.

    Raises
    ------
    OptionError
        If it is no spec.
    """
    if not isinstance(given, Spec | None):
        raise OptionError(
            f"from_array_kwargs={{'spec': ...}} takes an asyncexec.Spec, and got {given!r}"
        )
    return given if given is not None else _settings.spec
