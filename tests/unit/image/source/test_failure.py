"""Failures of libraries, said in a sentence without the address."""

import ssl

import pytest
import requests
from urllib3 import exceptions

from launcher.image.source.failure import explain


@pytest.mark.parametrize(
    ("err", "words", "again"),
    [
        (ssl.SSLEOFError(8, "EOF occurred"), "the server closed the connection", True),
        (ssl.SSLZeroReturnError(6, "closed"), "the server closed the connection", True),
        (exceptions.ConnectTimeoutError("secret"), "no connection within 5 s", True),
        (TimeoutError("secret"), "nothing came for 60 s", True),
    ],
)
def test_what_is_said(err: Exception, words: str, again: bool) -> None:
    text, is_again = explain(requests.exceptions.ConnectionError(err), 60, 5)
    assert text.startswith(words)
    assert is_again is again
    assert "secret" not in text
