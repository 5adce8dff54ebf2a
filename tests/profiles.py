"""How many examples Hypothesis tries: by the profile that `HYPOTHESIS_PROFILE` names, all of them in CI."""

import os

PROFILE = os.environ.get("HYPOTHESIS_PROFILE", "default")
_SHARE = 3
_LEAST = 10


def examples(count: int) -> int:
    """As many as a test has in CI; a third of them where nothing else is asked for."""
    return max(_LEAST, count // _SHARE) if PROFILE == "default" else count
