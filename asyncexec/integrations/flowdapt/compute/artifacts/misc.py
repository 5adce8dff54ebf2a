"""Functions that save values in artifacts and load them, under the names that Flowdapt has for them."""

from asyncexec.artifacts import (
    json_from_artifact,
    json_to_artifact,
    pickle_from_artifact,
    pickle_to_artifact,
)

__all__ = ["json_from_artifact", "json_to_artifact", "pickle_from_artifact", "pickle_to_artifact"]
