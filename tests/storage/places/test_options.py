"""Options of a store: passed on whole, shown never."""

import copy
import pickle

from hypothesis import given, strategies as st

from asyncexec.storage.places.options import StorageOptions, shown

CANARY = "canary-7f3a91"


def test_options_are_a_mapping_that_can_be_passed_on():
    options = StorageOptions({"key": CANARY, "endpoint": "http://localhost"})
    assert dict(options) == {"key": CANARY, "endpoint": "http://localhost"}
    assert dict(**options)["key"] == CANARY


def test_text_names_the_options_and_hides_their_values():
    options = StorageOptions({"key": CANARY, "client_options": {"token": CANARY}})
    for text in (repr(options), str(options), f"{options}", "%s" % options):  # noqa: UP031 - each way
        assert CANARY not in text
        assert "'key': ***" in text


def test_equal_by_value_also_when_nested_or_not_hashable():
    def made():
        return StorageOptions({"a": {"b": ["c", {"d": 1}]}, "e": "f"})

    assert made() == made()
    assert hash(made()) == hash(made())
    assert made() != StorageOptions({"a": 1})
    assert StorageOptions() == StorageOptions(None)


def test_survives_pickling_and_copying():
    options = StorageOptions({"key": CANARY, "nested": {"n": [1, 2]}})
    assert pickle.loads(pickle.dumps(options)) == options
    assert copy.deepcopy(options) == options


def test_secrets_are_taken_out_of_foreign_text():
    options = StorageOptions({"key": CANARY, "more": {"token": [CANARY + "-longer"]}, "anon": True})
    told = options.hide_in(f"403 for {CANARY}-longer with {CANARY}")
    assert told == "403 for *** with ***"


@given(st.text(), st.text(min_size=4))
def test_no_text_shows_a_secret(before, secret):
    assert secret not in StorageOptions({"key": secret}).hide_in(before + secret).replace("***", "")


def test_urls_are_shown_without_user_and_query():
    assert shown(f"s3://user:{CANARY}@bucket/a/b") == "s3://bucket/a/b"
    assert shown(f"https://host/a.zarr?sig={CANARY}#x") == "https://host/a.zarr"
    assert shown("/a/b?c#d@e") == "/a/b?c#d@e"
