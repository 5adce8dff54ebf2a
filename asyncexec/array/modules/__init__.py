"""Array modules: kernels that compute in CuPy, PyTorch or JAX, on the device of the worker, instead of in NumPy."""
