"""How good a concept is, and pages that show it."""
