"""What ships with the toybox: its base model, judge, encoders and clips."""

from pathlib import Path


def asset(name: str) -> Path:
    """A file or folder that ships with the toybox."""
    return Path(__file__).parent / "assets" / name
