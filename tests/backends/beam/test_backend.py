import pytest

from asyncexec.backends.adapters.blocking_system import CallLostError
from asyncexec.errors import OptionError
from asyncexec.plan.locality import Locality

pytest.importorskip("apache_beam")

from asyncexec.backends.beam import BeamBackend
from asyncexec.backends.beam.handles import CallHandle
from asyncexec.backends.beam.places import Storage, ThisProcess, run_element

PLACES = ("here", "storage")


def answer():
    return b"answer"


@pytest.fixture(params=PLACES)
def place(request, tmp_path):
    return ThisProcess() if request.param == "here" else Storage(directory=str(tmp_path / "calls"))


def test_an_element_is_run_and_its_answer_comes(place):
    handle = CallHandle(answer, near=True)
    place.hand_over({"a": handle})
    assert not handle.running()
    run_element("a", place)
    place.collect({"a": handle})
    assert handle.result(timeout=0) == b"answer"
    assert handle.begun
    place.withdraw(["a"])
    place.close()


def test_an_element_that_comes_twice_is_run_once(place):
    handle = CallHandle(answer, near=True)
    place.hand_over({"b": handle})
    assert place.begin("b") is not None
    assert place.begin("b") is None
    place.withdraw(["b"])


def test_in_storage_a_second_coming_tells_that_the_first_is_lost(tmp_path):
    place = Storage(directory=str(tmp_path / "calls"))
    handle = CallHandle(answer, near=True)
    place.hand_over({"c": handle})
    place.begin("c")
    place.collect({"c": handle})
    assert handle.running()
    run_element("c", place)
    place.collect({"c": handle})
    with pytest.raises(CallLostError) as caught:
        handle.result(timeout=0)
    assert caught.value.worker


def test_a_call_that_is_cancelled_before_it_begins_is_not_run(place):
    near = isinstance(place, ThisProcess)
    told = []
    handle = CallHandle(answer, near=near)
    place.hand_over({"d": handle})
    handle.on_unwanted = lambda: told.append(handle.unwanted)
    assert handle.cancel() == near
    place.collect({"d": handle})
    assert place.begin("d") is None
    assert told == [True]
    assert handle.done() == near
    place.withdraw(["d"])


def test_a_call_that_has_begun_cannot_be_cancelled():
    handle = CallHandle(answer, near=True)
    assert handle.begin()
    assert not handle.begin()
    assert not handle.cancel()
    assert handle.unwanted
    handle.finish(b"late")
    assert handle.result(timeout=0) == b"late"


def test_in_storage_who_begins_and_who_cancels_cannot_both_go_on(tmp_path, monkeypatch):
    place = Storage(directory=str(tmp_path / "calls"))
    handle = CallHandle(answer, near=False)
    place.hand_over({"g": handle})
    write = Storage._write

    def cancelled_meanwhile(self, name, kind, data):
        if kind == "begun":
            write(self, name, "unwanted", b"")
        write(self, name, kind, data)

    monkeypatch.setattr(Storage, "_write", cancelled_meanwhile)
    assert place.begin("g") is None


def test_on_leaving_nothing_begins_any_more(tmp_path):
    place = Storage(directory=str(tmp_path / "calls"))
    handles = {name: CallHandle(answer, near=False) for name in "hi"}
    place.hand_over(handles)
    place.begin("h")
    place.collect(handles)
    place.refuse(handles)
    assert place.begin("i") is None


def test_nothing_is_left_in_storage(tmp_path):
    place = Storage(directory=str(tmp_path / "calls"))
    handles = {name: CallHandle(answer, near=True) for name in "ef"}
    place.hand_over(handles)
    run_element("e", place)
    place.withdraw(list(handles))
    assert list((tmp_path / "calls").iterdir()) == []
    place.close()
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
