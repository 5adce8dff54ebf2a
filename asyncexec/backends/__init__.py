"""Backends run attempts: one folder for each executor, named like it.

``contract`` says what a backend is, ``registry`` finds one by name, and ``adapters`` hold what systems of one kind have
in common (async calls, blocking calls). In each folder ``backend`` is the class, ``options`` declares what users may
say, ``system`` and its neighbours talk to the system, and ``worker_side`` is what runs on its workers.
"""
