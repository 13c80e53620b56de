"""``setseq inspect``: what is in a concept file."""

from __future__ import annotations

from setseq.commands.options import ConceptFile
from setseq.terminal import show_facts


def inspect(concept: ConceptFile) -> None:
    """Show what is in a concept file."""
    from setseq import api

    show_facts(api.inspect(concept))
