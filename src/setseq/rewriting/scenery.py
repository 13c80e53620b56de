"""Who a look shows, apart from what is around: places, objects beside, light and weather."""

from setseq.rewriting.phrases import chunks_of, joined, kind_of

_KINDS = ("place", "object", "light")


def split_scenery(look: str) -> tuple[str, str]:
    """A look without its scenery, and the scenery alone.

    Args:
        look: as "a [v1] creature in a meadow at dusk".

    Returns:
        As "a [v1] creature" and "in a meadow at dusk"; "" where a look says nothing of it.
    """
    chunks = chunks_of(look.rstrip(" .!?,;:"), kind_of)
    who = joined(chunk for chunk in chunks if chunk.kind not in _KINDS)
    return who, joined(chunk for chunk in chunks if chunk.kind in _KINDS)
