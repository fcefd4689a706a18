"""Every Python block of the README and of docs/ runs, page by page, as a reader would run them one after the other.

A block that cannot run stands after a comment that says why: `<!-- not run: needs a cluster -->`.
"""

from __future__ import annotations

import doctest
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
_FENCE = re.compile(
    r"^(?P<before><!-- not run: [^\n]+ -->\n+)?```(?P<language>\w*)[^\n]*\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL
)
_LINK = re.compile(r"\[[^\]]+\]\((?!https?:|#|mailto:)([^)#]+)")


def _blocks(text: str) -> Iterator[tuple[int, str]]:
    """Yields (first line, code) of the Python blocks that are to run."""
    for match in _FENCE.finditer(text):
        if match["language"] in {"python", "pycon", "py"} and not match["before"]:
            yield text.count("\n", 0, match.start("code")) + 1, match["code"]


def _run(page: str, blocks: Iterator[tuple[int, str]]) -> None:
    """Runs the blocks of one page in one namespace; a block with prompts is compared with what it shows."""
    names: dict[str, object] = {"__name__": "__main__"}
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    for line, code in blocks:
        if ">>> " in code:
            test = doctest.DocTestParser().get_doctest(code, names, page, page, line - 1)
            doctest.DebugRunner(optionflags=flags).run(test, clear_globs=False)
            names.update(test.globs)
        else:
            exec(compile("\n" * (line - 1) + code, page, "exec"), names)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_code_of_a_page_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # a page may write a model_dir beside it
    text = page.read_text()
    assert text.startswith(("# ", "<!-- "))
    _run(page.name, _blocks(text))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_links_of_a_page_lead_somewhere(page: Path) -> None:
    broken = [target for target in _LINK.findall(page.read_text()) if not (page.parent / target).exists()]
    assert not broken


def test_the_index_lists_every_page() -> None:
    index = ROOT / "docs" / "index.md"
    listed = set(_LINK.findall(index.read_text()))
    assert {page.name for page in PAGES[1:]} - {index.name} <= listed


def test_a_page_is_run_in_order_and_its_fragments_are_not() -> None:
    page = """# Page
```python
x = 2
```
<!-- not run: an example of a mistake -->
```python
raise ValueError
```
```
not Python
```
```python
>>> x + 1
3
```
"""
    assert [line for line, _ in _blocks(page)] == [3, 13]
    _run("page", _blocks(page))


def test_a_wrong_result_on_a_page_is_found() -> None:
    with pytest.raises(doctest.DocTestFailure):
        _run("page", iter([(1, ">>> 1 + 1\n3\n")]))
