"""What is particular to pools of the ``concurrent.futures`` kind: the standard library's, loky, MPI, Parsl, Lithops."""
