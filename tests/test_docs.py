"""What the documentation names is there."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted((ROOT / "docs").glob("*.md"))


def _tests() -> set[str]:
    """Names of all tests and of their modules."""
    names = set()
    for path in (ROOT / "tests").rglob("test_*.py"):
        names.add(path.stem)
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names |= {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    return names


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_test_that_a_page_names_is_there(page: Path):
    named = set(re.findall(r"\btest_\w+", page.read_text(encoding="utf-8")))
    assert named <= _tests()


def test_the_proof_of_the_models_names_its_tests():
    page = (ROOT / "docs" / "models.md").read_text(encoding="utf-8")
    assert len(set(re.findall(r"`test_\w+`", page))) >= 9
