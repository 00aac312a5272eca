"""Real texts, unpacked as a user would have them."""

import zipfile

import pytest


@pytest.fixture(scope="session")
def tutorial(shared, tmp_path_factory):
    """A folder with `data/names/*.txt` and `data/eng-fra.txt`."""
    root = tmp_path_factory.mktemp("tutorial")
    with zipfile.ZipFile(shared / "data.zip") as archive:
        archive.extractall(root)
    return root


@pytest.fixture(scope="session")
def anki(shared, tmp_path_factory):
    """A folder with `fra.txt`, three columns."""
    root = tmp_path_factory.mktemp("anki")
    with zipfile.ZipFile(shared / "fra-eng.zip") as archive:
        archive.extractall(root)
    return root
