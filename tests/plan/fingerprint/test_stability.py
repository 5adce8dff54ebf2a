"""What does not change values does not change a fingerprint, and every process finds the same one."""

import json
import os
import types
from pathlib import Path

import cloudpickle
import pytest

from asyncexec.plan.fingerprint.digest import Digest
from tests.fresh_interpreter import printed_by
from tests.plan.fingerprint.edits import EDITS
from tests.plan.fingerprint.user_modules import imported

HELPER = (
    "import os\nBY = [1]\n\n\ndef h(x):\n    return x + BY[0]\n\n\ndef g(x):\n    return h(x) + 1\n"
)


def helped(kernel, helper):
    return {"kernel.py": kernel, "helper.py": helper}


BASE = helped(
    'import helper\n\n\nclass C:\n    by = {"a": 1}\n\n    def g(self, x):\n        return x + self.by["a"]\n\n\n'
    "def f(x):\n    return helper.g(x) + C().g(x)\n",
    HELPER,
)


def edited(kernel=None, helper=None):
    return {
        "kernel.py": kernel(BASE["kernel.py"]) if kernel else BASE["kernel.py"],
        "helper.py": helper(HELPER) if helper else HELPER,
    }


SAME = {
    "comments": edited(lambda s: "# a comment\n" + s.replace("return", "# why\n        return", 1)),
    "comments of a helper": edited(helper=lambda s: s.replace("def h", "# a comment\ndef h")),
    "blank lines": edited(lambda s: "\n\n\n" + s, lambda s: s.replace("\n\n", "\n\n\n\n")),
    "docstring": edited(lambda s: s.replace("def f(x):\n", 'def f(x):\n    """Words."""\n')),
    "docstring of a class": edited(
        lambda s: s.replace("class C:\n", 'class C:\n    """Words."""\n\n')
    ),
    "docstring of a module": edited(lambda s: '"""Words."""\n' + s, lambda s: '"""Words."""\n' + s),
    "docstring of a helper": edited(
        helper=lambda s: s.replace("def g(x):", 'def g(x):\n    "Words."')
    ),
    "layout": edited(lambda s: s.replace("helper.g(x)", "helper.g(\n        x,\n    )")),
    "quotes": edited(lambda s: s.replace('"a"', "'a'")),
    "annotations": edited(helper=lambda s: s.replace("def h(x)", "def h(x: int) -> int")),
    "order of definitions": edited(
        lambda s: (
            "import helper\n\n\ndef f(x):\n    return helper.g(x) + C().g(x)\n\n\n"
            + s.split("\n\n\n")[1]
        ),
        lambda s: (
            "import os\n\n\ndef g(x):\n    return h(x) + 1\n\n\ndef h(x):\n    return x + BY[0]\n\n\nBY = [1]\n"
        ),
    ),
    "order of members": edited(
        lambda s: s.replace('    by = {"a": 1}\n\n', "").replace(
            '["a"]\n', '["a"]\n\n    by = {"a": 1}\n', 1
        )
    ),
    "something else in the module": edited(
        lambda s: s + "\n\ndef other():\n    return 5\n", lambda s: s + "OTHER = 5\n"
    ),
    "something else is imported": edited(
        lambda s: "import json\n" + s, lambda s: "import re\n" + s
    ),
    "future annotations": edited(lambda s: "from __future__ import annotations\n" + s),
}


def digest_of(folder, files):
    with imported(folder, files) as module:
        assert module.f(2) == 7
        return Digest().of(module.f)


@pytest.mark.parametrize("name", SAME)
def test_an_edit_that_changes_no_value_leaves_the_fingerprint(name, tmp_path):
    assert digest_of(tmp_path / "one", BASE) == digest_of(tmp_path / "other", SAME[name])


WHOLE = "import helper\ndef f(x):\n    return getattr(helper, 'G'.lower())(x) + 3\n"


@pytest.mark.parametrize(
    "helper",
    [
        "# a comment\n" + HELPER,
        '"""Words."""\n' + HELPER,
        HELPER.replace("def g(x):", 'def g(x):\n    """Words."""'),
        HELPER.replace("\n\n", "\n\n\n"),
    ],
)
def test_comments_and_docstrings_do_not_count_where_a_whole_module_does(helper, tmp_path):
    one = digest_of(tmp_path / "one", helped(WHOLE, HELPER))
    assert one == digest_of(tmp_path / "other", helped(WHOLE, helper))
    changed = HELPER.replace("BY = [1]", "BY = [0, 1][1:]")
    assert one != digest_of(tmp_path / "changed", helped(WHOLE, changed))


def test_what_was_imported_before_does_not_count(tmp_path):
    files = {
        "kernel.py": "import pkg\ndef f(x):\n    import pkg.a\n    return pkg.a.g(x) + getattr(pkg, 'n' + '')\n",
        "pkg/__init__.py": "n = 1",
        "pkg/a.py": "def g(x): return x + 4",
        "pkg/b.py": "",
        "first.py": "import pkg.b, pkg.a, kernel\nf = kernel.f",
    }
    one = digest_of(tmp_path / "one", files)
    with imported(tmp_path / "other", files, "first") as module:
        assert Digest().of(module.f) == one


def test_a_function_that_went_through_cloudpickle_is_the_same():
    namespace = {"__name__": "__main__"}
    source = "import math\nBY = {'a': [1]}\ndef g(x): return x + BY['a'][0] + math.pi\n"
    source += "def f(x, y=(1, 2)): return [g(i) for i in y]"
    exec(source, namespace)
    function = namespace["f"]
    again = cloudpickle.loads(cloudpickle.dumps(function))
    assert isinstance(again, types.FunctionType)
    assert again is not function
    assert Digest().of(again) == Digest().of(function)


SCRIPT = """
import importlib, json, pathlib, sys
from asyncexec.plan.fingerprint.digest import Digest

found = {}
names = sys.argv[2:]
for name in names:
    folder = pathlib.Path(sys.argv[1], name)
    sys.path.insert(0, str(folder))
    kept = set(sys.modules)
    found[name] = Digest().of(importlib.import_module("kernel").f).hex()
    sys.path.remove(str(folder))
    for module in set(sys.modules) - kept:
        if str(getattr(sys.modules[module], "__file__", "")).startswith(sys.argv[1]):
            del sys.modules[module]
print(json.dumps(found))
"""


def told_by_a_process(folder: Path, names: list[str], seed: str) -> dict[str, str]:
    environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(Path.cwd())}
    told = printed_by(SCRIPT, str(folder), *names, seconds=120, env=environment)
    found: dict[str, str] = json.loads(told)
    return found


def test_every_process_finds_the_same_fingerprints(tmp_path):
    edits = {name: one for name, (one, _) in EDITS.items() if not name.startswith("library")}
    for number, one in enumerate(edits.values()):
        for path, text in one.items():
            file = tmp_path / str(number) / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
    numbers = [str(number) for number in range(len(edits))]
    one = told_by_a_process(tmp_path, numbers, "1")
    other = told_by_a_process(tmp_path, numbers[::-1], "2")
    differ = [name for number, name in enumerate(edits) if one[str(number)] != other[str(number)]]
    assert not differ
