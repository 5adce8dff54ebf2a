"""The workspace of a plan of arrays: what the driver does once a run, before its first task and after its last."""
