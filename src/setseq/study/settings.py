"""What a study asks, fixed when it begins."""

from __future__ import annotations

from pydantic import Field, field_validator

from setseq.config import Settings

METHOD = "set-and-sequence"
PAIRS_PER_RIVAL = 4  # our choice: even, so that sides are balanced

# The paper's four criteria (its user study, arXiv:2502.14844); the wording is ours.
QUESTIONS = {
    "identity": "Which one looks more like the original?",
    "motion": "Which one moves more like the original?",
    "prompt": "Which one shows better what the text says?",
    "overall": "Which one do you prefer, all in all?",
}


class StudySettings(Settings):
    """How a study is held; the same for all of its participants."""

    reference_method: str = Field(default=METHOD, description="compared with every other method")
    questions: tuple[str, ...] = Field(
        default=tuple(QUESTIONS), min_length=1, description="names of what is asked, in order"
    )
    pairs: int = Field(ge=1, description="pairs that each participant sees")
    seed: int = Field(default=0, description="of the order of pairs and of the sides")
    ties: bool = Field(default=False, description='offer "no difference" as a third answer')

    @field_validator("questions")
    @classmethod
    def _known(cls, questions: tuple[str, ...]) -> tuple[str, ...]:
        for name in questions:
            if name not in QUESTIONS:
                raise ValueError(f"no question {name!r}; there are {', '.join(QUESTIONS)}")
        if len(set(questions)) < len(questions):
            raise ValueError("a question is there twice; name each once")
        return questions

    @property
    def choices(self) -> tuple[str, ...]:
        """What may be answered."""
        return ("a", "b", "same") if self.ties else ("a", "b")
