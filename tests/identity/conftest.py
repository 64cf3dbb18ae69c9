"""What tests of galleries share."""

import logging

import pytest


@pytest.fixture
def warned(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """What galleries log, whatever other tests' libraries have set for loggers."""
    own = logging.Logger("own")
    own.addHandler(caplog.handler)
    monkeypatch.setattr("s3fd.identity.store.log", own)
    return caplog
