"""A driver in a process of its own, told by a brief in JSON what to run."""

import json

from tests.object_stores.matrix.program import run


def main(brief):
    print(json.dumps(run(json.loads(brief))), flush=True)
