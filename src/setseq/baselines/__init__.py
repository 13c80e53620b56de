"""What the paper compares with: each method a description for the one loop."""

from setseq.baselines.methods import METHODS, Method, learn_method, settings_of

__all__ = ["METHODS", "Method", "learn_method", "settings_of"]
