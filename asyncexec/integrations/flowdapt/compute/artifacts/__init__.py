"""Artifacts, under the names that Flowdapt has for them."""

from asyncexec.artifacts import (
    Artifact,
    ArtifactFile,
    check_if_artifact_exists,
    get_artifact,
    list_artifacts,
    new_artifact,
)

__all__ = [
    "Artifact",
    "ArtifactFile",
    "check_if_artifact_exists",
    "get_artifact",
    "list_artifacts",
    "new_artifact",
]
