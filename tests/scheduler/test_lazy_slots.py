"""Attributes that are made when they are first asked for, in classes with slots."""

import gc

import pytest

from asyncexec.scheduler.lazy_slots import clear, drop, lazy, lazy_slots, made


@lazy_slots
class Shape:
    __slots__ = ("calls", "side")

    def __init__(self, side: int) -> None:
        self.side = side
        self.calls: list[str] = []

    @lazy
    def area(self) -> int:
        """The area."""
        self.calls.append("area")
        return self.side**2

    @lazy
    def volume(self) -> int:
        self.calls.append("volume")
        return self.area * self.side

    @lazy
    def colour(self) -> str:
        raise AttributeError("no colour is known")


def test_a_part_is_made_once_and_with_it_what_it_needs():
    shape = Shape(3)
    assert (shape.volume, shape.area, shape.volume) == (27, 9, 27)
    assert shape.calls == ["volume", "area"]


def test_a_part_that_was_let_go_of_is_made_again_when_it_is_asked_for():
    shape = Shape(3)
    drop(shape, Shape.area, Shape.volume)  # Neither is there.
    assert shape.area == 9
    drop(shape, Shape.area)
    assert made(shape, Shape.area) is None
    assert (shape.area, shape.calls) == (9, ["area", "area"])


def test_a_part_may_be_given():
    shape = Shape(3)
    shape.area = 10
    assert (shape.volume, shape.calls) == (30, ["volume"])


def test_an_object_without_parts_is_one_object_with_nothing_in_it_but_its_slots():
    shape = Shape(3)
    assert not hasattr(shape, "__dict__")
    assert {type(each) for each in gc.get_referents(shape)} <= {type, int, list}


def test_a_name_that_is_unknown_is_an_attribute_error_which_names_it():
    with pytest.raises(AttributeError, match="'Shape' object has no attribute 'weight'") as caught:
        Shape(3).weight  # noqa: B018 - asked for
    assert (caught.value.name, type(caught.value.obj)) == ("weight", Shape)


def test_what_the_making_of_a_part_raises_is_what_the_caller_gets():
    with pytest.raises(AttributeError, match="no colour is known"):
        Shape(3).colour  # noqa: B018 - asked for


def test_what_is_cleared_refers_to_nothing():
    shape = Shape(3)
    assert shape.volume == 27
    clear(shape)
    assert not [each for each in gc.get_referents(shape) if each is not Shape]


def test_the_class_keeps_its_name_its_place_and_its_documentation():
    assert (Shape.__name__, Shape.__module__) == ("Shape", __name__)
    assert Shape.__init__.__qualname__ == "Shape.__init__"
