"""Names of axes that targets of one run share: in a group, xarray reads each name as one length."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from asyncexec.errors import OptionError
from asyncexec.storage.places.identity import identity

if TYPE_CHECKING:
    from asyncexec.storage.workspace.target import Target


def check_shared_names(targets: Sequence[Target]) -> None:
    """Check that axes of one name are equally long in all ``targets`` of a group.

    Raises
    ------
    OptionError
        If there are two lengths, with which xarray cannot read the group.
    """
    lengths: dict[tuple[str, str], tuple[int, Target]] = {}
    for target in targets:
        if not target.around.is_grouped:
            continue
        group = identity(target.place).rpartition("/")[0]
        traits = target.planned.traits
        for axis, name in enumerate(traits.dimension_names):
            if name is None or axis in traits.resized_axes:
                continue
            length = target.planned.shape[axis]
            known, other = lengths.setdefault((group, name), (length, target))
            if known != length:
                raise OptionError(
                    f"{name!r} would name axes of {known} elements (of {other.place}) and of {length} (of "
                    f"{target.place}) in one group, which xarray could not read: give one of them another name by "
                    f"dimension_names="
                )
