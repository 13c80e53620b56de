"""The bench: methods x concepts x edits x seeds, learned, shown, measured and compared."""
