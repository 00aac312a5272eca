"""Downloads over HTTP that survive bad networks: resumed, retried, and never taken for complete when they are not."""

from __future__ import annotations

import time
from random import SystemRandom
from typing import TYPE_CHECKING, NamedTuple

from datakit.files.partial import Partial
from datakit.files.progress import Progress
from datakit.files.responses import SourceError, TransientError, accept, stay_secure

if TYPE_CHECKING:
    from requests import Session

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
"""Seconds to wait after an attempt that brought something, doubled for each that did not, and at most."""
_BLOCK = 1 << 15
_random = SystemRandom()  # not the global generator: a retry must not change what the user's code draws


class Patience(NamedTuple):
    """How long to try one source.

    Attributes:
        timeout: seconds without a connection or without a byte, after which an attempt has failed.
        retries: attempts in a row that bring nothing new, after the first one.
    """

    timeout: float
    retries: int


def download(url: str, partial: Partial, size: int | None, patience: Patience, progress: Progress) -> None:
    """Completes `partial` from an http or https address.

    Args:
        url: the address.
        partial: what is there already; it grows, or starts anew where it cannot be resumed.
        size: the bytes that there must be, where that is known.
        patience: timeouts and retries.
        progress: is told about every block.

    Raises:
        SourceError: the server does not have the file, refuses it, or fails for too long.
        OSError: the disk is full, or otherwise in the way.
    """
    import requests
    from urllib3.exceptions import HTTPError

    hopeless = (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema, requests.exceptions.TooManyRedirects)
    failures, furthest = 0, partial.size
    with requests.Session() as session:
        session.hooks["response"].append(stay_secure)
        while True:
            try:
                return _attempt(session, url, partial, size, patience.timeout, progress)
            except hopeless as error:
                raise SourceError(str(error)) from error
            except (TransientError, requests.RequestException, HTTPError) as error:
                failures = failures + 1 if partial.size <= furthest else 0
                furthest = max(furthest, partial.size)
                if failures > patience.retries:
                    raise SourceError(f"{_why(error)} (attempt {failures} that brought nothing new)") from error
                time.sleep(_pause(failures, getattr(error, "wish", 0.0)))


def _why(error: Exception) -> object:
    """The reason at the bottom of what requests and urllib3 wrap around each other."""
    inner = error.args[0] if error.args else error
    return getattr(inner, "reason", inner)


def _attempt(
    session: Session, url: str, partial: Partial, size: int | None, timeout: float, progress: Progress
) -> None:
    if partial.origin and partial.size == partial.origin.total:
        return
    headers = {"Accept-Encoding": "identity"}  # else Content-Length would count something else
    if partial.origin and partial.size:
        headers |= {"Range": f"bytes={partial.size}-", "If-Range": partial.origin.validator}
    with session.get(url, headers=headers, stream=True, timeout=timeout) as response:
        total = accept(response, url, partial)
        if None not in (total, size) and total != size:
            raise SourceError(f"has {total} bytes, expected {size}")
        total = size if total is None else total
        progress.update(partial.size, total)
        for block in response.raw.stream(_BLOCK, decode_content=False):
            partial.write(block)
            progress.update(partial.size, total)
    if total is not None and partial.size != total:
        raise TransientError(f"{partial.size} of {total} bytes came")


def _pause(failures: int, wish: float) -> float:
    """Seconds to wait: twice as long after each failure, never less than the server wished, never the same twice."""
    backoff = min(FIRST_PAUSE * 2.0**failures, LONGEST_PAUSE)
    return wish + backoff * _random.uniform(0.5, 1.0)
