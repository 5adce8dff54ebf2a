"""What a run cannot use is refused before it starts, with a sentence that says what to do."""

import numpy as np
import pytest

import asyncexec as ax
from asyncexec.errors import OptionError


class AwaitedCall:
    async def __call__(self, event):
        raise AssertionError


class AwaitedObserver:
    async def observe(self, events):
        raise AssertionError


@pytest.mark.parametrize(
    "observer",
    [AwaitedCall(), AwaitedObserver(), AwaitedCall().__call__],
    ids=["call", "observe", "bound"],
)
def test_observers_that_would_have_to_be_awaited_are_refused(observer):
    with pytest.raises(OptionError, match=r"nobody awaits.*engine\.stream"):
        ax.Engine(observers=[observer])


@pytest.mark.parametrize("number", [10**400, -(10**400)], ids=["large", "small"])
def test_numbers_that_no_float_can_hold_are_refused(number):
    with pytest.raises(OptionError, match="timeout must be"):
        ax.Engine(timeout=number)
    with pytest.raises(OptionError, match="must be"):
        ax.Engine(resources={"gpus": number})


@pytest.mark.parametrize("name", [5, b"x", ["a"], ""], ids=["number", "bytes", "list", "empty"])
def test_names_that_are_no_text_are_refused(name):
    with pytest.raises(OptionError, match="the name of a stage must be a text"):
        ax.Plan.map(abs, [1], name=name)
    with pytest.raises(OptionError, match="the name of a plan must be a text"):
        ax.Plan([], name=name)


@pytest.mark.parametrize("place", [3, 2.5, b"x", ["a"]], ids=["int", "float", "bytes", "list"])
@pytest.mark.parametrize("option", ["work_dir", "cache_dir"])
def test_what_can_be_no_place_is_refused_by_the_name_of_its_option(option, place):
    with pytest.raises(OptionError, match=f"{option} must be a path, an URL or a store"):
        ax.Engine(**{option: place})


@pytest.mark.parametrize("settings", [3, True, [1], "1GB", 2.5], ids=repr)
@pytest.mark.parametrize("option", ["cluster_memory", "object_store"])
def test_settings_that_are_no_mapping_are_refused_by_the_name_of_their_option(option, settings):
    with pytest.raises(
        OptionError, match=f"{option} must map names to values.*not a {type(settings).__name__}"
    ):
        ax.Engine(**{option: settings})


@pytest.mark.parametrize("given", [3, np.array(1), np.float64(2)], ids=repr)
def test_what_cannot_be_gone_through_is_no_list_of_observers_or_rules(given):
    with pytest.raises(OptionError, match="observers are a list, not"):
        ax.Engine(observers=given)
    with pytest.raises(OptionError, match=r"optimize=.* is no rule"):
        ax.Spec(optimize=given)
