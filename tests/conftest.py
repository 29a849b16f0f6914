"""What holds for all tests."""

from __future__ import annotations

from hypothesis import HealthCheck, settings


def pytest_configure() -> None:
    """An example that takes long on a loaded machine is no fault of what is tried; the library's own limit is a fifth of a second."""
    settings.register_profile("loaded", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("loaded")
