"""Real archives, unpacked as a user would have them."""

import zipfile

import pytest


def unpacked(archive, tmp_path_factory):
    """The folder with what is in a real archive; a test skips where that is not among the real datasets."""
    if not archive.exists():
        pytest.skip(f"{archive.name} is not among the real datasets")
    root = tmp_path_factory.mktemp(archive.stem)
    zipfile.ZipFile(archive).extractall(root)
    return root
