"""The errors that a user can cause: one line each, with what was found and what to do."""


class SetSeqError(Exception):
    """Anything that a user can get wrong; the message is one line."""


class ClipError(SetSeqError):
    """A video that cannot be read or used."""


class PromptError(SetSeqError):
    """A prompt that is empty, too long, or lacks or misuses a concept token."""


class ConceptFileError(SetSeqError):
    """A concept file that is damaged, foreign, or made for another base model."""


class LoraFileError(SetSeqError):
    """A plain LoRA that is damaged, of a kind that is not supported, or made for another model."""


class BaseModelError(SetSeqError):
    """A base model that is missing, incomplete, or of an unknown kind."""


class EncoderError(SetSeqError):
    """An encoder of the metrics that is missing, damaged, or needs a package."""


class BenchError(SetSeqError):
    """A bench's folder that is damaged, or belongs to another bench."""


class SettingsError(SetSeqError):
    """A setting that is unknown or out of range."""


class TrainingError(SetSeqError):
    """A training that cannot start or go on."""


class Interrupted(TrainingError):
    """A training that the user stopped; its state is saved and can be resumed."""


class OutputError(SetSeqError):
    """A result that could not be written."""


class StudyError(SetSeqError):
    """A user study that cannot be held: its folder, its answers, or its port."""
