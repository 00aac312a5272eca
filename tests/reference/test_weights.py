"""Pretrained weights: from the cache, from a mirror, from a server, and never without their digest."""

import hashlib
import io
import time

import pytest
import torch
from servers import serving

from datakit.errors import StateError
from datakit.reference.weights import Pretrained, pretrained


class Planted:
    """What a weights file must never be able to do."""

    def __reduce__(self):
        return open, ("planted", "w")


def weights_file(content):
    """The name and the bytes of a file as torchvision publishes them."""
    buffer = io.BytesIO()
    torch.save(content, buffer)
    data = buffer.getvalue()
    return f"net-{hashlib.sha256(data).hexdigest()[:8]}.pth", data


STATE = {"weight": torch.arange(6.0).reshape(2, 3)}
NAME, DATA = weights_file(STATE)
NOWHERE = f"http://127.0.0.1:9/models/{NAME}"


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """torch's own folder of weights, empty."""
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path / "hub"))
    monkeypatch.delenv("DATAKIT_MIRROR", raising=False)
    return tmp_path / "hub" / "checkpoints"


@pytest.fixture
def server():
    with serving() as running:
        yield running


def test_what_lies_in_the_cache_is_used_and_nobody_is_asked(cache, server):
    cache.mkdir(parents=True)
    (cache / NAME).write_bytes(DATA)
    weights = pretrained(f"{server.url}/models/{NAME}", download=True)
    assert weights
    assert torch.equal(weights.state["weight"], STATE["weight"])
    assert server.asked == []


def test_a_file_of_the_cache_with_another_digest_is_not_used(cache):
    cache.mkdir(parents=True)
    (cache / NAME).write_bytes(DATA + b"!")
    weights = pretrained(NOWHERE)
    assert not weights
    assert f"the SHA-256 of {cache / NAME} begins with" in weights.reason


def test_without_download_nothing_is_fetched(cache, server):
    server.files[f"/models/{NAME}"] = DATA
    weights = pretrained(f"{server.url}/models/{NAME}")
    assert not weights
    assert weights.reason == f"{NAME} is not in the cache of torch.hub, and was not to be downloaded"
    assert server.asked == []
    assert not cache.exists()


def test_it_is_fetched_from_upstream_to_where_torch_looks(cache, server):
    server.files[f"/models/{NAME}"] = DATA
    assert pretrained(f"{server.url}/models/{NAME}", download=True)
    assert (cache / NAME).read_bytes() == DATA
    again = torch.hub.load_state_dict_from_url(f"{server.url}/models/{NAME}", check_hash=True)
    assert torch.equal(again["weight"], STATE["weight"])
    assert server.count(f"/models/{NAME}") == 1


def test_a_mirror_comes_first(cache, server, tmp_path, monkeypatch):
    (tmp_path / "mirror").mkdir()
    (tmp_path / "mirror" / NAME).write_bytes(DATA)
    monkeypatch.setenv("DATAKIT_MIRROR", (tmp_path / "mirror").as_uri())
    assert pretrained(f"{server.url}/models/{NAME}", download=True)
    assert server.asked == []


@pytest.mark.parametrize("fault", ["", "truncate"])
def test_what_a_server_sends_that_is_not_the_file_is_never_in_the_cache(cache, server, fault):
    server.files[f"/models/{NAME}"] = DATA if fault else b"<html>come back later</html>"
    server.fault = lambda number, path: fault
    weights = pretrained(f"{server.url}/models/{NAME}", download=True)
    assert not weights
    assert weights.reason
    assert not (cache / NAME).exists()
    server.files[f"/models/{NAME}"], server.fault = DATA, lambda number, path: ""
    assert pretrained(f"{server.url}/models/{NAME}", download=True), "the next try begins anew"


def test_an_address_that_does_not_answer_is_given_up_soon_and_quietly(cache, capfd):
    began = time.monotonic()
    weights = pretrained(NOWHERE, download=True)
    assert time.monotonic() - began < 5
    assert f"{NAME}: no source delivered it" in weights.reason
    assert "\n" not in weights.reason
    assert capfd.readouterr() == ("", "")


def test_nothing_in_the_file_is_run(cache, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name, data = weights_file({"weight": Planted()})
    cache.mkdir(parents=True)
    (cache / name).write_bytes(data)
    weights = pretrained(f"https://example.org/{name}")
    assert not weights
    assert "holds no weights" in weights.reason
    assert not (tmp_path / "planted").exists()


def test_an_address_without_a_digest_is_refused(cache):
    with pytest.raises(ValueError, match="does not end in the digest"):
        pretrained("https://example.org/net.pth")


def test_a_run_goes_on_only_as_it_began():
    there, not_there = Pretrained(STATE), Pretrained(reason="net.pth is gone")
    there.load_state_dict(there.state_dict())
    not_there.load_state_dict(not_there.state_dict())
    with pytest.raises(StateError, match=r"began with pretrained weights; net.pth is gone"):
        not_there.load_state_dict(there.state_dict())
    with pytest.raises(StateError, match=r"began without pretrained weights; now they are there"):
        there.load_state_dict(not_there.state_dict())
