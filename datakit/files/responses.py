"""What a server's response means for a download that may have begun before.

Range requests: RFC 9110, sections 13.1.5 (If-Range), 14.4 (Content-Range), 15.5.17 (416); Retry-After: section 10.2.3.
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from datakit.files.partial import Partial

if TYPE_CHECKING:
    from requests import Response

LONGEST_WISH = 60.0
"""Seconds that a server's Retry-After can make us wait."""


class SourceError(Exception):
    """One source cannot deliver; the next one may."""


class AbsentError(SourceError):
    """One source does not have the file."""


class TransientError(Exception):
    """An attempt failed where another may not; `wish` is the pause in seconds that the server asked for."""

    def __init__(self, why: str, wish: float = 0.0) -> None:
        super().__init__(why)
        self.wish = wish


def accept(response: Response, url: str, partial: Partial) -> int | None:
    """Makes `partial` ready for the body of a good response.

    Returns:
        The bytes of the whole file, where the server says how many.

    Raises:
        SourceError: another attempt at this source would fail too.
        TransientError: another attempt may not.
    """
    _check_status(response, partial)
    encoding = response.headers.get("Content-Encoding", "identity").lower()
    if encoding != "identity" and not urlsplit(url).path.endswith("gz"):  # some servers say it of every .gz file
        raise SourceError(f"sends it as {encoding}, though asked not to")
    if response.status_code == 206:
        return _continue(response, partial)
    length = re.fullmatch(r"\d{1,18}", response.headers.get("Content-Length", ""))
    total = int(length[0]) if length else None
    partial.restart(_validator(response), total)
    return total


def stay_secure(response: Response, **_: Any) -> None:
    """A response hook that refuses a redirect from https to anything else.

    Raises:
        SourceError: there is one.
    """
    target = urljoin(response.url, response.headers.get("Location", ""))
    if response.is_redirect and urlsplit(response.url).scheme == "https" and urlsplit(target).scheme != "https":
        raise SourceError(f"redirects to {target}, which is not https")


def _check_status(response: Response, partial: Partial) -> None:
    status, why = response.status_code, f"HTTP {response.status_code} {response.reason}"
    if status in (200, 206):
        return
    if status in (403, 404, 410):  # object stores say 403 of what is not there
        raise AbsentError(why)
    if status == 416:  # what is on disk is no beginning of what the server has now
        partial.restart()
        raise TransientError(why)
    if status in (408, 429) or status >= 500:
        raise TransientError(why, _retry_after(response))
    raise SourceError(why)


def _continue(response: Response, partial: Partial) -> int | None:
    """Makes sure that a partial response goes on exactly where the bytes on disk end."""
    found, origin = response.headers.get("Content-Range", ""), partial.origin
    match = re.fullmatch(r"bytes (\d{1,18})-\d{1,18}/(\d{1,18}|\*)", found.strip())
    if match and origin and int(match[1]) == partial.size and _validator(response) in ("", origin.validator):
        total = origin.total if match[2] == "*" else int(match[2])
        if origin.total in (None, total):
            partial.resumed = True
            return total
    partial.restart()
    raise TransientError(f"the server resumed wrongly (Content-Range {found!r})")


def _validator(response: Response) -> str:
    """What identifies this version of the file to the byte; a weak ETag does not."""
    tag = response.headers.get("ETag", "")
    return tag if tag and not tag.startswith("W/") else response.headers.get("Last-Modified", "")


def _retry_after(response: Response) -> float:
    from email.utils import parsedate_to_datetime

    wish = response.headers.get("Retry-After", "")
    if wish.isdecimal():
        return min(float(wish), LONGEST_WISH)
    try:
        seconds = parsedate_to_datetime(wish).timestamp() - time.time()
    except ValueError:
        return 0.0
    return min(max(seconds, 0.0), LONGEST_WISH)
