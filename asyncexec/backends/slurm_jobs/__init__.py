"""What the ``slurm`` executor is made of.

``request`` says what a job asks for, ``commands`` calls SLURM's programs, ``answers`` is how a job and its driver talk
(by files), ``in_job`` runs in the job, ``desk`` does everything here that blocks, ``staff`` knows which jobs are idle,
and ``system`` is the side of the loop.
"""
