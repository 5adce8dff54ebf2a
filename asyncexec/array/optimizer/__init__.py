"""The rules by which an expression becomes few stages; each has a file and a name, and can be switched off.

``Spec(optimize=["elementwise", "views"])`` leaves all others off, ``Spec(optimize=False)`` all. No rule changes a
result, not in the last bit, and none makes a task larger than its memory: where a rule puts nodes into one stage, what
the tasks of the stage would need is looked at (:class:`asyncexec.array.projection.TaskMemoryLimit`), and the others
store less, or compute less, than there was.

Rules of expressions, which rewrite nodes: ``subexpressions``, ``rechunks``, ``branches``.
Rules of stages, which say what is computed on the way of what: ``elementwise``, ``reductions``, ``views``, but not what
many tasks need by ``shared-results``; and ``shared-reads``, by which stages that read the same become one
(:mod:`asyncexec.array.sharing`).
"""
