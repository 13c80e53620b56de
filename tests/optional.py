"""Packages that the tests use where they are installed."""

import importlib.util

import pytest


def needs(package: str) -> pytest.MarkDecorator:
    """Skip where an optional package is not installed."""
    is_missing = importlib.util.find_spec(package) is None
    return pytest.mark.skipif(is_missing, reason=f"the package {package} is not installed")
