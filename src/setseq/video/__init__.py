"""Video files in and out, and the views of a clip that the two stages learn from."""
