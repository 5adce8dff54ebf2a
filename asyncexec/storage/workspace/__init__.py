"""The workspace of a plan of arrays: the driver's work before the first task of a run and after its last."""
