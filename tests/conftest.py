"""Shared by all tests: 8 fake CPU devices, `--slow`, and where the real corpora lie."""

import os
from pathlib import Path

os.environ["XLA_FLAGS"] = (
    os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=8"
)
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("TQDM_DISABLE", "1")

import pytest


def pytest_addoption(parser):
    parser.addoption("--slow", action="store_true", help="also run the tests marked slow")


def pytest_collection_modifyitems(config, items):
    if config.getoption("--slow"):
        return
    for item in items:
        if "slow" in item.keywords:
            item.add_marker(pytest.mark.skip(reason="slow; runs with --slow"))


@pytest.fixture(scope="session")
def real_data_root() -> Path:
    """The folder of the public corpora."""
    root = os.environ.get("MEMOBERT_DATA", "")
    if not root:
        pytest.skip("MEMOBERT_DATA is not set: set it to the folder with grid_s1/ and ravdess/")
    if not Path(root).is_dir():
        pytest.fail(f"MEMOBERT_DATA = {root!r} is not a folder")
    return Path(root)


@pytest.fixture
def fake(monkeypatch, tmp_path):
    """Clips and identities of stand-in media; $EXTRACTED logs what was extracted."""
    import builders_kit

    from memobert_jax.media import clips

    monkeypatch.setenv("EXTRACTED", str(tmp_path / "extracted.log"))
    monkeypatch.setattr(clips, "extract", builders_kit.fake_extract)
    monkeypatch.setattr(clips, "identity", builders_kit.fake_identity)
