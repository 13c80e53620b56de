"""The generic prompts of the prior: shipped for some domains, or of a user's own file."""

import importlib.resources
from itertools import chain, cycle, islice
from pathlib import Path

from setseq.errors import PromptError
from setseq.prompts import ConceptPrompt, placeholders

DOMAINS = ("people", "animals", "objects", "nature", "toybox")
_TOYBOX = "toybox"


def prior_prompts(name: str, *, base: str, count: int) -> list[ConceptPrompt]:
    """The first prompts of a domain or a file, in two parts; again from the start where too few.

    Args:
        name: a domain; "auto", the toybox's own on the toybox, else all others in turn; or a file
            with a prompt a line, "look | motion", where empty lines and those with # are left out.
        base: id of the base model.
        count: how many, at least 1; the same prompt again gets another seed.

    Raises:
        PromptError: the file cannot be read, or a line has not two parts, or a concept's token.
    """
    if name == "auto" and base != _TOYBOX:
        each = [_shipped(domain) for domain in DOMAINS if domain != _TOYBOX]
        found = list(chain.from_iterable(zip(*each, strict=True)))
    elif name in (*DOMAINS, "auto"):
        found = _shipped(_TOYBOX if name == "auto" else name)
    else:
        found = _of_file(Path(name))
    return list(islice(cycle(found), count))


def _shipped(domain: str) -> list[ConceptPrompt]:
    path = importlib.resources.files("setseq") / "training" / "priors" / f"{domain}.txt"
    return _parsed(path.read_text(encoding="utf-8"), f"{domain}.txt")


def _of_file(path: Path) -> list[ConceptPrompt]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise PromptError(
            f"no prior prompts at {path} ({type(error).__name__}); give a text file, or auto,"
            f" {', '.join(DOMAINS)}"
        ) from error
    found = _parsed(text, str(path))
    if not found:
        raise PromptError(f"{path} has no prompt; write one a line, as 'look | motion'")
    return found


def _parsed(text: str, name: str) -> list[ConceptPrompt]:
    prompts = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        parts = [part.strip() for part in line.split("|")]
        if len(parts) != 2 or not all(parts):
            raise PromptError(
                f"{name}, line {number}: {line.strip()!r} has not two parts; write 'look | motion'"
            )
        if found := placeholders(line):
            raise PromptError(
                f"{name}, line {number}: has [{found[0]}]; the prior is learned without the"
                " concept's tokens, so leave it out"
            )
        prompts.append(ConceptPrompt(*parts))
    return prompts
