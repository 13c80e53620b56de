"""Watching a learning: losses, previews, trackers, and the report at its end."""
