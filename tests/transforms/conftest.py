"""What tests of transforms of sound ask for."""

import pytest


@pytest.fixture(scope="session")
def torchaudio():
    """The truth for what is built on it."""
    return pytest.importorskip("torchaudio")
