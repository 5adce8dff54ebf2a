"""The parts of a text that are never shown: logins and keys in URLs."""

from __future__ import annotations

import re

MASK = "***"
"""What is shown in place of a secret."""

_END = r"\s'\"<>"
# By RFC 3986 a login ends at the last @ before the first of / ? #.
_LOGIN = rf"[^/?#{_END}]*@"
# A password with one of those in it makes no valid URL, and is hidden all the same. What follows the colon of
# "host:8786" or "[::1]" is no password.
_BROKEN_LOGIN = rf"[^/?#:@\[{_END}]*:(?!\d*(?:[/?#{_END},;)]|\Z))[^{_END}]*@"
_IN_URL = re.compile(rf"(?<=://)(?:{_BROKEN_LOGIN}|{_LOGIN})")
_IN_QUERY = re.compile(
    r"([?&](?:[\w.-]*(?:token|secret|password|passwd|signature|credential|api[_-]?key|accesskeyid)|sig|code|key)=)[^&#\s'\"<>]+",
    re.IGNORECASE,
)


def masked_logins(text: str) -> str:
    """Return a text in which the logins of URLs, and keys in their queries, are ``***``.

    >>> from asyncexec.masking import masked_logins
    >>> masked_logins("no answer from tcp://me:sesame@host:8786/status")
    'no answer from tcp://***@host:8786/status'
    >>> masked_logins("https://host/run?token=sesame&page=2")
    'https://host/run?token=***&page=2'
    """
    if "://" not in text:
        return text
    return _IN_QUERY.sub(rf"\g<1>{MASK}", _IN_URL.sub(f"{MASK}@", text))
