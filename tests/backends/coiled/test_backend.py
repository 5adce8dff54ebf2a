"""What the `coiled` executor does before it speaks with the service, with the real client."""

import asyncio

import pytest

pytest.importorskip("coiled")

import coiled
import dask

from asyncexec.backends.coiled import CoiledBackend
from asyncexec.errors import ConfigurationError, OptionError
from tests.backends.coiled.server import TOKEN, coiled_server


async def test_without_an_account_it_says_how_to_get_in():
    with (
        dask.config.set({"coiled.token": None}),
        pytest.raises(ConfigurationError, match="coiled login"),
    ):
        async with CoiledBackend():
            pass


async def test_a_token_that_is_not_accepted_is_refused_without_a_question_and_not_told():
    async with coiled_server() as (address, asked):
        with (
            dask.config.set({"coiled.token": "wrong-one", "coiled.server": address}),
            pytest.raises(ConfigurationError, match="does not accept the token") as caught,
        ):
            async with CoiledBackend():
                pass
    assert asked == ["/api/v2/user/me"]
    assert "wrong-one" not in str(caught.value)


async def test_a_service_that_does_not_answer_is_named():
    async with coiled_server() as (address, _asked):
        pass
    with (
        dask.config.set({"coiled.token": TOKEN, "coiled.server": address}),
        pytest.raises(ConfigurationError, match="cannot be checked with 'http://127"),
    ):
        async with CoiledBackend():
            pass


async def test_a_service_that_speaks_something_else_is_named():
    async def answer(reader, writer):
        writer.write(b"220 here is a mail server\r\n")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        with (
            dask.config.set({"coiled.token": TOKEN, "coiled.server": address}),
            pytest.raises(ConfigurationError, match="cannot be checked with 'http://127"),
        ):
            async with CoiledBackend():
                pass


def test_options_reach_the_client_as_it_calls_them():
    backend = CoiledBackend(
        max_workers=9,
        min_workers=2,
        cpus=4,
        memory="8GiB",
        gpus=True,
        region="eu-central-1",
        env_vars={"LEVEL": "7"},
        spot=False,
    )
    function = coiled.function(**backend._made)(abs)
    made = function._cluster_kwargs
    assert made["n_workers"] == 2
    assert (made["worker_cpu"], made["worker_memory"], made["worker_gpu"]) == (4, "8GiB", True)
    assert (made["region"], made["spot_policy"]) == ("eu-central-1", "on-demand")
    assert made["worker_options"] == {"nthreads": 1}
    assert function._environ == {"LEVEL": "7"}
    assert backend.capabilities.resources == {"gpus": 9.0}
    assert backend.capabilities.kills
    assert backend.capabilities.metered


@pytest.mark.parametrize(
    "options, word",
    [
        ({"max_workers": 0}, "max_workers"),
        ({"min_workers": 5, "max_workers": 4}, "min_workers"),
        ({"gpus": "yes"}, "gpus"),
        ({"threads": 0}, "threads"),
        ({"env_vars": {"A": 1}}, "env_vars"),
    ],
)
def test_wrong_options_are_refused_by_name(options, word):
    with pytest.raises(OptionError, match=word):
        CoiledBackend(**options)
