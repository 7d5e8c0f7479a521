"""What the tests of faults share."""

import pytest


@pytest.fixture(autouse=True)
def own_trust(tmp_path, monkeypatch):
    """A configuration folder of its own, which trusts nothing."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


@pytest.fixture
def marker(tmp_path):
    return tmp_path / "code-ran"
