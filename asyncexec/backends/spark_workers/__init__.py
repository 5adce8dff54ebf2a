"""Workers that Spark places on its executors, for the ``spark`` backend: each serves the driver over a connection."""
