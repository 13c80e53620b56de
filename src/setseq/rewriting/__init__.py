"""Edits in a few words: what they change of a learned prompt."""
