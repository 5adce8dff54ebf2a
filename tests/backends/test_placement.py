"""Which worker is taken, where a backend chooses; every decision without a system."""

from dataclasses import dataclass

from asyncexec.backends.placement import idle_one, least_busy, resting


@dataclass
class Worker:
    name: str
    assignments: tuple = ()
    is_ready: bool = True


def test_who_is_avoided_rests_as_long_as_another_is_there():
    assert resting("abc", {"b"}) == ("b",)
    assert resting("abc", {"a", "b"}) == ("a", "b")
    assert resting("b", {"b"}) == ()
    assert resting("abc", {"a", "b", "c"}) == ()


def test_avoiding_one_that_is_not_there_changes_nothing():
    assert resting("abc", {"x"}) == ()
    assert resting("", {"x"}) == ()


def test_two_workers_of_one_name_both_rest():
    assert resting(["a", "b", "a"], {"a"}) == ("a", "a")


def idle(workers, rests="", apart_from=""):
    return idle_one(workers, str, rests=rests, apart_from=apart_from)


def test_the_worker_that_was_idle_last_is_taken():
    assert idle("abc") == "c"
    assert idle("") is None


def test_a_resting_worker_is_not_taken_whoever_else_is_there():
    assert idle("abc", rests="c") == "b"
    assert idle("abc", rests="abc") is None


def test_a_worker_to_be_apart_from_is_taken_only_if_no_other_is_idle():
    assert idle("abc", apart_from="c") == "b"
    assert idle("abc", apart_from="bc", rests="a") == "c"


def choose(*workers, free=None, apart_from=""):
    chosen = least_busy(workers if free is None else free, workers, apart_from=apart_from)
    return chosen and chosen.name


def test_the_worker_with_the_least_to_do_is_taken_and_rather_one_that_is_ready():
    assert choose(Worker("a", ("x",)), Worker("b")) == "b"
    assert choose(Worker("a", is_ready=False), Worker("b")) == "b"
    assert choose(Worker("a", is_ready=False), Worker("b", ("x",))) == "a"


def test_of_two_with_as_much_to_do_the_one_apart_is_taken():
    assert choose(Worker("a"), Worker("b", is_ready=False), apart_from="a") == "b"
    assert choose(Worker("a", ("x",)), Worker("b", ("x",)), apart_from="a") == "b"


def test_an_idle_worker_is_taken_before_one_behind_whose_work_it_would_wait():
    assert choose(Worker("a"), Worker("b", ("x",)), apart_from="a") == "a"


def test_nothing_waits_behind_what_it_is_to_be_apart_from_while_somebody_else_is_there():
    one, full = Worker("a", ("x",)), Worker("b", ("x", "y"))
    assert choose(one, full, free=[one]) == "a"
    assert choose(one, full, free=[one], apart_from="a") is None


def test_where_there_is_nobody_else_it_runs_all_the_same():
    assert choose(Worker("a", ("x",)), apart_from="a") == "a"
    assert choose(Worker("a", ("x",)), Worker("b", ("x",)), apart_from="ab") in {"a", "b"}


def test_where_nobody_has_room_it_waits():
    assert choose(Worker("a", ("x", "y")), free=[]) is None
