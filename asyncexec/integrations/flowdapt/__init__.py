"""Workflows written for Flowdapt, on this engine: its import names, and ``execute_workflow``.

Functions that say ``from flowdapt.compute... import ...`` find these names here once :func:`install` has been called::

    from asyncexec.integrations import flowdapt

    flowdapt.install()
    flow = flowdapt.load_flowdapt_workflow("workflow.yaml")

``asyncexec run workflow.yaml`` does both by itself. The folders below are named like Flowdapt's modules.
"""

from typing import TYPE_CHECKING

from asyncexec.lazy import names_of

if TYPE_CHECKING:
    from asyncexec.integrations.flowdapt.execution import (
        WorkflowRun as WorkflowRun,
        execute_workflow as execute_workflow,
        load_flowdapt_workflow as load_flowdapt_workflow,
    )
    from asyncexec.integrations.flowdapt.import_names import install as install
else:
    __getattr__, __dir__ = names_of(
        __name__,
        {
            "WorkflowRun": "execution",
            "execute_workflow": "execution",
            "install": "import_names",
            "load_flowdapt_workflow": "execution",
        },
    )
