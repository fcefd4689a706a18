"""Results as Markdown."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

from _workloads import Workload

Result = dict[str, Any]
"""What one process reported: "workload", "contender", "round", "others", and its figures or "error"."""


def markdown(workload: Workload, results: Sequence[Result]) -> str:
    """Returns the table of one workload, and the settings of its contenders.

    Args:
      workload: what was measured.
      results: those of this workload.
    """
    ran = [contender for contender in workload.contenders if _of(results, contender.name)]
    headings = ["", *workload.figures.values()]
    lines = [f"### {workload.title}", "", _row(headings), _row(["---", *("---:" for _ in workload.figures)])]
    for contender in ran:
        own = _of(results, contender.name)
        base = _of(results, workload.contenders[0].name) if contender is not workload.contenders[0] else []
        lines.append(_row([contender.name, *(_cell(workload, name, own, base) for name in workload.figures)]))
    lines += ["", *(f"- {contender.name}: {contender.settings}." for contender in ran)]
    failed = sorted({result["contender"] for result in results if "error" in result})
    lines += [f"- {name}: failed in at least one round, see the output." for name in failed]
    return "\n".join(lines)


def _of(results: Sequence[Result], contender: str) -> list[Result]:
    return [result for result in results if result["contender"] == contender and "error" not in result]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(workload: Workload, figure: str, results: Sequence[Result], base: Sequence[Result]) -> str:
    """Returns median, [smallest-largest] where there are several rounds, and the ratio to the base, best first."""
    values = [result[figure] for result in results if figure in result]
    if not values:
        return "-"
    median = statistics.median(values)
    text = _number(median)
    if len(values) > 1:
        text += f" [{_number(min(values))}-{_number(max(values))}]"
    others = [result[figure] for result in base if figure in result]
    if others and figure not in workload.no_ratio and median:
        ratio = median / statistics.median(others)
        text += f" **{1 / ratio if figure in workload.smaller_is_better else ratio:.2f}x**"
    return text


def _number(value: float) -> str:
    if abs(value) >= 10_000:
        return f"{value / 1000:,.1f}k" if abs(value) < 100_000 else f"{value / 1000:,.0f}k"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
