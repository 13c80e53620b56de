"""The columns of a bench's tables: what is shown of all that is measured, and where."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Where = Literal["own", "edits", "learning"]
Better = Literal["higher", "lower"]


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One column.

    Attributes:
        key: In a row of results.
        title: Heading.
        where: Over which cells: under the concepts' own prompts, or under the edits; or over the
            learnings.
        better: Which way is better; None where neither is.
        digits: Behind the point.
        unit: One of the table's, in the row's; as 2**20 bytes.
    """

    key: str
    title: str
    where: Where
    better: Better | None = "higher"
    digits: int = 3
    unit: float = 1.0

    @property
    def heading(self) -> str:
        """The title with an arrow to where better is."""
        arrow = {"higher": " ↑", "lower": " ↓", None: ""}[self.better]
        return f"{self.title}{arrow}"


METRICS = (
    Metric(key="mse", title="MSE", where="own", better="lower", digits=4),
    Metric(key="identity", title="Identity", where="own"),
    Metric(key="face_identity", title="ID (face)", where="own"),
    Metric(key="motion", title="Motion fidelity", where="own"),
    Metric(key="judged_identity", title="Identity, judged", where="own"),
    Metric(key="judged_motion", title="Motion, judged", where="own"),
    Metric(key="identity", title="Identity", where="edits"),
    Metric(key="face_identity", title="ID (face)", where="edits"),
    Metric(key="motion", title="Motion fidelity", where="edits"),
    Metric(key="clip_text", title="C-T", where="edits"),
    # Neither way: a frozen video has the highest TC, and a trembling one the most movement.
    Metric(key="temporal_consistency", title="TC", where="edits", better=None, digits=4),
    Metric(key="edit_margin", title="Edit margin", where="edits"),
    Metric(key="edit_done", title="Edit success", where="edits"),
    Metric(key="dynamic_ratio", title="Dynamic degree / clip's", where="edits", better=None),
    Metric(key="judged_identity", title="Identity, judged", where="edits"),
    Metric(key="judged_motion", title="Motion, judged", where="edits"),
    Metric(key="judged_edit", title="Edit success, judged", where="edits"),
    Metric(key="duration_s", title="Minutes", where="learning", better="lower", unit=60, digits=1),
    Metric(
        key="peak_bytes", title="Peak GiB", where="learning", better="lower", unit=2**30, digits=2
    ),
)

# Setting to its heading, of what methods are learned and shown with.
WAYS = {
    "rank": "Rank",
    "identity_dropout": "Dropout, Set",
    "motion_dropout": "Dropout, Sequence",
    "prior": "Prior",
    "token_masking": "Token masking",
    "self_conditioning": "Self-conditioning",
    "shown_with_estimates": "in sampling",
}

# What a plot shows: what is kept (up) against what is obeyed (right), the first that is there.
KEPT = (
    ("identity", ("judged_edit", "edit_margin")),
    ("motion", ("judged_edit", "edit_margin")),
    ("identity", ("clip_text",)),
    ("motion", ("clip_text",)),
    ("judged_identity", ("judged_edit",)),
    ("judged_motion", ("judged_edit",)),
)

# The paper's Table 2 (and 1): row to MSE, ID, C-T, TC. Source: arXiv:2502.14844.
PAPER_COLUMNS = ("MSE ↓", "ID ↑", "C-T ↑", "TC ↑")
PAPER = {
    "Textual Inversion": ("0.0714", "0.145", "0.201", "0.9927"),
    "LoRA-1": ("0.0432", "0.622", "0.226", "0.9974"),
    "LoRA-8 = DreamBooth-LoRA": ("0.0223", "0.703", "0.224", "0.9969"),
    "Dreamix, adapted to DiT": ("0.0429", "0.579", "0.226", "0.9965"),
    "NewMove (U-Net)": ("0.2223", "0.270", "0.204", "0.9914"),
    "DreamVideo (U-Net)": ("0.2021", "0.118", "0.218", "0.9657"),
    "Two stages, no regularization": ("0.0461", "0.629", "0.250", "0.9971"),
    "Set-and-Sequence": ("0.0221", "0.680", "0.239", "0.9972"),
}
PAPER_NOTE = (
    "The paper's own numbers (its Table 2): an 11.5B base model, videos of people, another CLIP and"
    " face encoder. Compare the order of the methods, never a number with one above."
)
