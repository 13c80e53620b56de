"""Files: the concept file, and plain LoRA files for other programs."""
