"""Benchmarks take turns, and say medians, ratios and what is missing."""

import json
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from benchmarks import report, runner
from benchmarks.__main__ import main, with_contenders
from benchmarks.case import Case, Contender, Standing, Target
from benchmarks.cases import ALL


@pytest.fixture(autouse=True)
def nothing_to_collect(monkeypatch):
    """Before each turn, the runner clears up: here, after all tests that have run before."""
    monkeypatch.setattr(runner.gc, "collect", lambda: 0)


def contender(name, figures, turns, **options):
    values = iter(figures)

    @contextmanager
    def prepare(quick):
        yield lambda: turns.append(name) or {"seconds": next(values), "quick": float(quick)}

    return Contender(name=name, prepare=prepare, warms_up=False, **options)


def case_of(*contenders, targets=()):
    return Case(
        name="c",
        about="a test",
        figure="seconds",
        better="less is better",
        contenders=contenders,
        targets=targets,
        repeat=3,
    )


def silent(_):
    pass


def test_contenders_take_turns_there_and_back():
    turns = []
    case = case_of(contender("a", [1, 3, 2], turns), contender("b", [4, 4, 4], turns))
    outcome = runner.run(case, tell=silent)
    assert turns == ["a", "b", "b", "a", "a", "b"]
    assert [s.median("seconds") for s in outcome.standings] == [2, 4]
    assert outcome.standings[0].spread("seconds") == (1, 3)


def test_ratios_are_of_medians_against_the_reference():
    case = case_of(
        contender("ours", [2, 2, 9], []), contender("theirs", [4, 4, 1], [], reference=True)
    )
    outcome = runner.run(case, tell=silent)
    assert [outcome.ratio(s) for s in outcome.standings] == [0.5, 1.0]


def test_targets_are_met_or_missed_or_not_measured():
    targets = (
        Target(of="a", figure="seconds", at_most=2),
        Target(of="a", figure="seconds", at_most=0.4, against="b"),
        Target(of="nobody", figure="seconds", at_least=1),
    )
    case = case_of(contender("a", [2] * 3, []), contender("b", [4] * 3, []), targets=targets)
    outcome = runner.run(case, tell=silent)
    assert [v.met for v in outcome.verdicts] == [True, False, None]


def test_a_peer_that_is_not_installed_is_told_and_ours_is_an_error():
    @contextmanager
    def absent(_):
        import no_such_package_anywhere

        yield no_such_package_anywhere

    peer = Contender(name="peer", prepare=absent)
    outcome = runner.run(case_of(peer, contender("a", [1] * 3, [])), tell=silent)
    assert "no_such_package_anywhere is not installed" in outcome.standings[0].missing
    with pytest.raises(ModuleNotFoundError):
        runner.run(case_of(Contender(name="ours", prepare=absent, ours=True)), tell=silent)


def test_a_peer_that_fails_is_told_in_its_row_and_the_others_are_measured():
    @contextmanager
    def broken(_):
        yield lambda: 1 // 0

    case = case_of(Contender(name="peer", prepare=broken), contender("a", [1] * 3, []))
    outcome = runner.run(case, tell=silent)
    assert "ZeroDivisionError" in outcome.standings[0].missing
    assert outcome.standings[1].median("seconds") == 1
    with pytest.raises(ZeroDivisionError):
        runner.run(case_of(Contender(name="ours", prepare=broken, ours=True)), tell=silent)


def test_contenders_are_chosen_by_a_part_of_their_name(capsys):
    case = case_of(contender("engine, threads", [1], []), contender("Dask, threads", [1], []))
    assert [c.name for c in with_contenders(case, ["engine"]).contenders] == ["engine, threads"]
    assert list(with_contenders(case, []).contenders) == list(case.contenders)
    with pytest.raises(SystemExit):
        with_contenders(case, ["Spark"])
    assert "there are: engine, threads, Dask, threads" in capsys.readouterr().err


def test_warming_up_is_not_counted():
    counted = contender("a", [9, 1, 9, 1, 9, 1], [])
    counted = Contender(name="a", prepare=counted.prepare)
    assert runner.run(case_of(counted), tell=silent).standings[0].median("seconds") == 1


@pytest.mark.parametrize("show", [report.show_plain, report.show_rich])
def test_tables_show_every_contender(show, capsys):
    show("title", ["", "seconds"], [["ours", "1"], ["theirs", "2"]])
    out = capsys.readouterr().out
    assert all(word in out for word in ("title", "ours", "theirs"))


def test_json_holds_every_run():
    outcome = runner.run(case_of(contender("a", [1, 2, 3], [])), tell=silent)
    kept = json.loads(report.as_json({"cores": 2}, [outcome]))
    assert [run["seconds"] for run in kept["cases"]["c"]["contenders"]["a"]["runs"]] == [1, 2, 3]


def test_a_contender_without_runs_has_no_figures():
    standing = Standing(contender="a", missing="why")
    assert standing.median("seconds") is standing.spread("seconds") is None
    assert standing.figures == []


def test_unknown_names_are_refused(capsys):
    with pytest.raises(SystemExit):
        main(["no_such_case"])
    assert "noop_threads" in capsys.readouterr().err


def test_every_case_has_a_reference_and_known_contenders_in_its_targets():
    for case in ALL.values():
        names = {c.name for c in case.contenders}
        assert sum(c.reference for c in case.contenders) == 1
        assert {t.of for t in case.targets} | {t.against for t in case.targets} <= names | {None}


@pytest.mark.slow
def test_a_quick_benchmark_runs_to_its_end(tmp_path):
    # In a process of its own, as peers keep threads.
    kept = tmp_path / "figures.json"
    command = [sys.executable, "-m", "benchmarks", "array_store", "--quick", "--repeat", "1"]
    root = Path(__file__).parents[2]
    subprocess.run([*command, "--json", str(kept)], cwd=root, check=True, capture_output=True)
    figures = json.loads(kept.read_text())
    assert (
        figures["cases"]["array_store"]["contenders"]["engine, threads"]["medians"]["seconds"] > 0
    )
    assert "/" not in json.dumps(figures["machine"])
