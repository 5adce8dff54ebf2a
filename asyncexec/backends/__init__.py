"""Where it runs: the contract, the registry, and one short file a backend.

``contract`` says what a backend is; ``registry`` finds one by name; the ``options`` beside a backend declare what it
takes, as ``option_fields`` describes; ``worker`` is what happens around a kernel on any worker. ``serial``,
``threads``, ``processes`` and ``futures`` are the backends. What they stand on lies below: ``thread_workers``,
``process_workers``, and ``adapters`` for other systems, blocking or asynchronous.
"""
