"""A simulation is asked for by tables, as a file holds them; what cannot be is refused with what can."""

import pytest

from asyncexec.config.tables import read_tables
from asyncexec.errors import OptionError
from asyncexec.simulation import Cluster, Lognormal, Noise, simulate
from asyncexec.simulation.comparison import Variant
from asyncexec.simulation.plans import staged
from asyncexec.simulation.scenario import PlanSection, Scenario


def test_a_scenario_is_simulated_as_its_parts_would_be():
    tables = {
        "plan": {"tasks": 80, "durations": "lognormal:10,0.3"},
        "cluster": {"workers": 20, "price_per_hour": 1},
        "noise": {"slow_share": 0.1},
        "runs": {"rules": ["spark"], "seeds": 1, "seed": 7},
    }
    [row] = Scenario.of(tables).run().rows
    alone = simulate(
        staged(1, 80),
        Cluster(workers=20, price_per_hour=1.0, metered=True),
        durations=Lognormal(mean_seconds=10.0, sigma=0.3),
        noise=Noise(slow_share=0.1),
        straggler="spark",
        seed=7,
    )
    assert [run.makespan_seconds for run in row.runs] == [alone.makespan_seconds]


def test_an_empty_file_asks_for_what_the_command_does_without_options(tmp_path):
    (tmp_path / "case.toml").write_text("")
    scenario = Scenario.of(read_tables(tmp_path / "case.toml"))
    assert scenario.source.cluster == Cluster()
    assert scenario.source.plan.tasks == 1000
    assert scenario.variants == [Variant("off"), Variant("two_phase")]
    assert list(scenario.seeds) == [0, 1, 2]


def test_durations_are_a_text_a_number_several_or_a_table():
    for written, texts in (
        ("constant:5", ("constant:5",)),
        (5, ("5",)),
        (["20", "a=5"], ("20", "a=5")),
        ({"a": "constant:5", "b": 2.5}, ("a=constant:5", "b=2.5")),
    ):
        assert PlanSection(durations=written).durations == texts


@pytest.mark.parametrize(
    "section, key, value, says",
    [
        ("cluster", "workers", 2.5, "cluster.workers"),
        ("cluster", "workers", True, "cluster.workers"),
        ("cluster", "price_per_hour", "much", "cluster.price_per_hour"),
        ("cluster", "billed", "hours", "'attempts' or 'workers'"),
        ("noise", "slow_factors", [2, "x"], "noise.slow_factors"),
        ("noise", "factor", "normal:1", "normal:1"),
        ("noise", "hangs", 0.1, "did you mean 'hang_share'"),
        ("plan", "task", 5, "did you mean 'tasks'"),
        ("runs", "rules", [], "at least one"),
        ("runs", "retry", "often", "runs.retry"),
        ("runs", "seed", -1, "runs.seed must be a whole number of at least 0"),
    ],
)
def test_a_key_or_a_value_that_cannot_be_is_refused(section, key, value, says):
    with pytest.raises(OptionError, match=says):
        Scenario.of({section: {key: value}})


@pytest.mark.parametrize(
    "key, value", [("tasks", 5), ("path", "mine:plan"), ("late_tasks", {"fetch": 5})]
)
def test_what_a_history_says_is_not_said_again(key, value):
    with pytest.raises(OptionError, match=f"plan.{key} cannot be given with plan.history"):
        Scenario.of({"plan": {"history": "runs", key: value}})
