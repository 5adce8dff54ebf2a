"""What a task costs on each backend, beside the bare system: one module a system, each run in a process of its own."""
