"""The training: one loop, and the stages as descriptions for it."""
