"""YAML files are read with the line of each value, and without surprises."""

import pytest

from asyncexec.config.yaml_file import parse_yaml, read_yaml
from asyncexec.errors import OptionError

FLOW = """\
kind: workflow
spec:
  stages:
  - name: cities
    target: flows.cities
  - {name: fetch,
     resources: &two {cpus: 2, mode: 007}}
  - name: train
    resources:
      <<: *two
      gpus: 1
"""


def test_each_key_and_each_item_has_its_line():
    read = parse_yaml(FLOW, name="flow.yaml")
    assert read.where("spec", "stages", 0, "target") == "flow.yaml:5"
    assert read.where("spec", "stages", 1) == "flow.yaml:6"
    assert read.where("spec", "stages", 1, "resources", "cpus") == "flow.yaml:7"
    assert read.where("spec", "stages", 2, "resources", "gpus") == "flow.yaml:11"


def test_what_has_no_line_is_where_its_surroundings_are():
    read = parse_yaml(FLOW, name="flow.yaml")
    assert read.where("spec", "stages", 0, "depends_on", 3) == "flow.yaml:4"
    assert read.where("metadata") == "flow.yaml"


def test_values_are_those_of_safe_yaml_and_texts_what_was_written():
    read = parse_yaml(FLOW, name="flow.yaml")
    assert read.value["spec"]["stages"][2]["resources"] == {"cpus": 2, "mode": 7, "gpus": 1}
    assert read.texts["spec", "stages", 1, "resources", "mode"] == "007"


@pytest.mark.parametrize(
    "text, says",
    [
        ("a: 1\nb: 2\na: 3", r"f.yaml:3: the file has the key 'a' twice, first in line 1"),
        ("a: [", r"f.yaml:1: this is no YAML"),
        ("a: 1\n---\nb: 2", r"f.yaml:2: .*another document"),
        ("a: 1\nb: &b [*b]", r"f.yaml:2: .*an alias"),
        ("a: !!python/object:os.system x", r"f.yaml:1: .*could not determine a constructor"),
        ("a: 2026-13-01", r"f.yaml:1: .*cannot be read: month"),
        ("? [a]\n: 1", r"f.yaml:1: .*a mapping as a key"),
        ("[" * 5_000, "nested too deeply"),
        ("\0", "special characters"),
    ],
)
def test_what_is_wrong_is_an_error_with_its_line(text, says):
    with pytest.raises(OptionError, match=says):
        parse_yaml(text, name="f.yaml")


def test_a_small_file_cannot_make_a_huge_value():
    bombs = ["a: &a [x,x,x,x,x,x,x,x,x]"]
    for before, name in zip("abcdefgh", "bcdefghi", strict=True):
        bombs.append(f"{name}: &{name} [{','.join([f'*{before}'] * 9)}]")
    with pytest.raises(OptionError, match="more than 200,000 values"):
        parse_yaml("\n".join(bombs), name="f.yaml")


def test_a_file_that_is_not_there_is_an_error_that_names_it(tmp_path):
    with pytest.raises(OptionError, match=r"none\.yaml cannot be read: No such file"):
        read_yaml(tmp_path / "none.yaml")
