"""A configuration is made of layers, of which each key is checked and has an origin."""

import re

import pytest

from asyncexec.config.configuration import load_configuration
from asyncexec.config.durations import parse_duration
from asyncexec.config.foreign_keys import FOREIGN_KEYS
from asyncexec.config.problems import shown_value
from asyncexec.config.settings import FOR_EVER, Settings, hidden_password
from asyncexec.errors import OptionError, SettingsError

EXECUTOR = ("services", "compute", "executor")
FLOWDAPTS = (
    "services: {compute: {executor: {target: flowdapt.compute.executor.local.LocalExecutor}}}"
)


@pytest.fixture
def written(tmp_path):
    def write(text, name="asyncexec.yaml"):
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


def problems(source=None, **options):
    options.setdefault("environment", {})
    with pytest.raises(SettingsError) as raised:
        load_configuration(source, **options)
    return raised.value.problems


def test_nothing_said_is_the_defaults():
    read = load_configuration(environment={})
    assert read.settings == Settings()
    assert read.settings.services.compute.run_retention_duration == FOR_EVER
    assert read.origin("engine", "memory") == "default"


def test_a_section_may_be_left_empty(written):
    read = load_configuration(
        written("services:\n  compute:\nengine:\nstorage: {}"), environment={}
    )
    assert read.settings == Settings()


def test_overrides_count_more_than_environment_dotenv_file_and_defaults(written):
    names = ["a", "b", "c", "d"]
    file = written("engine:\n  resources: {a: 1, b: 1, c: 1, d: 1}")
    dotenv = written(
        "\n".join(f"ASYNCEXEC__ENGINE__RESOURCES__{n.upper()}=2" for n in "bcd"), ".env"
    )
    environment = {f"ASYNCEXEC__ENGINE__RESOURCES__{n.upper()}": "3" for n in "cd"}
    read = load_configuration(
        file, env_file=dotenv, environment=environment, overrides=["engine.resources.d=4"]
    )
    assert read.settings.engine.resources == {"a": 1, "b": 2, "c": 3, "d": 4}
    assert [read.origin("engine", "resources", n) for n in names] == [
        f"{file}:2",
        f"{dotenv}: ASYNCEXEC__ENGINE__RESOURCES__B",
        "environment ASYNCEXEC__ENGINE__RESOURCES__C",
        "-o engine.resources.d",
    ]


def test_values_of_text_are_coerced():
    environment = {
        "ASYNCEXEC__ENGINE__MEMORY": "2 GiB",
        "ASYNCEXEC__ENGINE__BARRIERS": "true",
        "ASYNCEXEC__ENGINE__RETRY": "3",
        "ASYNCEXEC__SERVICES__COMPUTE__DEFAULT_NAMESPACE": "007",
        "ASYNCEXEC__SERVICES__COMPUTE__RUN_RETENTION_DURATION": "2h",
        "ASYNCEXEC__ALLOW_TARGETS": "[mine, theirs.*]",
    }
    settings = load_configuration(environment=environment).settings
    assert settings.engine.memory == 2 * 2**30
    assert (settings.engine.barriers, settings.engine.retry) == (True, 3)
    assert settings.services.compute.default_namespace == "007"
    assert settings.services.compute.run_retention_duration == 7200
    assert settings.allow_targets == ("mine", "theirs.*")


def test_variables_of_tasks_keep_their_case_and_their_text(written):
    file = written("services: {compute: {executor: {env_vars: {OMP: 1, Debug: yes, mode: 007}}}}")
    environment = {"ASYNCEXEC__SERVICES__COMPUTE__EXECUTOR__ENV_VARS__MY__Name": "on"}
    read = load_configuration(file, environment=environment)
    variables = read.settings.services.compute.executor.options["env_vars"]
    assert variables == {"OMP": "1", "Debug": "yes", "mode": "007", "MY__Name": "on"}


@pytest.mark.parametrize(
    "text, says",
    [
        (
            "servces: {}",
            r":1: there is no key 'servces' in a configuration: did you mean 'services'",
        ),
        (
            "services:\n  compute:\n    default_namspace: x",
            r":3: .*did you mean 'default_namespace'",
        ),
        ("services: {compute: disabled}", r":1: services.compute must map names to values"),
        (
            "services: {compute: {default_os_strategy: none}}",
            "default_os_strategy should be 'fallback'",
        ),
        ("services: {compute: {run_retention_duration: soon}}", "'soon' is not a duration"),
        (
            "services: {compute: {executor: [1]}}",
            "executor must map names to values, not be a list",
        ),
        ("services: {compute: {executor: ray}}", "target: ray among them"),
        ("engine:\n  work_dir: $ref{file|key}", r":2: engine.work_dir begins with .* \$ref\{"),
        ("storage: {parameters: {key: '${KEY}'}}", r"storage.parameters.key begins with .* \$\{"),
        ("1: x", ":1: there is no key 1 in a configuration: keys are names"),
        ("engine: {true: x}", "there is no key True in engine"),
        ("engine: {memory: much}", "engine.memory: size='much' is not a size"),
        ("engine: {retry: often}", "engine.retry must be a number of attempts"),
        ("engine: {timeout: [1]}", "engine.timeout must be a number of seconds"),
        ("engine: {barriers: perhaps}", "engine.barriers should be a valid boolean"),
        ("engine:\n  resources:\n    a: b", r":3: engine.resources.a should be a valid number"),
        ("engine: {straggler: fast}", "engine.straggler should be 'two_phase'"),
        ("database: {url: 'mysql://h/x'}", "database.url must be a path of an SQLite file"),
        ("logging: {level: loud}", "logging.level should be 'debug'"),
        ("allow_targets: [1]", "allow_targets must be a list of dotted paths"),
        ("storage: {protocol: ''}", "storage.protocol should have at least 1 character"),
    ],
)
def test_a_wrong_key_or_value_is_an_error_with_its_line(text, says, written):
    (problem,) = problems(written(text))
    assert problem.startswith(str(written(text)))
    assert re.search(says, problem), problem


def test_all_problems_are_told_at_once(written):
    file = written("engine: {memory: much, retri: 1}\nlogging: {level: loud}")
    told = problems(file, environment={"ASYNCEXEC__ENGIN__X": "1"}, overrides=["storage.path=x"])
    assert len(told) == 5
    unknown = {problem.partition(": there is no key")[0] for problem in told if "no key" in problem}
    assert unknown == {f"{file}:1", "-o storage.path", "environment ASYNCEXEC__ENGIN__X"}


@pytest.mark.parametrize(
    "options",
    [
        {"overrides": ["engine.memory"]},
        {"overrides": ["=3"]},
        {"overrides": ["engine..memory=3"]},
        {"overrides": ["engine=1", "engine.memory=3"]},
        {"environment": {"ASYNCEXEC__ENGINE____MEMORY": "1"}},
        {"env_file": "none.env"},
        {"overrides": "engine.memory=3"},
        {"overrides": [3]},
        {"overrides": ["engine.memory=3", "engine=1"]},
        {"source": "a\0b"},
    ],
)
def test_what_cannot_be_read_is_an_error_of_ours(options):
    with pytest.raises(OptionError):
        load_configuration(**options)


@pytest.mark.parametrize("source", [3, ["a"], b"x"])
def test_what_is_no_configuration_is_refused(source):
    with pytest.raises(OptionError, match="a configuration is a file, a mapping or settings"):
        load_configuration(source)


def test_a_file_of_a_list_is_refused(written):
    with pytest.raises(OptionError, match="must map names to settings, not be a list"):
        load_configuration(written("- a"))


def test_mappings_that_are_given_in_parts_are_one():
    overrides = ["engine.resources.a=1", "engine={memory: 5, resources: {b: 2}}"]
    engine = load_configuration(environment={}, overrides=overrides).settings.engine
    assert (engine.memory, engine.resources) == (5, {"a": 1, "b": 2})


def test_a_level_may_be_in_capitals():
    assert load_configuration({"logging": {"level": "INFO"}}).settings.logging.level == "info"


def test_settings_and_configurations_are_taken_as_they_are():
    read = load_configuration({"engine": {"memory": 5}}, environment={})
    assert load_configuration(read) is read
    assert load_configuration(read.settings).settings is read.settings
    with pytest.raises(OptionError, match="take no overrides"):
        load_configuration(read, overrides=["engine.memory=3"])


def test_a_mapping_of_the_caller_stays_as_it_is():
    given = {"name": "x", "engine": {"resources": {"a": 1}}}
    load_configuration(given, overrides=["engine.resources.a=2"], environment={})
    assert given == {"name": "x", "engine": {"resources": {"a": 1}}}


def test_flowdapts_variables_count_where_the_file_is_flowdapts(written):
    environment = {
        "FLOWDAPT__SERVICES__COMPUTE__EXECUTOR__CPUS": "3",
        "FLOWDAPT__ENGINE__MEMORY": "1GB",
        "ASYNCEXEC__ENGINE__MEMORY": "2GB",
    }
    read = load_configuration(written(FLOWDAPTS), environment=environment)
    assert read.settings.services.compute.executor.options == {"cpus": 3}
    assert read.settings.engine.memory == 2 * 10**9
    ours = load_configuration(written("engine: {}"), environment=environment)
    assert ours.settings.services.compute.executor.options == {}


def test_keys_of_flowdapt_without_effect_are_told(written):
    file = written(
        "name: flowdapt.quiet-cat\nrpc:\n  api: {port: 8080}\ntelemetry: {enabled: false}\n"
        "database: {target: flowdapt.lib.database.storage.tdb.TinyDBStorage}\n"
        "logging: {include_trace_id: false, level: debug}\ndrain_on_sigterm: false"
    )
    read = load_configuration(file, environment={})
    assert read.settings.logging.level == "debug"
    for line, key in ((1, "name"), (2, "rpc"), (4, "telemetry"), (5, "database.target")):
        assert any(n.startswith(f"{file}:{line}: {key} has no effect") for n in read.notices), key


@pytest.mark.parametrize(
    "text, key",
    [
        ("telemetry: {enabled: true}", "telemetry.enabled"),
        ("database: {target: flowdapt.lib.database.storage.mdb.MongoDBStorage}", "database.target"),
        ("logging: {include_trace_id: true}", "logging.include_trace_id"),
        ("drain_on_sigterm: true", "drain_on_sigterm"),
    ],
)
def test_keys_of_flowdapt_that_ask_for_what_is_not_there_are_refused(text, key, written):
    (problem,) = problems(written(text))
    assert f": {key} is refused: " in problem


def test_every_foreign_key_has_a_reason_and_is_none_of_ours():
    for key in FOREIGN_KEYS:
        assert key.why
        section = Settings
        for name in key.path[:-1]:
            section = (
                section.model_fields[name].annotation if name in section.model_fields else None
            )
            if section is None:
                break
        assert section is None or key.path[-1] not in section.model_fields


def test_secrets_are_in_no_repr_and_no_error(written):
    file = written(
        "services: {compute: {executor: {target: ray, env_vars: {KEY: sesame}}}}\n"
        "storage: {parameters: {key: sesame}}\n"
        "database: {url: 'postgresql://me:sesame@host/db?password=sesame'}"
    )
    read = load_configuration(file, environment={})
    assert "sesame" not in repr(read) + str(read.settings)
    wrong = problems(
        {"storage": {"parameters": "sesame"}, "database": {"url": "db2://me:sesame@h"}}
    )
    wrong += problems({"services": {"compute": {"executor": ["sesame"]}}})
    wrong += problems({"storage": ["sesame"]}, overrides=["storage.parameters=sesame"])
    assert len(wrong) == 4
    assert not any("sesame" in problem for problem in wrong)


def test_what_is_shown_of_a_secret_is_a_mask():
    assert shown_value((*EXECUTOR, "env_vars"), {"A": "sesame"}) == {"A": "***"}
    assert shown_value((*EXECUTOR, "env_vars", "A"), "sesame") == "***"
    assert shown_value(("storage", "parameters", "key"), "sesame") == "***"
    assert shown_value((*EXECUTOR, "cpus"), 3) == 3
    assert (
        hidden_password("postgresql://me:sesame@h:5432/db?a=b")
        == "postgresql://me:***@h:5432/db?***"
    )
    assert hidden_password("postgresql://h/db") == "postgresql://h/db"
    assert hidden_password("/var/runs.db") == "/var/runs.db"
    assert hidden_password("postgresql://me:s/e@sa#me@[h/db") == "postgresql://me:***@[h/db"


@pytest.mark.parametrize(
    "text, seconds",
    [("90s", 90), ("1h30m", 5400), ("2 d", 172_800), ("0.5", 0.5), (0, 0), ("1w", 604_800)],
)
def test_durations_are_read(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["soon", "1y", "-5", "h", "1h 30", True, None])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(OptionError, match="duration"):
        parse_duration(text)
