"""The two blocks of the page about executors, as they stand there, and the first with its label mended."""

_HEAD = """\
services:
  compute:
    # the default namespace, this is used for creating buckets
    # in the s3 for saved artifacts
    default_namespace: default
    executor:
      # Use the Ray Executor
      target: flowdapt.compute.executor.ray.RayExecutor
      # Make sure we're seeing logs from the workers
      log_to_driver: True
      # Set any env vars needed
      env_vars:
        OMP_NUM_THREADS: 1
      # We can specify how many resources to assign to the Cluster
      gpus: 1
      cpus: 2
      memory: 8GB
      # Extra logical resources to use when scheduling
      resources:
        hamster_wheels: 6
"""

FIRST_BLOCK = f"""\
{_HEAD}\
      # Define the cluster memory actor
      cluster_memory_actor:
        name: actor_name # <---- REQUIRED
        num_cpus: 1
        max_concurrency: 1000
        # if you want to control where the cluster memory actor is placed
        # you can also define the custom resource here (optional)
        resources:
          hamster_wheel: 1
"""

SECOND_BLOCK = _HEAD

MENDED = FIRST_BLOCK.replace("hamster_wheel:", "hamster_wheels:")
