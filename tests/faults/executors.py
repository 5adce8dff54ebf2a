"""The executors of the rounds, and how each is opened."""

from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

WORKERS = 2


def process_pool():
    return ProcessPoolExecutor(WORKERS, mp_context=get_context("spawn"))


def thread_pool():
    return ThreadPoolExecutor(WORKERS)


def options(executor):
    """Return the options of an executor; of ``futures``, the word behind it says which pool."""
    match executor.split():
        case ["serial"]:
            return {}
        case ["futures", "processes"]:
            return {"executor": process_pool}
        case ["futures", *_]:
            return {"executor": thread_pool}
        case ["dask"]:
            return {"max_workers": WORKERS, "processes": False}
    return {"max_workers": WORKERS}
