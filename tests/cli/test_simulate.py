"""`asyncexec simulate` says how long and how dear a plan would be, or in one sentence why not."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import fields

import psutil
import pytest

from asyncexec.cli import main
from asyncexec.simulation import Cluster, Noise
from asyncexec.simulation.scenario import PlanSection, RunsSection
from asyncexec.testing.patience import scaled
from tests.architecture.imports import REPOSITORY
from tests.histories.made_history import row, write_history

PAGE = REPOSITORY / "docs/how-to/simulate-a-run.md"
COMMAND = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
SMALL = ("--tasks", "60", "--workers", "20", "--seeds", "2")


def simulate(capsys, *arguments):
    assert main(["simulate", *arguments]) == 0, capsys.readouterr().err
    return capsys.readouterr().out


def figures(out, name):
    [line] = [line for line in out.splitlines() if line.strip().startswith(name)]
    return line


def test_the_command_compares_backups_with_none(capsys):
    out = simulate(capsys, *SMALL, "--slow", "0.1", "--price", "2")
    assert "60 tasks in 1 stage on 20 workers, 10.00% of attempts 2 to 10 times as slow" in out
    heading = next(line for line in out.splitlines() if "two_phase" in line)
    assert heading.split() == ["off", "two_phase"]
    for name in ("takes", "ideal", "efficiency", "faster by", "99.9%", "worker time", "wasted",
                 "cost", "backups", "were first", "useless", "driver events/s"):  # fmt: skip
        assert figures(out, name)
    assert "retries" not in out, "there were none"


def test_the_same_seed_gives_the_same_json_but_for_what_the_machine_does(capsys):
    def told(seed):
        out = simulate(capsys, *SMALL, "--slow", "0.1", "--json", "--seed", seed)
        found = json.loads(out)
        for variant in found["variants"]:
            for run in variant["runs"]:
                del run["machine"]
        return found

    first = told("3")
    assert first == told("3")
    assert first["seeds"] == [3, 4]
    assert first["cluster"]["workers"] == 20
    assert [v["rule"] for v in first["variants"]] == ["off", "two_phase"]
    assert first["variants"] != told("7")["variants"]


def test_all_rules_and_both_orders_are_compared(capsys):
    out = simulate(
        capsys, *SMALL, "--stages", "2", "--rule", "all", "--set", "runs.order=both", "--json"
    )
    variants = [(v["rule"], v["barriers"]) for v in json.loads(out)["variants"]]
    rules = ["off", "cubed", "spark", "late", "two_phase"]
    assert sorted(variants) == sorted((rule, b) for rule in rules for b in (True, False))


CONFIG = """
[plan]
stages = 2
tasks = 60
relation = "reduce:4"
task_memory = "10MB"
durations = ["lognormal:10,0.2", "stage-2=5"]

[cluster]
workers = 20
cold_start_seconds = 3
slowness = [1, 2]
warm_up = 4
lead_seconds = 1
tail_seconds = 0.5
between_seconds = 0.01
avoids = false
arrival_per_second = 5
loss_per_hour = 1
replaced = false
starts_per_second = 50
latency_seconds = 0.01
kills = false
memory_bytes = "1GB"
price_per_hour = 1
price_per_start = 0.001
slow_share = 0.1
slow_factor = 2
speed_sigma = 0.1
metered = false
billed_least_seconds = 2
billed_step_seconds = 0.1

[noise]
slow_share = 0.5
slow_factors = [3, 4]
factor = "lognormal:1,0.1"
failure_share = 0.01
storage_share = 0.02
storage_seconds = 30

[runs]
rules = ["spark"]
timeout = 1
retry = 9
seeds = 2
"""


def test_a_file_says_everything_and_options_go_before_it(capsys, tmp_path):
    (tmp_path / "case.toml").write_text(CONFIG)
    out = simulate(
        capsys, "--config", str(tmp_path / "case.toml"), "--set", "runs.timeout=500", "--slow", "0.02", "--json"
    )  # fmt: skip
    told = json.loads(out)
    assert told["cluster"] == {
        "workers": 20, "workers_per_host": 1, "speed_sigma": 0.1, "slow_share": 0.1, "slow_factor": 2.0,
        "arrival_per_second": 5.0, "cold_start_seconds": 3.0, "loss_per_hour": 1.0, "replaced": False,
        "starts_per_second": 50.0, "latency_seconds": 0.01, "kills": False, "kill_seconds": 0.0,
        "price_per_hour": 1.0, "price_per_start": 0.001, "metered": False, "memory_bytes": 10**9, "resources": None,
        "billed": "attempts", "billed_least_seconds": 2.0, "billed_step_seconds": 0.1,
        "slowness": [1.0, 2.0], "warm_up": "Constant(seconds=4.0)", "lead_seconds": 1.0, "tail_seconds": 0.5,
        "between_seconds": 0.01, "holds": True, "avoids": False,
    }  # fmt: skip
    assert told["noise"] == {
        "factor": "Lognormal(mean_seconds=1.0, sigma=0.1)", "slow_share": 0.02,
        "slow_factors": [3.0, 4.0], "hang_share": 0.0, "failure_share": 0.01,
        "storage_share": 0.02, "storage_seconds": 30.0, "function": None,
    }  # fmt: skip
    assert [stage["tasks"] for stage in told["plan"]["stages"]] == [60, 15]
    assert (told["timeout"], told["retry"]) == (500.0, 9)
    assert told["durations"]["stage-2"] == "Constant(seconds=5.0)"
    assert 10**8 < told["variants"][0]["runs"][0]["peak_bytes"] <= 10**9


def test_a_price_makes_the_scheduler_sparing_unless_told_otherwise(capsys):
    assert json.loads(simulate(capsys, *SMALL, "--price", "1", "--json"))["cluster"]["metered"]
    assert not json.loads(simulate(capsys, *SMALL, "--json"))["cluster"]["metered"]
    idle = json.loads(
        simulate(capsys, *SMALL, "--price", "1", "--set", "cluster.billed=workers", "--json")
    )
    assert not idle["cluster"]["metered"], "a backup on an idle worker costs nothing"


@pytest.mark.parametrize(
    "arguments, told",
    [
        (["--stages", "0"], ["--stages", "at least 1"]),
        (["--relation", "some"], ["'some'", "one-to-one"]),
        (["--durations", "normal:1"], ["normal:1", "lognormal:MEAN,SIGMA"]),
        (["--durations", "a=1"], ["'a'", "stage-1"]),
        (["--durations", "some"], ["'some'", "constant:SECONDS"]),
        (["--durations", "stage-1=1", "--durations", "stage-1=2"], ["twice", "stage-1"]),
        (["--stages", "2", "--durations", "stage-1=1"], ["stage-2=HOW"]),
        (["--workers", "0"], ["--workers", "at least 1"]),
        (["--slow", "2"], ["--slow", "from 0 to 1"]),
        (["--price", "nan"], ["--price", "finite"]),
        (["--set", "cluster.slow_share=2"], ["slow_share", "from 0 to 1"]),
        (["--set", "cluster.speed_sigma=1000"], ["speed_sigma", "from 0 to 3"]),
        (["--set", "noise.storage_seconds=-1"], ["storage_seconds", "at least 0"]),
        (["--set", "plan.slow_tail=tasks"], ["plan.slow_tail", "plan.history"]),
        (
            ["--set", "plan.slow_tail=all", "--history", "x"],
            ["'auto', 'attempts' or 'tasks'", "'all'"],
        ),
        (["--allow-import"], ["--allow-import", "PLAN"]),
        (["--set", "noise.slow_factors=2"], ["noise.slow_factors", "(2.0, 10.0)"]),
        (["--set", "noise.slow_factors=[2]"], ["noise.slow_factors", "(2.0, 10.0)"]),
        (["--set", "cluster.worker=2"], ["'worker'", "did you mean 'workers'", "[cluster]"]),
        (["--set", "clusters.workers=2"], ["'clusters'", "did you mean 'cluster'"]),
        (["--set", "workers=2"], ["'workers=2'", "SECTION.KEY=VALUE"]),
        (["--set", "cluster.kills=1"], ["cluster.kills", "True"]),
        (["--set", "runs.order=some"], ["runs.order", "'pipelined', 'barriers' or 'both'"]),
        (["--config", "nowhere.toml"], ["nowhere.toml", "cannot be read"]),
        (["--rule", "magic"], ["'magic'", "'two_phase'"]),
        (["--seeds", "0"], ["--seeds"]),
        (["--set", "cluster.memory_bytes=plenty"], ["plenty"]),
        (
            ["--set", "plan.task_memory=2GB", "--set", "cluster.memory_bytes=1GB"],
            ["2.0 GB", "1.0 GB", "cluster.memory_bytes more"],
        ),
        (["some.module:plan"], ["--allow-import"]),
        (["some.module:plan", "--allow-import", "--tasks", "5"], ["--tasks", "PLAN"]),
        (
            ["some.module:plan", "--allow-import", "--set", "plan.task_memory=5GB"],
            ["plan.task_memory", "PLAN"],
        ),
        (["nobodys.module:plan", "--allow-import"], ["cannot be imported"]),
        (["--history", "nowhere"], ["nowhere", "no history"]),
        (["--set", "runs.order=both", "--set", "runs.timeout=0"], ["timeout"]),
    ],
    ids=" ".join,
)
def test_what_cannot_be_is_one_sentence_and_exit_code_2(
    arguments, told, capsys, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    assert main(["simulate", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    [sentence] = captured.err.strip().splitlines()
    for text in told:
        assert text in sentence


@pytest.mark.parametrize("body", ["raise RuntimeError('no')", "def plan(:", "def plan(): 1 / 0"])
def test_a_plan_whose_module_fails_is_one_sentence(body, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    name = f"failing_{abs(hash(body))}"
    (tmp_path / f"{name}.py").write_text(body + "\n")
    assert main(["simulate", f"{name}:plan", "--allow-import"]) == 2
    [sentence] = capsys.readouterr().err.strip().splitlines()
    assert name in sentence
    assert "--traceback" in sentence


def test_a_run_that_fails_on_the_model_says_that_it_is_the_model(capsys):
    failing = ("--set", "noise.failure_share=1", "--set", "runs.retry=1")
    assert main(["simulate", *SMALL, *failing]) == 1
    [sentence] = capsys.readouterr().err.strip().splitlines()
    assert "on these workers the run fails (off, pipelined, seed 0)" in sentence


@pytest.mark.parametrize("target", ["shop:plan", "shop.py:plan", "shop.py"])
def test_a_plan_by_its_path_is_imported_if_that_is_allowed(target, capsys, tmp_path, monkeypatch):
    (tmp_path / "shop.py").write_text(
        "import asyncexec as ax\nplan = ax.Plan.map(abs, range(40), name='shop').then(abs)\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv("PYTHONPATH", os.environ.get("PYTHONPATH", ""))
    assert main(["simulate", target]) == 2
    assert "shop" not in sys.modules
    capsys.readouterr()
    try:
        out = simulate(capsys, target, "--allow-import", "--workers", "10")
    finally:
        sys.modules.pop("shop", None)
    assert "shop: 80 tasks in 2 stages on 10 workers" in out


def record(directory):
    """A run of 40 naps on two threads, and as many tasks of nearly no time."""
    rows = [row("nap", task, 0.01, at=task // 2 / 100, worker=f"t{task % 2}") for task in range(40)]
    rows += [row("bool", t, 1e-5, at=0.2 + t / 1e5, worker=f"t{t % 2}") for t in range(40)]
    write_history(
        directory / "nap-1", rows, shapes={"nap": (40,), "bool": (40,)}, slots=2, wall_seconds=0.205,
        executor="threads",
    )  # fmt: skip


def test_a_recorded_run_is_told_elsewhere_with_and_without_backups_and_barriers(capsys, tmp_path):
    record(tmp_path)
    out = simulate(capsys, "--history", str(tmp_path), "--workers", "40", "--price", "0.5")
    lines = out.splitlines()
    assert any("measured: executor threads, 2 attempts at once" in line for line in lines)
    rows = [line.split()[:2] for line in lines if line.split()[:1] in (["off"], ["two_phase"])]
    orders = ("barriers", "pipelined")
    assert rows == [[rule, order] for order in orders for rule in ("off", "two_phase")]
    assert "The model takes" in out
    told = json.loads(simulate(capsys, "--history", str(tmp_path), "--json"))
    assert told["measured"]["executor"] == "threads"
    assert told["cluster"]["workers"] == 2
    assert told["stages"].keys() == {"nap", "bool"}
    assert main(["simulate", "--history", str(tmp_path), "--slow", "0.1"]) == 2
    assert "--history" in capsys.readouterr().err


WEATHER = """
def noise(attempt):
    return attempt.seconds + attempt.host
number = 3
"""


def test_noise_is_a_function_by_its_path_where_importing_is_allowed(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "weather.py").write_text(WEATHER)
    given = [
        "--tasks",
        "4",
        "--workers",
        "4",
        "--set",
        "cluster.workers_per_host=2",
        "--seeds",
        "1",
    ]
    noisy = [*given, "--noise", "weather.py:noise"]
    assert main(["simulate", *noisy]) == 2
    assert "--allow-import" in capsys.readouterr().err
    assert "weather" not in sys.modules
    try:
        told = json.loads(simulate(capsys, *noisy, "--allow-import", "--json"))
        assert told["noise"]["function"] == "weather:noise"
        assert told["variants"][0]["makespan_seconds"]["median"] == 11.0
        assert "durations as weather:noise says" in simulate(capsys, *noisy, "--allow-import")
        for path, word in (("weather.py:number", "must be a function"), ("weather.py:nose", "'noise'"),
                           ("weather.py", "names no object")):  # fmt: skip
            assert main(["simulate", *given, "--noise", path, "--allow-import"]) == 2
            assert word in capsys.readouterr().err
    finally:
        sys.modules.pop("weather", None)


def test_measured_durations_are_a_distribution(capsys, tmp_path):
    record(tmp_path)
    out = simulate(capsys, *SMALL, "--durations", f"empirical:{tmp_path}", "--json")
    assert json.loads(out)["durations"].startswith("Empirical(80 durations")


def test_no_bar_is_shown_where_there_is_no_terminal():
    done = subprocess.run(
        [sys.executable, "-m", "asyncexec.cli", "simulate", *SMALL, "--seeds", "1"],
        capture_output=True, text=True, timeout=scaled(100), check=True, cwd=REPOSITORY,
    )  # fmt: skip
    assert "60 tasks in 1 stage on 20 workers" in done.stdout
    assert done.stderr == "", "no bar where there is no terminal"


def test_an_interrupted_simulation_ends_at_once_and_says_so(interruptible):
    process = subprocess.Popen(
        [sys.executable, "-m", "asyncexec.cli", "simulate", "--tasks", "300000", "--seeds", "50"],
        stderr=subprocess.PIPE, text=True, cwd=REPOSITORY, env=os.environ | {"PYTHONFAULTHANDLER": "1"},
    )  # fmt: skip
    busy = psutil.Process(process.pid)
    while busy.cpu_times().user < 1.5:  # It is up by then, and has minutes of work before it.
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=scaled(60))
    assert process.returncode == 130
    assert error.strip() == "asyncexec: interrupted; everything that was running has stopped"


def test_help_says_what_every_option_does(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "150")
    out = simulate(capsys, "--help")
    for section in ("The plan", "Workers, noise, scheduler", "What comes out"):
        assert section in out
    page = (REPOSITORY / "docs/reference/cli.md").read_text()
    for option in set(re.findall(r"--[a-z][a-z-]+", out)) - {"--help"}:
        assert f"`{option}" in page, f"{option} is not in the manual"
    for kind in (PlanSection, Cluster, Noise, RunsSection):
        for field in fields(kind):
            assert f"`{field.name}`" in page, f"{field.name} is not in the manual"


def test_the_commands_of_the_page_run(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    text = PAGE.read_text()
    [source] = re.findall(
        r"^```python no-run\n# (\S+\.py)\n(.*?)^```", text, re.MULTILINE | re.DOTALL
    )
    (tmp_path / source[0]).write_text(source[1])
    record(tmp_path / "runs")
    [name, config] = re.search(
        r"^```toml\n# (\S+\.toml)\n(.*?)^```", text, re.MULTILINE | re.DOTALL
    ).groups()
    (tmp_path / name).write_text(config)
    commands = [line for block in COMMAND.findall(text) for line in block.splitlines()]
    ours = [
        line.split("#")[0].split()[1:] for line in commands if line.startswith("asyncexec simulate")
    ]
    assert len(ours) >= 5
    try:
        for arguments in ours:
            smaller = ["--seeds", "1", "--quiet"]
            assert main([*arguments, *smaller]) == 0, (arguments, capsys.readouterr().err)
    finally:
        sys.modules.pop(source[0].removesuffix(".py"), None)
