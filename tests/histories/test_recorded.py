"""A run that was really run is read back from its history, and goes elsewhere as its shape says."""

import asyncio
import json
import math
import time
from importlib import import_module
from importlib.util import find_spec

import pytest

import asyncexec as ax
from asyncexec.errors import OptionError
from asyncexec.histories import read_run
from asyncexec.plan.relations import All, Blockwise
from asyncexec.simulation import Constant
from asyncexec.simulation.comparison import Variant
from asyncexec.simulation.what_if import what_if

PARQUET = pytest.param(
    "parquet", marks=pytest.mark.skipif(find_spec("pyarrow") is None, reason="needs pyarrow")
)
MATRIX = [Variant(rule, barriers) for barriers in (True, False) for rule in ("off", "two_phase")]


def nap(item):
    time.sleep(0.02)
    return item


def brief(item):
    time.sleep(0.01)
    return item


def recorded(directory, plan, **options):
    history = ax.History(directory, format=options.pop("format", "csv"))

    async def run():
        async with ax.Engine(executor="threads", executor_options={"max_workers": 4}) as engine:
            await engine.execute(plan, observers=[history], **options)

    asyncio.run(run())
    [folder] = history.folders
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    plan = ax.Plan.map(nap, range(60), memory="1MB").then(brief).reduce(sum, idempotent=False)
    return recorded(tmp_path_factory.mktemp("runs"), plan)


@pytest.mark.parametrize("file_format", ["csv", PARQUET])
def test_a_history_holds_the_plan_and_what_its_attempts_took(tmp_path, file_format):
    folder = recorded(tmp_path, ax.Plan.map(nap, range(9)).then(brief), format=file_format)
    run = read_run(folder)
    assert (run.executor, run.slots, run.status) == ("threads", 4, "succeeded")
    assert (run.attempts, run.backups, run.resumed) == (18, 0, 0)
    nap_stage, brief_stage = run.stages
    assert min(nap_stage.attempts.seconds) >= 0.019
    assert sorted(brief_stage.attempts.task.tolist()) == list(range(9))
    assert set(brief_stage.attempts.status.tolist()) == {"succeeded"}
    assert run.slot_seconds == pytest.approx(sum(run.succeeded_seconds()))
    assert run.wall_seconds >= 9 / 4 * 0.02


def test_the_shape_of_the_plan_comes_back(folder):
    plan = read_run(folder).to_plan()
    nap_stage, brief_stage, total = plan.stages
    assert (nap_stage.tasks, brief_stage.tasks, total.tasks) == (60, 60, 1)
    assert nap_stage.memory.projected_bytes == 1_000_000
    assert isinstance(brief_stage.reads[0].relation, Blockwise)
    assert brief_stage.reads[0].relation.is_identity
    assert total.reads[0].relation == All((60,), ())
    assert (brief_stage.idempotent, total.idempotent) == (True, False)


def test_a_run_in_a_folder_of_runs_is_found_if_it_is_the_only_one(folder, tmp_path):
    assert read_run(folder.parent).folder == folder
    recorded(tmp_path, ax.Plan.map(abs, range(2)))
    recorded(tmp_path, ax.Plan.map(abs, range(2), name="other"))
    with pytest.raises(OptionError, match="2 runs; name one of them: abs-1-"):
        read_run(tmp_path)


def test_a_folder_may_be_given_as_text(folder, tmp_path):
    assert read_run(str(folder)).attempts == read_run(folder).attempts
    with pytest.raises(OptionError, match="there is no history of a run in"):
        read_run(str(tmp_path / "nothing"))


def test_the_model_agrees_with_a_quiet_run(folder):
    told = what_if(read_run(folder), {"workers": 4}, MATRIX, [0, 1])
    # The machine that runs this may be busy with other things: the run is slower then, not the model.
    assert -0.7 < told.model_error < 0.5


def test_elsewhere_is_faster_as_there_are_more_workers_and_costs_what_they_cost(folder):
    run = read_run(folder)
    told = what_if(run, {"workers": 60, "price_per_hour": 3600.0}, MATRIX, range(5))
    barriers, _, pipelined, _ = (row.spread("makespan_seconds").median for row in told.there.rows)
    assert pipelined <= barriers < run.wall_seconds / 4
    assert told.there.rows[0].spread("cost").median == pytest.approx(run.slot_seconds, rel=0.5)
    assert told.measured_cost == pytest.approx(run.slot_seconds)
    json.dumps(told.as_json())


@pytest.mark.parametrize(
    "change, says",
    [
        ({"status": "running"}, "has not ended"),
        ({"slots": "many"}, "many"),
        ({"stages": [{"name": "nap"}]}, "KeyError"),
        ({"stages": [{"name": "other"}]}, "KeyError"),
    ],
)
def test_a_history_that_cannot_be_read_is_refused_with_the_reason(folder, tmp_path, change, says):
    described = json.loads((folder / "plan.json").read_text())
    (tmp_path / "plan.json").write_text(json.dumps(described | change))
    (tmp_path / "attempts.csv").write_bytes((folder / "attempts.csv").read_bytes())
    with pytest.raises(OptionError, match=says):
        read_run(tmp_path)


def test_a_folder_without_a_history_is_refused(tmp_path):
    with pytest.raises(OptionError, match="there is no history of a run in"):
        read_run(tmp_path)
    (tmp_path / "plan.json").write_text("{")
    with pytest.raises(OptionError, match="does not hold the history"):
        read_run(tmp_path)


@pytest.mark.parametrize("kept", ["", "plan,stage\n", "half a line"])
def test_a_table_that_is_cut_off_is_refused_with_the_reason(folder, tmp_path, kept):
    (tmp_path / "plan.json").write_bytes((folder / "plan.json").read_bytes())
    whole = (folder / "attempts.csv").read_text()
    (tmp_path / "attempts.csv").write_text(
        whole[: whole.index("\n") + 9] if kept == "half a line" else kept
    )
    with pytest.raises(OptionError, match=r"cannot|can read"):
        read_run(tmp_path)


def test_a_table_with_fewer_tasks_than_were_done_is_refused(folder, tmp_path):
    (tmp_path / "plan.json").write_bytes((folder / "plan.json").read_bytes())
    lines = (folder / "attempts.csv").read_text().splitlines(keepends=True)
    (tmp_path / "attempts.csv").write_text("".join(lines[:40]))
    with pytest.raises(
        OptionError, match=r"60 tasks of stage 'nap' were done, .* has \d+ of them: it is cut off"
    ):
        read_run(tmp_path)


def test_a_history_of_an_older_version_lacks_what_it_did_not_know_yet(folder, tmp_path):
    described = json.loads((folder / "plan.json").read_text())
    figures = {"kills": False, "straggler": "late"}
    (tmp_path / "plan.json").write_text(json.dumps(described | {"run": figures}))
    (tmp_path / "attempts.csv").write_bytes((folder / "attempts.csv").read_bytes())
    run = read_run(tmp_path)
    assert (run.figures.kills, run.figures.straggler, run.retry.attempts) == (False, "late", 4)


def with_one_stage_unmeasured(folder, directory):
    """Copy a history as if its run had been cancelled before the second stage."""
    described = json.loads((folder / "plan.json").read_text())
    described |= {"status": "cancelled"}
    for stage in described["stages"][1:]:
        stage["completed"] = 0
    (directory / "plan.json").write_text(json.dumps(described))
    heading, *rows = (folder / "attempts.csv").read_text().splitlines(keepends=True)
    place = heading.split(",").index("stage")
    kept = [row for row in rows if row.split(",")[place] == "nap"]
    (directory / "attempts.csv").write_text("".join([heading, *kept]))
    return directory


def test_stages_that_never_ran_are_given_durations(folder, tmp_path):
    run = read_run(with_one_stage_unmeasured(folder, tmp_path))
    assert (run.whole, run.completed) == (False, 60)
    assert [stage.measured for stage in run.stages] == [True, *[False] * (len(run.stages) - 1)]
    with pytest.raises(OptionError, match=r"'brief'.*--durations brief=HOW"):
        what_if(run, {"workers": 60}, MATRIX, [0])
    with pytest.raises(OptionError, match="'other'"):
        what_if(run, {"workers": 60}, MATRIX, [0], durations={"other": Constant(1.0)})
    given = {stage.name: Constant(50.0) for stage in run.stages[1:]}
    told = what_if(run, {"workers": 60}, MATRIX, [0], durations=given)
    assert told.there.rows[0].spread("makespan_seconds").median > 50.0 * (len(run.stages) - 1)
    assert told.model_error is None, "a part of a run says nothing about the whole"
    assert json.loads(json.dumps(told.as_json()))["measured"]["status"] == "cancelled"


def test_durations_are_those_of_one_stage_where_it_is_named(folder):
    run = read_run(folder)
    assert len(run.succeeded_seconds()) == run.attempts
    assert len(run.succeeded_seconds("nap")) == 60
    assert min(run.succeeded_seconds("nap")) >= 0.019
    with pytest.raises(OptionError, match="no stage 'nope'; it has nap, brief"):
        run.succeeded_seconds("nope")


def test_what_a_measured_run_would_have_cost_is_billed_as_elsewhere(folder):
    run = read_run(folder)
    prices = {"price_per_hour": 3600.0, "billed_step_seconds": 1.0}

    def cost(billed):
        changes = {"workers": 4, "billed": billed, **prices}
        return what_if(run, changes, MATRIX[:1], [0]).measured_cost

    assert cost("attempts") == pytest.approx(run.attempts)
    assert cost("workers") == pytest.approx(4 * math.ceil(run.wall_seconds))


def test_the_old_name_of_what_reads_histories_is_the_new_one():
    assert import_module("asyncexec.simulation.recorded").read_run is read_run
