"""What the ``slurm`` executor is made of.

``request`` says what a job asks for, ``commands`` calls SLURM's programs, ``answers`` is how a job tells what it does
(by a file), ``in_job`` runs in the job, ``desk`` does everything here that blocks, ``system`` is the side of the loop.
"""
