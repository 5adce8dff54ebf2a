"""Attributes of classes with slots that are made when they are first asked for, and may be let go of.

A plan may have thousands of stages, and an engine as many plans, of which most wait or are complete: what each of them
holds is gone through by the garbage collector again and again. So what only attempts need is a lazy attribute of its
run or its stage. ``functools.cached_property`` keeps such values in a dictionary, which is one more object, and reads
them through a descriptor; here they are in slots, as with ``attrs``, so that one that is there costs no more than any
other.
"""

from __future__ import annotations

from contextlib import suppress
from types import MemberDescriptorType
from typing import TYPE_CHECKING, Any, Self, overload

if TYPE_CHECKING:
    from collections.abc import Callable


class lazy[T]:  # noqa: N801 - a decorator, as `property`
    """An attribute that is made when it is first asked for, by the method that it decorates; see :func:`lazy_slots`."""

    def __init__(self, make: Callable[[Any], T]) -> None:
        self.make = make
        self.__doc__ = make.__doc__

    if TYPE_CHECKING:  # A slot stands in its place when the program runs.

        @overload
        def __get__(self, owner: None, kind: type, /) -> Self: ...

        @overload
        def __get__(self, owner: object, kind: type, /) -> T: ...

        def __get__(self, owner: object, kind: type, /) -> T | Self: ...

        def __set__(self, owner: object, value: T, /) -> None: ...

        def __delete__(self, owner: object, /) -> None: ...


def lazy_slots[T](cls: type[T]) -> type[T]:
    """Return ``cls`` with a slot for each attribute that :class:`lazy` declares.

    A value that is not there is made, also again after :func:`drop`.
    The class is made anew, so its methods cannot call ``super()`` without arguments.

    Parameters
    ----------
    cls : type
        A class that declares ``__slots__``.

    Examples
    --------
    >>> from asyncexec.scheduler.lazy_slots import drop, lazy, lazy_slots, made
    >>> @lazy_slots
    ... class Circle:
    ...     __slots__ = ("radius",)
    ...
    ...     def __init__(self, radius):
    ...         self.radius = radius
    ...
    ...     @lazy
    ...     def area(self):
    ...         return 3 * self.radius**2
    >>> circle = Circle(2)
    >>> made(circle, Circle.area), circle.area, made(circle, Circle.area)
    (None, 12, 12)
    >>> drop(circle, Circle.area)
    >>> made(circle, Circle.area) is None
    True
    """
    members = dict(vars(cls))
    declared: tuple[str, ...] = members["__slots__"]
    makers: dict[str, Callable[[Any], Any]] = {
        name: member.make for name, member in members.items() if isinstance(member, lazy)
    }

    def make(self: object, name: str) -> Any:
        # Called where a slot is empty, and for names that the class has not.
        maker = makers.get(name)
        if maker is None:
            message = f"{type(self).__name__!r} object has no attribute {name!r}"
            raise AttributeError(message, name=name, obj=self)
        value = maker(self)
        setattr(self, name, value)
        return value

    for name in (*declared, *makers):
        del members[name]
    members |= {"__slots__": (*declared, *makers), "__getattr__": make}
    metaclass: Callable[..., type[T]] = type(cls)
    return metaclass(cls.__name__, cls.__bases__, members)


def made[T](owner: object, part: lazy[T]) -> T | None:
    """Return a part of ``owner`` if it is there, and None if it has not been made; ``part`` is ``Class.name``."""
    try:
        return part.__get__(owner, type(owner))
    except AttributeError:
        return None


def drop(owner: object, *parts: lazy[Any]) -> None:
    """Let go of parts of ``owner``, also of those that are not there; what is asked for again is made again."""
    for part in parts:
        try:
            part.__delete__(owner)
        except AttributeError:
            continue


def clear(owner: object) -> None:
    """Let go of all that ``owner`` refers to; it is of no use after that."""
    for member in vars(type(owner)).values():
        if isinstance(member, MemberDescriptorType):
            with suppress(AttributeError):
                member.__delete__(owner)
