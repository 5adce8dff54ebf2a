"""Functions that save values in artifacts and load them; the module has the name that users of Flowdapt import."""

from asyncexec.artifacts import (
    json_from_artifact,
    json_to_artifact,
    pickle_from_artifact,
    pickle_to_artifact,
)

__all__ = ["json_from_artifact", "json_to_artifact", "pickle_from_artifact", "pickle_to_artifact"]
