"""The scheduler: readiness, admission and attempts of runs as plain code; one file, the driver, awaits."""
