"""The files behind a dataset: fetched, verified and unpacked once, whoever asks and however often.

`ensure(remotes, root, download=True)` is the whole of it; a `Remote` says what to fetch, `inside` keeps names from
data under their root, and `cache_dir` is where things go that the user gave no folder for.
"""

from datakit.files.paths import cache_dir, inside
from datakit.files.prepare import ensure
from datakit.files.remote import Remote

__all__ = ["Remote", "cache_dir", "ensure", "inside"]
