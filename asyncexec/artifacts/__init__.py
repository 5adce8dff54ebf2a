"""Artifacts: named sets of files with metadata, on any file system that fsspec reaches.

The names are imported when they are first used.
"""

from typing import TYPE_CHECKING

from asyncexec.lazy import names_of

if TYPE_CHECKING:
    from asyncexec.artifacts.artifact import Artifact as Artifact, ArtifactFile as ArtifactFile
    from asyncexec.artifacts.datasets import (
        array_from_artifact as array_from_artifact,
        array_to_artifact as array_to_artifact,
        dataframe_from_artifact as dataframe_from_artifact,
        dataframe_to_artifact as dataframe_to_artifact,
    )
    from asyncexec.artifacts.finding import (
        check_if_artifact_exists as check_if_artifact_exists,
        get_artifact as get_artifact,
        list_artifacts as list_artifacts,
        new_artifact as new_artifact,
    )
    from asyncexec.artifacts.hooks import (
        bytes_from_artifact as bytes_from_artifact,
        bytes_to_artifact as bytes_to_artifact,
        json_from_artifact as json_from_artifact,
        json_to_artifact as json_to_artifact,
        pickle_from_artifact as pickle_from_artifact,
        pickle_to_artifact as pickle_to_artifact,
    )
    from asyncexec.artifacts.loading import value_from_artifact as value_from_artifact
    from asyncexec.artifacts.settings import ArtifactStorage as ArtifactStorage
else:
    __getattr__, __dir__ = names_of(
        __name__,
        {
            "Artifact": "artifact",
            "ArtifactFile": "artifact",
            "ArtifactStorage": "settings",
            "array_from_artifact": "datasets",
            "array_to_artifact": "datasets",
            "bytes_from_artifact": "hooks",
            "bytes_to_artifact": "hooks",
            "check_if_artifact_exists": "finding",
            "dataframe_from_artifact": "datasets",
            "dataframe_to_artifact": "datasets",
            "get_artifact": "finding",
            "json_from_artifact": "hooks",
            "json_to_artifact": "hooks",
            "list_artifacts": "finding",
            "new_artifact": "finding",
            "pickle_from_artifact": "hooks",
            "pickle_to_artifact": "hooks",
            "value_from_artifact": "loading",
        },
    )
