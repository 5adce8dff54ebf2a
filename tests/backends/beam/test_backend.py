import pytest

from asyncexec.backends.adapters.blocking_system import CallLostError
from asyncexec.errors import OptionError
from asyncexec.plan.locality import Locality

pytest.importorskip("apache_beam")

from asyncexec.backends.beam import BeamBackend
from asyncexec.backends.beam.checks import check_pipeline_options
from asyncexec.backends.beam.handles import BeamHandle
from asyncexec.backends.beam.options import BeamOptions
from asyncexec.backends.beam.stores import CallFiles, InProcessCalls, run_element
from asyncexec.backends.beam.system import BeamSystem

PLACES = ("here", "storage")


def answer():
    return b"answer"


@pytest.fixture(params=PLACES)
def store(request, tmp_path):
    return (
        InProcessCalls()
        if request.param == "here"
        else CallFiles(directory=str(tmp_path / "calls"))
    )


def test_an_element_is_run_and_its_answer_comes(store):
    handle = BeamHandle(answer, in_process=True)
    store.put_calls({"a": handle})
    assert not handle.running()
    run_element("a", store)
    store.collect({"a": handle})
    assert handle.result(timeout=0) == b"answer"
    assert handle.begun
    store.discard_calls(["a"])
    store.close()


def test_an_element_that_comes_twice_is_run_once(store):
    handle = BeamHandle(answer, in_process=True)
    store.put_calls({"b": handle})
    assert store.begin("b") is not None
    assert store.begin("b") is None
    store.discard_calls(["b"])


def test_in_storage_a_second_coming_tells_that_the_first_is_lost(tmp_path):
    store = CallFiles(directory=str(tmp_path / "calls"))
    handle = BeamHandle(answer, in_process=True)
    store.put_calls({"c": handle})
    store.begin("c")
    store.collect({"c": handle})
    assert handle.running()
    run_element("c", store)
    store.collect({"c": handle})
    with pytest.raises(CallLostError) as caught:
        handle.result(timeout=0)
    assert caught.value.worker


def test_a_call_that_is_cancelled_before_it_begins_is_not_run(store):
    in_process = isinstance(store, InProcessCalls)
    told = []
    handle = BeamHandle(answer, in_process=in_process)
    store.put_calls({"d": handle})
    handle.on_abandoned = lambda: told.append(handle.abandoned)
    assert handle.cancel() == in_process
    store.collect({"d": handle})
    assert store.begin("d") is None
    assert told == [True]
    assert handle.done() == in_process
    store.discard_calls(["d"])


def test_a_call_that_has_begun_cannot_be_cancelled():
    handle = BeamHandle(answer, in_process=True)
    assert handle.begin()
    assert not handle.begin()
    assert not handle.cancel()
    assert handle.abandoned
    handle.finish(b"late")
    assert handle.result(timeout=0) == b"late"


def test_in_storage_who_begins_and_who_cancels_cannot_both_go_on(tmp_path, monkeypatch):
    store = CallFiles(directory=str(tmp_path / "calls"))
    handle = BeamHandle(answer, in_process=False)
    store.put_calls({"g": handle})
    write = CallFiles._write

    def cancelled_meanwhile(self, name, kind, data):
        if kind == "begun":
            write(self, name, "unwanted", b"")
        write(self, name, kind, data)

    monkeypatch.setattr(CallFiles, "_write", cancelled_meanwhile)
    assert store.begin("g") is None


def test_on_leaving_nothing_begins_any_more(tmp_path):
    store = CallFiles(directory=str(tmp_path / "calls"))
    handles = {name: BeamHandle(answer, in_process=False) for name in "hi"}
    store.put_calls(handles)
    store.begin("h")
    store.collect(handles)
    store.prevent_start(handles)
    assert store.begin("i") is None


def test_nothing_is_left_in_storage(tmp_path):
    store = CallFiles(directory=str(tmp_path / "calls"))
    handles = {name: BeamHandle(answer, in_process=True) for name in "ef"}
    store.put_calls(handles)
    run_element("e", store)
    store.discard_calls(list(handles))
    assert list((tmp_path / "calls").iterdir()) == []
    store.close()
    assert list(tmp_path.iterdir()) == []


def test_a_runner_elsewhere_needs_a_place_that_both_see():
    for options in (
        {"runner": "FlinkRunner"},
        {"options": {"direct_running_mode": "multi_processing"}},
    ):
        with pytest.raises(OptionError, match="work_dir"):
            BeamBackend(**options)


def test_options_are_checked():
    for options, word in (
        ({"runner": 3}, "runner"),
        ({"options": {"runner": "DirectRunner"}}, "option of its own"),
        ({"max_workers": 0}, "max_workers"),
        ({"batch_limit": 0}, "batch_limit"),
        ({"poll_seconds": -1}, "poll_seconds"),
    ):
        with pytest.raises(OptionError, match=word):
            BeamBackend(**options)


def test_what_it_can_do_depends_on_where_it_runs():
    here = BeamBackend().capabilities
    assert (here.locality, here.isolated, here.metered) == (Locality.SAME_PROCESS, False, False)
    far = BeamBackend(runner="DataflowRunner", work_dir="gs://bucket/dir").capabilities
    assert (far.locality, far.isolated, far.metered) == (Locality.ELSEWHERE, True, True)
    assert BeamBackend.features == BeamBackend().capabilities


@pytest.mark.parametrize("runner", ["DirectRuner", "FlinkRuner", "dataflow-runner"])
@pytest.mark.parametrize("more", [{}, {"work_dir": "/tmp"}])
def test_a_misspelt_runner_is_said_with_the_right_spelling(runner, more):
    with pytest.raises(
        OptionError, match=r"no runner .*did you mean '(Direct|Flink|Dataflow)Runner'"
    ):
        BeamBackend(runner=runner, **more)


def test_runners_are_named_as_beam_takes_them():
    for here in ("DirectRunner", "directrunner", "direct", "FnApiRunner"):
        assert BeamBackend(runner=here).capabilities.locality is Locality.SAME_PROCESS
    for there in ("flinkrunner", "portable", "package.module.Runner"):
        assert BeamBackend(runner=there, work_dir="/x").capabilities.isolated


@pytest.mark.parametrize(
    "runner, name, meant",
    [
        ("DirectRunner", "direct_num_worker", "direct_num_workers"),
        ("DataflowRunner", "projct", "project"),
        ("FlinkRunner", "flink_mastr", "flink_master"),
        ("DirectRunner", "zzz", "without it"),
    ],
)
def test_an_option_that_beam_would_ignore_is_refused_on_entering(runner, name, meant):
    options = BeamOptions(runner=runner, work_dir="/nowhere", options={name: 2})
    with pytest.raises(OptionError, match=meant):
        BeamSystem(options, BeamBackend.features).open()


def test_options_that_beam_knows_and_those_of_a_runner_s_own_service_are_taken():
    check_pipeline_options("DirectRunner", {"direct_num_workers": 2, "no_use_public_ips": True})
    check_pipeline_options("FlinkRunner", {"zzz": 2})
