"""The manual's page about configurations says what the schema says."""

import pytest

pytest.importorskip("pydantic_settings")

from asyncexec.backends.flowdapt_targets import DASK, PROCESSES, RAY, THREADS
from asyncexec.backends.option_fields import options_of
from asyncexec.backends.registry import load
from asyncexec.config.fields import checks_of
from asyncexec.config.settings import Section, Settings
from tests.architecture.imports import REPOSITORY
from tools.configuration_page import page

# The keyword arguments of Flowdapt's classes, and what its page about executors shows.
KEYS = {
    RAY: """
        cluster_address strategy cpus gpus memory resources object_store_memory dashboard_host dashboard_port
        log_to_driver logging_level working_dir py_modules pip conda env_vars container runtime_env_config
        upload_plugins
        cluster_memory_actor mapper_actor connection_monitor_interval max_reconnect_retries base_reconnect_delay
        max_reconnect_delay ping_timeout ping_failure_threshold tasks_per_worker
    """,
    DASK: """
        cluster_address scheduler_host scheduler_port scheduler_scheme dashboard_port cpus threads memory gpus adaptive
        resources pip env_vars upload_plugins log_to_driver cluster_memory_actor
    """,
    PROCESSES: """
        use_processes cpus cluster_memory_socket_path memory gpus resources env_vars log_to_driver cluster_memory_actor
    """,
}
KEYS[THREADS] = KEYS[PROCESSES]


def test_the_page_is_what_the_code_says():
    assert page() == (REPOSITORY / "docs/reference/configuration.md").read_text(), (
        "make it anew: python -m tools.configuration_page > docs/reference/configuration.md"
    )


def test_every_key_has_a_meaning():
    def without(section, above=""):
        for name, field in section.model_fields.items():
            inner = field.annotation
            if isinstance(inner, type) and issubclass(inner, Section):
                yield from without(inner, f"{above}{name}.")
            if not field.description:
                yield f"{above}{name}"

    assert list(without(Settings)) == []


@pytest.mark.parametrize("target", KEYS, ids=lambda target: target.executor)
def test_every_key_of_flowdapts_executors_is_honoured_or_refused(target):
    ours = {*checks_of(options_of(load(target.executor))), "log_to_driver"}
    known = {*target.keys, *target.refused, *ours}
    assert [key for key in KEYS[target].split() if key not in known] == []


@pytest.mark.parametrize("target", KEYS, ids=lambda target: target.executor)
def test_the_page_says_what_each_key_means(target):
    assert [key for key in target.keys if key not in target.said] == []
