"""The scheduler: readiness, admission and attempts of runs, as synchronous code; only the driver awaits."""
