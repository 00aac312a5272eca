"""What every test file may ask for."""

import os
import zipfile
from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data beside the checkout; a test that needs it says so when it is absent."""
    if not SHARED.is_dir():
        pytest.skip("the real datasets (../shared/data) are not beside this checkout")
    return SHARED


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory):
    """Keep synthetic copies out of the user's cache folder."""
    os.environ["DATAKIT_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def faces(shared, tmp_path_factory):
    """The 69 real faces, unpacked as a user would have them."""
    from datakit.vision import FaceLandmarks

    root = tmp_path_factory.mktemp("faces")
    zipfile.ZipFile(shared / "faces.zip").extractall(root)
    return FaceLandmarks(root)


@pytest.fixture(scope="session")
def chromium():
    """One headless Chromium for all tests; skips, with a reason, where there is none."""
    from browser import launched

    with launched() as browser:
        yield browser
