import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, Any

import pytest

from asyncexec.backends.option_fields import (
    Option,
    check_options,
    declared_options,
    takes_options,
)
from asyncexec.backends.options import Count, EnvVars, Memory, Seconds, Texts, whole_number
from asyncexec.errors import OptionError


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolOptions:
    """Options of a pool."""

    url: str
    """Of the pool,
    as ``text``.

    This is more than its list says."""

    size: Count | None = None
    """How many."""

    port: Annotated[int, partial(whole_number, least=0)] = 0
    memory: Memory = "1GB"
    patience: Seconds = 1
    modules: Texts = ()
    loud: bool = False
    env_vars: EnvVars | None = field(default=None, repr=False)
    client: Any = None

    def __post_init__(self) -> None:
        check_options(self, executor="pool")


class Pool:
    @takes_options(PoolOptions)
    def __init__(self, options: PoolOptions) -> None:
        self.told = options


class Derived(Pool):
    """It takes what its base takes."""


class Own(Pool):
    def __init__(self, *, url: str) -> None:
        super().__init__(url=url, size=2)


def test_the_options_are_keyword_arguments_of_the_class():
    assert Pool(url="a", size=3).told == PoolOptions(url="a", size=3)
    assert list(inspect.signature(Pool).parameters) == [
        *("url", "size", "port", "memory", "patience", "modules", "loud", "env_vars", "client")
    ]
    assert inspect.signature(Pool).parameters["memory"].default == "1GB"
    assert inspect.signature(Pool).parameters["url"].default is inspect.Parameter.empty
    assert inspect.signature(Pool).parameters["size"].annotation == int | None
    with pytest.raises(TypeError, match="url"):
        Pool()
    with pytest.raises(TypeError, match="colour"):
        Pool(url="a", colour="red")


def test_each_is_told_with_its_default_and_the_first_paragraph_that_is_written_of_it():
    url, size, *_, client = declared_options(Pool)
    assert url == Option(name="url", default=None, meaning="Of the pool, as ``text``.")
    assert size == Option(name="size", default="None", meaning="How many.")
    assert client == Option(name="client", default="None", meaning="")


def test_a_derived_class_declares_what_its_base_does_unless_it_takes_others():
    assert declared_options(Derived) == declared_options(Pool)
    assert declared_options(Own) is None
    assert declared_options(lambda size: Pool(url="a", size=size)) is None
    assert Own(url="b").told.size == 2


@pytest.mark.parametrize(
    "options, said",
    [
        ({"url": ""}, "executor 'pool': url must be text, not ''"),
        ({"url": None}, "url must be text, not None"),
        ({"size": 0}, "size must be a whole number of at least 1, not 0"),
        ({"port": -1}, "port must be a whole number of at least 0, not -1"),
        ({"port": None}, "port must be a whole number of at least 0, not None"),
        ({"memory": "much"}, "memory='much' is not a size"),
        ({"memory": None}, "memory must be given, not None"),
        ({"patience": "long"}, "patience must be in seconds, not 'long'"),
        ({"modules": "numpy"}, "modules must be a list of texts, not 'numpy'"),
        ({"loud": 1}, "loud must be True or False, not 1"),
        ({"env_vars": {"A": 1}}, "env_vars must map names to text, not 'A' to int"),
    ],
)
def test_a_value_that_is_not_allowed_is_refused_by_name(options, said):
    with pytest.raises(OptionError, match=said):
        Pool(**{"url": "a", **options})


def test_a_value_is_kept_as_its_check_returns_it():
    variables, modules = {"A": "1"}, ["numpy"]
    told = PoolOptions(url="a", memory="2GB", patience=3, modules=modules, env_vars=variables)
    variables["B"] = "2"
    assert (told.memory, told.modules, told.env_vars) == (2 * 10**9, ("numpy",), {"A": "1"})
    assert type(told.patience) is float
    assert isinstance(told.modules, Sequence)
    assert isinstance(told.env_vars, Mapping)


def test_what_may_be_secret_is_in_no_repr():
    assert "hush" not in repr(PoolOptions(url="a", env_vars={"TOKEN": "hush"}))


def test_the_options_of_a_class_whose_source_is_not_there_are_told_without_their_meaning(
    monkeypatch,
):
    def gone(_):
        raise OSError

    monkeypatch.setattr(inspect, "getsource", gone)
    assert {option.meaning for option in declared_options(Pool)} == {""}


def test_a_check_takes_an_executor_and_an_option_for_where():
    said = "executor 'pool': size must be a whole number of at least 2, not 1"
    with pytest.raises(OptionError, match=said):
        whole_number(1, executor="pool", option="size", least=2)
