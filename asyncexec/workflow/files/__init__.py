"""Workflows in YAML files: resources with ``kind``, ``metadata`` and ``spec``, in the form of Flowdapt's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncexec.lazy import names_of

if TYPE_CHECKING:
    from asyncexec.workflow.files.configs import ConfigResource as ConfigResource
    from asyncexec.workflow.files.file_workflow import (
        FileWorkflow as FileWorkflow,
        load_workflow as load_workflow,
    )
else:
    __getattr__, __dir__ = names_of(
        __name__,
        {
            "ConfigResource": "configs",
            "FileWorkflow": "file_workflow",
            "load_workflow": "file_workflow",
        },
    )
