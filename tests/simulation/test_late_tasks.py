"""Plans of which only a run finds out the number of tasks are simulated with numbers that are given, or that were."""

import asyncio
import json

import pytest

import asyncexec as ax
from asyncexec.errors import OptionError
from asyncexec.histories import read_run
from asyncexec.plan import Read, Stage
from asyncexec.plan.relations import All, identity
from asyncexec.simulation import Cluster, simulate
from asyncexec.simulation.comparison import Case, Variant, compare
from asyncexec.simulation.late_tasks import sized_plan, with_late_tasks
from asyncexec.simulation.scenario import Scenario
from asyncexec.simulation.what_if import what_if


def chain():
    return ax.Plan.call(list, name="cities").then_each(str, name="fetch").then(str, name="clean")


NUMBERS = {"fetch": 150}


@pytest.mark.parametrize("barriers, seconds", [(False, 40.0), (True, 50.0)])
def test_late_stages_begin_when_what_they_wait_for_has_ended(barriers, seconds):
    simulated = simulate(
        chain(), Cluster(workers=100), durations=10.0, late_tasks=NUMBERS, barriers=barriers
    )
    assert simulated.makespan_seconds == pytest.approx(seconds)
    assert (simulated.tasks, simulated.attempts) == (301, 301)


def test_what_a_late_stage_reads_besides_is_complete_before():
    plan = chain()
    late = plan.stage("fetch").late
    other = Stage(name="other", kernel=max, shape=(3,))
    inputs = (*plan.stage("fetch").inputs, Read("other", All((3,), (0,)), many=True))
    both = Stage(name="both", kernel=max, shape=(0,), inputs=inputs, late=late)
    simulated = simulate(
        ax.Plan([plan.stage("cities"), other, both]),
        Cluster(workers=10),
        durations={"cities": 1.0, "other": 5.0, "both": 1.0},
        late_tasks={"both": 10},
    )
    assert simulated.makespan_seconds == pytest.approx(6.0)


def test_the_share_that_is_complete_counts_tasks_not_known_yet():
    shares = []
    simulate(
        chain(),
        durations=1.0,
        late_tasks={"fetch": 0},
        on_start=lambda share: shares.append(share()),
    )
    assert shares == [0.0]


def test_a_number_that_is_missing_is_asked_for():
    with pytest.raises(OptionError, match=r"fetch. Say how many .*late_tasks=\{'fetch': 100\}"):
        simulate(chain())


@pytest.mark.parametrize(
    "numbers, says",
    [
        ({"fetsh": 1, "fetch": 1}, "did you mean 'fetch'"),
        ({"clean": 1, "fetch": 1}, "The stages that need one are: fetch"),
        ({"fetch": -1}, "must be a whole number of at least 0"),
    ],
)
def test_a_number_for_another_stage_or_below_0_is_refused(numbers, says):
    with pytest.raises(OptionError, match=says):
        simulate(chain(), late_tasks=numbers)


def test_a_plan_without_late_stages_stays_as_it_is():
    plan = ax.Plan.map(abs, range(3))
    assert sized_plan(with_late_tasks(plan, {})) is plan


def test_variants_are_compared_on_all_tasks():
    case = Case(plan=chain(), cluster=Cluster(workers=10), durations=1.0, late_tasks=NUMBERS)
    told = compare(case, [Variant("off")], [0]).as_json()
    assert told["plan"]["tasks"] == 301
    assert [stage["tasks"] for stage in told["plan"]["stages"]] == [1, 150, 150]


def test_a_file_says_the_numbers():
    tables = {"plan": {"path": "mine:chain", "late_tasks": {"fetch": 20}}}
    tables |= {"runs": {"rules": ["off"], "seeds": 1}}
    compared = Scenario.of(tables, load={"mine:chain": chain()}.__getitem__).run()
    assert compared.rows[0].runs[0].tasks == 41
    with pytest.raises(OptionError, match=r"plan.late_tasks must"):
        Scenario.of({"plan": {"late_tasks": 5}})


def lists():
    return list(range(12))


@pytest.fixture
def folder(tmp_path):
    plan = ax.Plan.call(lists).then_each(str, name="each").then(str, name="then").reduce(len)
    history = ax.History(tmp_path, format="csv")

    async def run():
        async with ax.Engine(executor="threads", executor_options={"max_workers": 4}) as engine:
            await engine.execute(plan, observers=[history])

    asyncio.run(run())
    return history.folders[0]


def test_a_recorded_run_comes_back_with_the_sizes_that_were_as_late_as_they_were(folder):
    plan = read_run(folder).to_plan()
    assert [stage.waits_for for stage in plan.stages] == [(), *[("lists",)] * 3]
    assert [stage.tasks for stage in sized_plan(plan).stages] == [1, 12, 12, 1]
    assert sized_plan(plan).stage("then").reads[0].relation == identity((12,))
    simulated = simulate(plan, Cluster(workers=4), durations=1.0)
    assert simulated.makespan_seconds == pytest.approx(1 + 24 / 4 + 1)


def test_what_if_takes_a_recorded_run_with_late_stages(folder):
    told = what_if(read_run(folder), {"workers": 2}, [Variant("off")], [0])
    assert told.there.rows[0].runs[0].tasks == 26
    assert told.model_error is not None


def test_a_run_that_ended_before_a_size_was_known_is_no_plan(folder):
    described = json.loads((folder / "plan.json").read_text())
    described["stages"][1]["late"] = True
    (folder / "plan.json").write_text(json.dumps(described))
    with pytest.raises(OptionError, match="how many tasks each had"):
        read_run(folder).to_plan()
