"""The documentation's table of settings is the schema."""

import sys
from pathlib import Path

from uvala.config import options
from uvala.plan.schema import Plan

DOCS = Path(__file__).parents[2] / "docs"


def load_script():
    sys.path.insert(0, str(DOCS))
    try:
        import make_settings
    finally:
        sys.path.pop(0)
    return make_settings


def test_page_is_current():
    written = (DOCS / "settings.md").read_text(encoding="utf-8")
    assert written == load_script().page(), "run python docs/make_settings.py"


def test_names_every_setting_with_its_sentence():
    page = load_script().page()
    for path, info in options(Plan):
        line = next(line for line in page.splitlines() if line.startswith(f"| `{path}` |"))
        assert info.description.replace("|", "\\|") in line


def test_tells_ranges_and_choices():
    page = load_script().page()
    assert "| `patches.size` | `256` | from 16 |" in page
    assert '| `precision` | `"auto"` | `auto`, `float32`, `bfloat16`, `float16` |' in page
    assert "| `length.budget` | none | from 10 |" in page
