"""Pictures are drawn from what the simulated attempts did."""

import re
import sys
import xml.etree.ElementTree as ET

import pytest

from asyncexec.errors import MissingExtraError, OptionError, WorkDirError
from asyncexec.events.outcome import Status
from asyncexec.simulation import Cluster, Noise
from asyncexec.simulation.comparison import Case, Variant
from asyncexec.simulation.plans import staged
from benchmarks.stragglers.attempt_bars import sample_of
from benchmarks.stragglers.canvas import check_picture
from benchmarks.stragglers.draw import main
from benchmarks.stragglers.pictures import draw_curves, draw_workers, panel_of
from benchmarks.stragglers.sensitivity import against_slow_attempts, against_workers

matplotlib = pytest.importorskip("matplotlib")

CASE = Case(
    plan=staged(2, 60),
    cluster=Cluster(workers=20),
    durations=10.0,
    noise=Noise(slow_share=0.1, failure_share=0.05, hang_share=0.02),
    timeout=200.0,
)
STAGES = ["stage-1", "stage-2"]


def texts(path):
    elements = (e for e in ET.parse(path).iter() if e.tag.endswith("}text"))
    return ["".join(element.itertext()).strip() for element in elements]


def test_every_attempt_of_the_workers_shown_is_a_bar():
    panel = panel_of(CASE, Variant("two_phase"), seed=1)
    assert list(panel.rows) == list(range(20))
    done = {(bar.stage, bar.task) for bar in panel.bars if bar.status is Status.SUCCEEDED}
    assert len(done) == 120
    assert any(bar.backup for bar in panel.bars)
    assert all(0 <= bar.begin <= bar.end <= panel.told.makespan_seconds for bar in panel.bars)
    assert all(0 <= bar.worker < 20 for bar in panel.bars)


def test_a_worker_runs_one_attempt_at_a_time():
    panel = panel_of(CASE, Variant("two_phase"), seed=2)
    by_worker = {}
    for bar in sorted(panel.bars, key=lambda bar: bar.begin):
        assert bar.begin >= by_worker.get(bar.worker, 0.0) - 1e-9
        by_worker[bar.worker] = bar.end


@pytest.mark.parametrize(
    "workers, most, shown", [(5, 60, 5), (60, 60, 60), (61, 60, 31), (10_000, 60, 60)]
)
def test_many_workers_are_sampled_evenly(workers, most, shown):
    sample = sample_of(workers, most)
    assert len(sample) == shown <= most
    assert sample[-1] < workers


def test_the_workers_of_the_longest_attempts_are_among_those_shown():
    case = Case(
        plan=staged(1, 600),
        cluster=Cluster(workers=200),
        durations=10.0,
        noise=Noise(slow_share=0.02),
    )
    panel = panel_of(case, Variant("off"), seed=0)
    assert 30 <= len(panel.rows) <= 60
    longest = max(bar.end - bar.begin for bar in panel.bars)
    assert longest > 50.0
    assert max(bar.end for bar in panel.bars) == pytest.approx(panel.told.makespan_seconds)


@pytest.mark.parametrize("ending", [".svg", ".png", ".pdf"])
def test_workers_are_drawn_over_time(tmp_path, ending):
    path = tmp_path / f"new/workers{ending}"
    panels = [panel_of(CASE, Variant(rule), seed=1) for rule in ("off", "two_phase")]
    draw_workers(path, panels, STAGES)
    assert path.stat().st_size > 5_000
    if ending == ".svg":
        said = texts(path)
        for text in (
            "off, pipelined",
            "two_phase, pipelined",
            "20 workers",
            "backup that was first",
            *STAGES,
        ):
            assert text in said
        assert any(text.startswith("stopped: another attempt") for text in said)


def test_the_same_run_gives_the_same_file(tmp_path):
    for name in ("a.svg", "b.svg"):
        draw_workers(tmp_path / name, [panel_of(CASE, Variant("off"), seed=3)], STAGES)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


def test_more_stages_than_colours_have_a_scale(tmp_path):
    case = Case(plan=staged(12, 5), cluster=Cluster(workers=3), durations=1.0)
    names = [stage.name for stage in case.plan.stages]
    draw_workers(tmp_path / "a.svg", [panel_of(case, Variant("off"), seed=0)], names)
    assert {"stage-1", "stage-7", "stage-12"} <= set(texts(tmp_path / "a.svg"))


@pytest.mark.parametrize("priced", [True, False])
def test_curves_have_a_line_for_each_variant(tmp_path, priced):
    variants = [Variant("off"), Variant("two_phase")]
    small = Case(plan=staged(1, 20), cluster=Cluster(workers=4), durations=10.0)
    curves = [way(small, variants, [0]) for way in (against_workers, against_slow_attempts)]
    draw_curves(tmp_path / "curves.svg", curves, priced=priced)
    said = texts(tmp_path / "curves.svg")
    for text in (
        "off, pipelined",
        "two_phase, pipelined",
        "0.5%",
        "16",
        "Makespan against workers",
    ):
        assert text in said
    assert ("Cost against workers" in said) == priced


def test_a_picture_that_cannot_be_is_refused(tmp_path):
    panels = [panel_of(CASE, Variant("off"), seed=1)]
    with pytest.raises(OptionError, match=re.escape(".svg, .png, .pdf")):
        draw_workers(tmp_path / "a.gif", panels, STAGES)
    (tmp_path / "a.svg").mkdir()
    with pytest.raises(OptionError, match="is a directory"):
        check_picture(tmp_path / "a.svg")
    (tmp_path / "file").write_text("")
    with pytest.raises(WorkDirError, match="cannot be written"):
        draw_workers(tmp_path / "file/a.svg", panels, STAGES)


def test_without_matplotlib_the_command_that_installs_it_is_told(tmp_path, monkeypatch):
    panels = [panel_of(CASE, Variant("off"), seed=1)]
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtraError, match="pip install"):
        draw_workers(tmp_path / "a.svg", panels, STAGES)
    with pytest.raises(MissingExtraError, match="pip install"):
        check_picture(tmp_path / "a.svg")


def test_the_script_draws_what_a_file_asks_for(tmp_path):
    (tmp_path / "case.toml").write_text("[cluster]\nworkers = 5\n[runs]\nseeds = 1\n")
    workers, curves = tmp_path / "workers.svg", tmp_path / "curves.svg"
    arguments = ["--set", "plan.tasks=20", "--workers", str(workers), "--curves", str(curves)]
    assert main([str(tmp_path / "case.toml"), *arguments]) == 0
    assert "<svg" in workers.read_text()
    assert "<svg" in curves.read_text()
