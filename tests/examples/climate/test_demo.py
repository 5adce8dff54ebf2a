"""The demo computes what plain NumPy computes, draws it, and tells what it took."""

import re
import shlex

import numpy as np
import pytest
import zarr
from asyncexec.examples.climate import analysis
from asyncexec.examples.climate.job import Request, run_job
from matplotlib import image

from asyncexec.cli import main
from tests.examples.climate.expected import expected

DTYPES = {"anomaly": "float32", "decadal": "float32", "trend": "float64", "warming": "float64"}


@pytest.mark.parametrize(
    "executor, scale",
    [
        ("threads", 2),
        ("processes", 1),
        pytest.param("threads", 1, marks=pytest.mark.slow),  # Of which other tests see the results.
    ],
)
async def test_every_number_is_that_of_plain_numpy(executor, scale, tmp_path):
    request = Request(
        executor=executor, executor_options={"max_workers": 2}, work_dir=tmp_path, scale=scale
    )
    report = await run_job(request)
    wanted = expected(scale)
    assert_as_expected(tmp_path / "results", wanted)
    assert report.shape == (240, 37, 49 * scale)
    assert {target.path.stem for target in report.targets} == set(wanted)
    warming = {name: wanted[f"{name}-warming"][-30:].mean() for name in ("A1B", "E1")}
    assert report.warming == pytest.approx(warming, rel=1e-4)
    if executor == "processes":
        for stage in report.analysed.stages:
            assert 0 < stage.peak_bytes <= stage.projected_bytes <= report.allowed_bytes


def test_it_tells_what_it_took_and_where_things_are(tmp_path, capsys):
    assert demo(tmp_path, "--workers", "2") == 0
    out, err = capsys.readouterr()
    told = dict(re.findall(r"^(\w[\w ]*?) {2,}(.*?) *$", out, re.MULTILINE))
    for name in ("stages", "tasks", "attempts", "retries", "backups", "bytes read"):
        assert name in told
    assert int(told["attempts"].replace(",", "")) >= int(told["tasks"].replace(",", "")) > 1_000
    assert re.fullmatch(r"\d+\.\d MB", told["bytes written"])
    assert re.search(r"not measured on threads, .* projected, 500.0 MB allowed", out)
    assert re.fullmatch(r"\d+\.\d\d s", told["wall time"])
    assert "warmer than in 1860-1889 by +4.5 K under A1B and +2.4 K under E1" in out
    for path in re.findall(r"^  (\S+\.(?:zarr|png))", out, re.MULTILINE):
        assert (tmp_path / path).exists()
    assert "analysis-2: succeeded" in err


def test_a_second_run_replaces_what_the_first_left(tmp_path, capsys):
    assert demo(tmp_path, "--scale", "2") == 0
    (tmp_path / "warming.png").write_text("not a picture")
    assert demo(tmp_path) == 0
    assert_as_expected(tmp_path / "results", expected())
    assert image.imread(tmp_path / "warming.png").shape[0] > 500
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "input",
        "results",
        "trend-difference.png",
        "warming.png",
    ]


def test_quietly_it_tells_where_things_are_and_nothing_else(tmp_path, capsys):
    """And its arrays say what they hold."""
    assert demo(tmp_path, "--quiet") == 0
    out, err = capsys.readouterr()
    assert err == ""
    lines = out.split("\n")
    assert lines[0].startswith("Results in")
    assert all(line.startswith("  ") for line in lines[1:] if line)
    assert len(lines) < 16
    trend = zarr.open_array(tmp_path / "results" / "difference-trend.zarr", mode="r")
    assert dict(trend.attrs) == {"long_name": "trend, A1B - E1", "units": "K per decade"}
    field = zarr.open_array(tmp_path / "input" / "E1.zarr", mode="r")
    assert field.attrs["units"] == "K"
    assert field.chunks == (1, 37, 49)


def test_a_run_that_fails_says_where_and_leaves_no_results(tmp_path, capsys, monkeypatch):
    def broken(series):
        raise ValueError("no line fits")

    monkeypatch.setattr(analysis, "slope", broken)
    assert demo(tmp_path, "--quiet") == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert "no line fits" in err
    assert "map_blocks(broken)" in err
    assert "Traceback" not in err
    assert list((tmp_path / "results").iterdir()) == []
    assert not (tmp_path / "temporary").exists()


def demo(folder, *options):
    return main(["demo", "--executor", "threads", "--work-dir", str(folder), *options])


def assert_as_expected(results, wanted):
    assert {path.stem for path in results.iterdir()} == set(wanted)
    for name, values in wanted.items():
        stored = zarr.open_array(results / f"{name}.zarr", mode="r")
        assert stored.shape == values.shape, name
        assert stored.dtype == DTYPES[name.split("-", 1)[1]], name
        # Temperatures are near 300 K, where float32 has steps of 3e-5 K.
        tolerance = 1e-6 if "trend" in name else 5e-5
        np.testing.assert_allclose(stored[:], values, rtol=1e-5, atol=tolerance, err_msg=name)


def test_its_runs_are_recorded_where_that_is_asked_for(tmp_path, capsys):
    assert demo(tmp_path / "demo", "--quiet", "--history", str(tmp_path / "runs")) == 0
    out = capsys.readouterr().out
    folders = sorted((tmp_path / "runs").iterdir())
    assert len(folders) == 2
    assert all(str(folder) in out for folder in folders)
    [command] = [line for line in out.splitlines() if "asyncexec simulate" in line]
    arguments = shlex.split(command[command.index("asyncexec simulate") :])[1:]
    assert main([*arguments, "--seeds", "1", "--quiet"]) == 0
    assert "analysis" in capsys.readouterr().out
