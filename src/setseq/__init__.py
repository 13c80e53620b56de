"""Learn how an entity looks and moves from one video, then show it in new scenes."""

__version__ = "0.1.0"
