"""The demo's pictures are pictures, whatever the numbers."""

import numpy as np
import pytest
from asyncexec.examples.climate.pictures import common_years, draw_trend_map, draw_warming, smooth
from matplotlib import image

YEARS = np.arange(1860, 1900)


@pytest.fixture
def grid():
    return {"latitude": np.linspace(15, 60, 7), "longitude": np.linspace(225, 315, 9)}


def test_the_map_has_colours_and_replaces_an_older_one(tmp_path, grid, rng):
    path = tmp_path / "map.png"
    path.write_text("an older picture")
    draw_trend_map(path, rng.normal(size=(7, 9)), years=YEARS, **grid)
    assert colours(path) > 50


def test_a_map_of_equal_numbers_is_drawn(tmp_path, grid):
    path = tmp_path / "map.png"
    draw_trend_map(path, np.zeros((7, 9)), years=YEARS, **grid)
    assert colours(path) > 50


def test_warming_is_drawn_in_each_scenario_s_colour(tmp_path, rng):
    path = tmp_path / "warming.png"
    common = rng.normal(size=20)
    series = {s: np.concatenate([common, rng.normal(size=20)]) for s in ("A1B", "E1")}
    draw_warming(path, series, years=YEARS, baseline=10)
    pixels = image.imread(path)[..., :3].reshape(-1, 3)
    for colour in ((0xC1, 0x27, 0x2D), (0x1F, 0x6F, 0xB2)):
        assert np.isclose(pixels, np.array(colour) / 255, atol=0.01).all(axis=1).sum() > 100


def test_scenarios_that_never_part_are_drawn(tmp_path):
    path = tmp_path / "warming.png"
    draw_warming(path, {"A1B": np.ones(40), "E1": np.ones(40)}, years=YEARS, baseline=10)
    assert colours(path) > 3


def test_common_years_are_those_before_the_first_difference():
    one, other = np.array([1, 2, 3, 4]), np.array([1, 2, 0, 4])
    assert common_years([one, other]) == 2
    assert common_years([one, one]) == 4
    assert common_years([one, one + 1]) == 0


def test_a_running_mean_of_a_constant_is_the_constant():
    np.testing.assert_allclose(smooth(np.full(30, 2.5)), 2.5)
    series = np.arange(30.0)
    assert smooth(series)[15] == pytest.approx(series[10:21].mean())


def colours(path):
    pixels = image.imread(path)
    return len(np.unique(pixels.reshape(-1, pixels.shape[-1]), axis=0))
