"""Runs of references, honest ones and sabotaged ones."""

import pytest

from datakit.reference import find, train


@pytest.fixture
def trained(tmp_path, one_thread):
    """Train a reference, on its synthetic copy where `root` is None; two runs of a test go to folders of their own."""

    def run(name, bug=None, root=None, **options):
        cls = find(name) if bug is None else find(name).sabotaged(bug)
        own = {key: options.pop(key) for key in ("seed", "num_workers", "options", "device") if key in options}
        out = options.pop("out", tmp_path / f"{name}-{bug}")
        return train(cls(root, **own), out, **options)

    return run
