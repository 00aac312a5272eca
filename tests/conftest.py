"""What every test file may ask for."""

import gc
import os
import tarfile
from pathlib import Path

import pytest
from archives import unpacked
from hypothesis import HealthCheck, settings

settings.register_profile("datakit", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("datakit")  # a slow machine is no fault of the code

# before torch is imported, and for the processes that tests start: two tests run at once, and threads of torch that
# wait for a core burn the cores of others, up to eight times what the work itself takes
os.environ.setdefault("OMP_NUM_THREADS", "1")

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


def pytest_collection_finish():
    """What was imported stays: each collection of garbage, and one comes before every pass that is timed, walks it."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data beside the checkout; a test that needs it says so when it is absent."""
    if not SHARED.is_dir():
        pytest.skip("the real datasets (../shared/data) are not beside this checkout")
    return SHARED


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory):
    """Keep synthetic copies out of the user's cache folder; the workers of a run share theirs."""
    is_worker = "PYTEST_XDIST_WORKER" in os.environ
    cache = tmp_path_factory.getbasetemp().parent / "cache" if is_worker else tmp_path_factory.mktemp("cache")
    os.environ["DATAKIT_CACHE"] = str(cache)


@pytest.fixture(scope="session")
def faces(shared, tmp_path_factory):
    """The 69 real faces, unpacked as a user would have them."""
    from datakit.vision import FaceLandmarks

    return FaceLandmarks(unpacked(shared / "faces.zip", tmp_path_factory))


@pytest.fixture(scope="session")
def hymenoptera(shared, tmp_path_factory):
    """The folder with `train` and `val` of the real ants and bees."""
    return unpacked(shared / "hymenoptera_data.zip", tmp_path_factory) / "hymenoptera_data"


@pytest.fixture(scope="session")
def nuclei(shared, tmp_path_factory):
    """170 real microscope images with instance masks in the layout of Penn-Fudan."""
    from datakit.vision import PennFudan

    return PennFudan(unpacked(shared / "nuclei-in-pennfudan-layout.zip", tmp_path_factory))


@pytest.fixture(scope="session")
def cifar(shared, tmp_path_factory):
    """12,000 real images of CIFAR-10, as they are: Python 3 wrote them, with protocol 2 and bytes as keys."""
    archive = shared / "cifar10-subset" / "cifar-10-python.tar.gz"
    if not archive.exists():
        pytest.skip("the subset of CIFAR-10 is not among the real datasets")
    root = tmp_path_factory.mktemp("cifar")
    with tarfile.open(archive) as tar:
        tar.extractall(root, filter="data")
    return root


@pytest.fixture(scope="session")
def tutorial(shared, tmp_path_factory):
    """A folder with `data/names/*.txt` and `data/eng-fra.txt`, of the tutorials on text."""
    return unpacked(shared / "data.zip", tmp_path_factory)


@pytest.fixture(scope="session")
def anki(shared, tmp_path_factory):
    """A folder with `fra.txt`, sentences with translations and attributions."""
    return unpacked(shared / "fra-eng.zip", tmp_path_factory)


@pytest.fixture
def one_thread():
    """Threads of torch that wait for a core burn the cores of others."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def chromium():
    """One headless Chromium for all tests; skips, with a reason, where there is none."""
    from browser import launched

    with launched() as browser:
        yield browser
