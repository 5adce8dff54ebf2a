"""Logins and keys in URLs are shown by no error."""

import pickle

import pytest

from asyncexec.errors import AsyncexecError, KeyNotFoundError, OptionError, StorageError
from asyncexec.masking import masked_logins


@pytest.mark.parametrize(
    "text, shown",
    [
        ("tcp://me:sesame@host:8786", "tcp://***@host:8786"),
        ("tcp://sesame@host:8786/x", "tcp://***@host:8786/x"),
        ("tcp://:sesame@[::1]:8786", "tcp://***@[::1]:8786"),
        (
            "at 'https://me:ses:ame@h/a' and 'ftp://a:sesame@b'",
            "at 'https://***@h/a' and 'ftp://***@b'",
        ),
        ("db://me:ses/a?me#sesame@h/db", "db://***@h/db"),
        ("db://me:ses@me@h/db", "db://***@h/db"),
        ("https://h/run?code=sesame&page=2", "https://h/run?code=***&page=2"),
        ("s3://b/k?X-Amz-Signature=sesame", "s3://b/k?X-Amz-Signature=***"),
        ("https://h/x?a=1&access_token=sesame'", "https://h/x?a=1&access_token=***'"),
    ],
)
def test_logins_and_keys_of_urls_are_masked(text, shown):
    assert masked_logins(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "me@host",
        "tcp://host:8786",
        "tcp://host:8786/path/a@b",
        "tcp://[::1]:8786/a@b",
        "s3://bucket/a@b",
        "folder/a:b@c",
        "https://h/x?page=2#a@b",
        "tcp://host:1, or me@home",
    ],
)
def test_texts_without_a_login_stay_as_they_are(text):
    assert masked_logins(text) == text


@pytest.mark.parametrize("kind", [AsyncexecError, OptionError, StorageError, KeyNotFoundError])
def test_no_error_of_the_package_shows_a_login(kind):
    error = kind("no answer from tcp://me:sesame@host")
    for shown in (str(error), repr(error), pickle.dumps(error).decode("latin")):
        assert "sesame" not in shown
        assert "tcp://***@host" in shown
