"""Video models behind one protocol; the only rooms besides evaluation that import diffusers."""
