"""Results made by hand, whose tables are known."""

from typing import Any

from setseq.bench.results import CellResult, LearningResult, Results

METHODS = {"plain": "Plain", "full": "Full"}


def results(
    cells: list[tuple[str, str, int | None, int, dict[str, float | None]]], **manifest: Any
) -> Results:
    """Results of (method, concept, edit, seed, values)."""
    about = {
        "format": 1,
        "version": "0.1.0",
        "base": "toybox",
        "fingerprint": "abcdef" * 8,
        "encoders": {"clip": "none", "judge": "auto"},
        "quick": False,
        "use": "table",
        "methods": METHODS,
        "reference": "full",
        "concepts": {
            name: {"look": "a [v1] thing", "motion": "it is [u1]", "prompts": ["a [v1] hat"]}
            for name in dict.fromkeys(cell[1] for cell in cells)
        },
        "edits": [{"name": "a hat", "prompt": "a [v] hat"}],
        "seeds": sorted({cell[3] for cell in cells}),
        "training_seeds": [0],
        "settings": {"table": ["robot", "bee"], "choosing": ["dancer"]},
    }
    return Results(
        manifest={**about, **manifest},
        cells=tuple(
            CellResult(
                method=method,
                concept=concept,
                edit=edit,
                seed=seed,
                training_seed=0,
                device="a card",
                values=values,
            )
            for method, concept, edit, seed, values in cells
        ),
        learnings=tuple(
            LearningResult(
                method=method,
                concept="robot",
                training_seed=0,
                values={"duration_s": seconds, "peak_bytes": 2.0**30},
                threads=1,
                processes=2,
                device="a card",
                way={"rank": 8, "prior": "videos", "self_conditioning": 0.9},
            )
            for method, seconds in (("plain", 60.0), ("full", 150.0))
        ),
        num_cells=len(cells),
    )


def small() -> Results:
    """Two methods, two concepts, one edit, two seeds."""
    cells: list[tuple[str, str, int | None, int, dict[str, float | None]]] = []
    for method, gain in (("plain", 0.0), ("full", 0.2)):
        for concept, base in (("robot", 0.4), ("bee", 0.6)):
            for seed in (0, 1):
                cells.append((method, concept, None, seed, {"mse": 0.01 + gain / 10}))
                values = {
                    "judged_identity": base + gain,
                    "judged_edit": base + gain * (seed * 2 - 1),
                }
                cells.append((method, concept, 0, seed, {"mse": 0.5, **values}))
    return results(cells)
