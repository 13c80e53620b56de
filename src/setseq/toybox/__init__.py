"""The toybox: a procedural world, its captions, and the recipe that trains its base model."""
