"""A plan as a picture."""

from xml.etree import ElementTree as ET

import pytest

from asyncexec.errors import OptionError
from asyncexec.plan import Plan, Read, Stage
from asyncexec.plan.relations import All, identity
from tests.plan.examples import kernel, warming, wide

SVG = "{http://www.w3.org/2000/svg}"


def parsed(plan):
    return ET.fromstring(plan.visualize().svg)


def texts(root):
    return [element.text for element in root.iter(f"{SVG}text")]


def test_every_stage_is_a_box_with_its_figures():
    root = parsed(warming())
    boxes = [g for g in root.iter(f"{SVG}g") if g.find(f"{SVG}title") is not None]
    shown = {g.find(f"{SVG}title").text: texts(g) for g in boxes}
    assert set(shown) == {s.name for s in warming().stages}
    assert shown["rechunk"] == [
        "rechunk",
        "20 tasks (1x4x5)",
        "writes 1.7 MB in blocks of 240x10x10",
        "1.2 GB of 2.0 GB memory",
    ]
    assert shown["mean warming"] == ["mean warming", "mean · 1 task", "1.2 GB of 2.0 GB memory"]


def test_every_read_is_a_line_that_says_how():
    root = parsed(warming())
    lines = [p.get("class") for p in root.iter(f"{SVG}path") if p.get("marker-end")]
    assert sorted(lines) == ["line"] * 5 + ["line barrier"]
    how = [t.text for t in root.iter(f"{SVG}text") if t.get("class") == "how"]
    assert sorted(how) == ["all", "broadcast", "identity", "one block", "rechunk", "whole axis"]


def test_several_reads_of_one_stage_are_one_line():
    reads = (Read("a", identity((4,))), Read("a", All((4,), (4,)), many=True))
    plan = Plan(
        [
            Stage(name="a", kernel=kernel, shape=(4,)),
            Stage(name="b", kernel=kernel, shape=(4,), inputs=reads),
        ]
    )
    assert "identity, all" in texts(parsed(plan))


def test_the_title_has_the_plans_figures():
    shown = texts(parsed(warming()))
    assert shown[:2] == [
        "warming",
        "6 stages, 522 tasks, writes 5.2 MB, projected memory 1.2 GB",
    ]


def test_items_are_shown_in_the_box_that_takes_them():
    assert "100,000,000 items (range)" in texts(parsed(Plan.map(len, range(10**8))))


def test_the_memory_bar_shows_how_much_of_what_is_allowed_is_needed():
    root = parsed(warming())
    room = [float(r.get("width")) for r in root.iter(f"{SVG}rect") if r.get("class") == "room"]
    used = [float(r.get("width")) for r in root.iter(f"{SVG}rect") if r.get("class") == "used"]
    assert len(room) == 6
    assert [round(u / r, 2) for u, r in zip(used, room, strict=True)] == [0.6] * 6


@pytest.mark.parametrize("name", ['<b> & "c"', "µ-日本", "x" * 200])
def test_any_name_can_be_drawn(name, tmp_path):
    plan = Plan([Stage(name=name, kernel=kernel, shape=(1,))], name)
    assert name in [t.text for t in parsed(plan).iter(f"{SVG}title")]
    plan.visualize(tmp_path / "plan.dot")
    assert (tmp_path / "plan.dot").read_text(encoding="utf-8").startswith("digraph ")


def test_an_empty_plan_can_be_drawn():
    assert "0 stages, 0 tasks" in texts(parsed(Plan(())))


def test_a_plan_of_100_stages_is_drawn_whole():
    root = parsed(wide(100))
    width, height = float(root.get("width")), float(root.get("height"))
    names = {t.text for t in root.iter(f"{SVG}text") if t.get("class") == "name"}
    assert len(names) == 100
    for rect in root.iter(f"{SVG}rect"):
        assert 0 <= float(rect.get("x", 0)) <= width
        assert 0 <= float(rect.get("y", 0)) <= height


def test_styles_keep_to_the_picture():
    # A notebook shows many pictures on one page, and a page has its own texts.
    style = next(parsed(warming()).iter(f"{SVG}style")).text
    rules = [line for line in style.splitlines() if line]
    assert rules
    assert all(rule.startswith(".asyncexec-plan ") for rule in rules)


def test_a_notebook_shows_the_picture():
    drawing = warming().visualize()
    assert drawing._repr_svg_() == drawing.svg
    assert repr(drawing) == "<Drawing of plan 'warming'>"


@pytest.mark.parametrize("kind", [str, lambda path: path])
def test_svg_is_written_to_a_file(tmp_path, kind):
    path = tmp_path / "plan.svg"
    drawing = warming().visualize(kind(path))
    assert path.read_text(encoding="utf-8") == drawing.svg


@pytest.mark.parametrize("suffix", [".dot", ".gv", ".DOT"])
def test_graphviz_source_is_written_to_a_file(tmp_path, suffix):
    path = tmp_path / f"plan{suffix}"
    warming().visualize(path)
    source = path.read_text(encoding="utf-8")
    assert source.startswith('digraph "warming" {')
    assert '"anomaly" -> "mean warming" [label="all", style=dashed];' in source
    assert source.count(" -> ") == 6


@pytest.mark.parametrize("name", ["plan.png", "plan"])
def test_other_suffixes_are_refused_with_those_there_are(tmp_path, name):
    with pytest.raises(OptionError, match=r"\.svg, or \.dot or \.gv"):
        warming().visualize(tmp_path / name)
    assert not list(tmp_path.iterdir())
