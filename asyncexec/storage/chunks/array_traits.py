"""Attributes, names of axes and codecs of arrays that are to be created, as text that can be sent and compared."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from asyncexec.errors import OptionError

DEFAULT_COMPRESSOR = {"name": "zstd", "configuration": {"level": 0, "checksum": True}}
"""The compressor for ``"auto"``: Zarr's own default, with zstd's checksum, so that a flipped bit is noticed."""

_COMPRESSOR_FORMS = (
    "give 'auto', None, a name such as 'gzip', a codec of zarr.codecs, or a mapping such as "
    "{'name': 'zstd', 'configuration': {'level': 0, 'checksum': True}}"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ArrayTraits:
    """Attributes, names of axes, and codecs of an array that is to be created, as text that can be sent and compared.

    Attributes
    ----------
    attributes : str
        JSON of the mapping; empty for none.
    dimension_names : tuple of str or None
        One for each axis; empty where nothing is said about them.
    resized_axes : tuple of int
        Axes whose names are those of a source that has another length there: among the arrays of a group, where a name
        has one length, they get names of their own.
    filters : str
        JSON of the codecs that come before the chunk is made bytes; empty for none.
    compressors : str
        JSON of the codecs that come after it, where they are not one; empty otherwise.
    zarr_format : int or None
        The format that is asked for; None for that of the groups around it.
    fill_given : bool
        Whether the fill value was asked for, so that it is kept in format 2 too, where it reads as missing.
    """

    attributes: str = ""
    dimension_names: tuple[str | None, ...] = ()
    resized_axes: tuple[int, ...] = ()
    filters: str = ""
    compressors: str = ""
    zarr_format: int | None = None
    fill_given: bool = False

    @property
    def has_codecs(self) -> bool:
        """True where chunks are encoded by more than one compressor, so that Zarr encodes them."""
        return bool(self.filters or self.compressors)


NO_TRAITS = ArrayTraits()


def codec_json(codec: Any, what: str) -> str:
    """Return a codec as JSON: ``{"name": ..., "configuration": ...}``, or numcodecs' ``{"id": ...}``.

    Raises
    ------
    OptionError
        If it is no codec; ``what`` is its name in the message.
    """
    given = codec
    for method in ("to_dict", "get_config"):
        if callable(getattr(given, method, None)):
            given = getattr(given, method)()
            break
    if isinstance(given, str) and given:
        given = _named_codec(given, what)
    is_filter = what == "filter"
    names = ("name", "id") if is_filter else ("name",)
    if not isinstance(given, Mapping) or not any(isinstance(given.get(n), str) for n in names):
        forms = "give codecs of zarr.codecs or numcodecs" if is_filter else _COMPRESSOR_FORMS
        raise OptionError(f"{what}={codec!r} is not a {what}: {forms}")
    return json.dumps(given, sort_keys=True, default=lambda o: getattr(o, "value", str(o)))


def _named_codec(name: str, what: str) -> Mapping[str, Any]:
    """Return the codec of Zarr's that is called ``name``, with its own defaults."""
    from zarr.registry import get_codec_class  # noqa: PLC0415 - dear, and most codecs are not given by name

    try:
        found: Mapping[str, Any] = get_codec_class(name)().to_dict()
    except Exception:  # noqa: BLE001 - a codec that is not known, or has no defaults
        raise OptionError(
            f"{what}={name!r} is not a {what} that Zarr knows by its name alone: give 'zstd', 'gzip' or 'blosc', or a "
            f"codec or mapping"
        ) from None
    return found


def codecs_json(codecs: Any, what: str) -> str:
    """Return codecs (one, several, or None) as a JSON list; empty for none.

    Raises
    ------
    OptionError
        If one is no codec.
    """
    several = codecs if isinstance(codecs, Sequence) and not isinstance(codecs, str) else (codecs,)
    given = [json.loads(codec_json(each, what)) for each in several if each is not None]
    return json.dumps(given) if given else ""


_DEFAULT_JSON = json.dumps(DEFAULT_COMPRESSOR, sort_keys=True)


def compressor_json(compressor: Any) -> str:
    """Return ``compressor`` as JSON in Zarr 3's terms, ``""`` for none.

    Raises
    ------
    OptionError
        If it is not a compressor.
    """
    if compressor is None:
        return ""
    if isinstance(compressor, str) and compressor in ("auto", "zstd"):
        # Asked for every array that is planned, and always the same.
        return _DEFAULT_JSON
    return codec_json(compressor, "compressor")


def attributes_json(attributes: Mapping[str, Any] | None) -> str:
    """Return attributes as JSON; NumPy's scalars and arrays become numbers and lists.

    Raises
    ------
    OptionError
        If they are no mapping of names, or JSON cannot hold a value.
    """
    if not attributes:
        return ""
    mapping: Any = attributes
    if not isinstance(mapping, Mapping) or not all(isinstance(name, str) for name in mapping):
        raise OptionError(f"attributes={attributes!r} must map names to values that JSON can hold")
    try:
        return json.dumps(dict(attributes), default=_plain)
    except (TypeError, ValueError) as error:
        raise OptionError(f"attributes cannot be written as JSON: {error}") from None


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} is no value that JSON can hold")
