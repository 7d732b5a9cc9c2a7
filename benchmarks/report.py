"""The result of a benchmark as a table, as JSON, and as a plot."""

from __future__ import annotations

from html import escape
from statistics import median

# What is measured, how it is called, and the most that it may take of the naive script's time.
BOUNDS = {
    "bare": ("site.yml on a bare machine", 2.0),
    "again": ("site.yml with nothing to do", 0.5),
    "code": ("deploy of changed code", 0.3),
    "setting": ("deploy of a changed setting", None),
    "roll-back": ("roll-back", 0.1),
}
FLOOR = "naive script, the measure of the others"
STEPS_SHOWN = 12
LABEL = 0.2  # how wide a figure is in the plot, in its unit
SWITCH_MILLISECONDS = 50
MACHINES_BOUND = {"8": 2.5}


def ratios(result: dict) -> dict[str, float]:
    """The median of each measure, as a share of the naive script's median."""
    if not result["seconds"]:
        return {}
    floor = median(result["seconds"]["floor"])
    return {name: median(values) / floor for name, values in result["seconds"].items()}


def verdict(is_met: bool) -> str:
    """What is said of a bound."""
    return "met" if is_met else "NOT MET"


def judged(value: float, bound: float | None) -> str:
    """A ratio beside its bound."""
    return f"{value:6.2f}" + ("" if bound is None else f"   at most {bound:.2f}: {verdict(value <= bound)}")


def table(result: dict, last: dict | None) -> str:
    """All figures, and beside each ratio that of the last kept result."""
    before = ratios(last) if last else {}
    lines = [f"{'':32}{'median':>9}   ratio"]
    for name, ratio in ratios(result).items():
        title, bound = BOUNDS.get(name, (FLOOR, None))
        line = f"{title:<40.40}{median(result['seconds'][name]):7.1f} s {judged(ratio, bound)}"
        lines.append(line + (f"   (kept: {before[name]:.2f})" if name in before else ""))
    if result.get("switch_milliseconds"):
        lines += ["", switched(result["switch_milliseconds"])]
    for name, steps in result["steps"].items():
        lines += ["", f"Longest steps: {BOUNDS[name][0]} (seconds, of {sum(steps.values()):.1f} in {len(steps)})"]
        longest = sorted(steps.items(), key=lambda step: -step[1])[:STEPS_SHOWN]
        lines += [f"  {seconds:6.2f}  {step}" for step, seconds in longest]
    if result.get("machines"):
        one = result["machines"]["1"]
        lines += ["", "site.yml with nothing to do, by machines (seconds; as a multiple of one)"]
        for number, spent in result["machines"].items():
            lines.append(f"  {number:>2}  {spent:6.1f}  {judged(spent / one, MACHINES_BOUND.get(number))}")
    if result.get("serving"):
        lines += ["", "Served (requests per second; 99th percentile in milliseconds)"]
        for name, figures in result["serving"].items():
            lines.append(f"  {name:<28}{figures['requests_per_second']:9.0f}{figures['p99_milliseconds']:9.1f}")
        lines += [f"  {line}" for line in served(result["served_ratios"])]
    if result.get("workers"):
        keys = list(next(iter(result["workers"].values())))
        lines += ["", "Workers x threads: requests per second, p99 of the query, memory of the release"]
        lines.append(" " * 10 + "".join(f"{key:>18}" for key in keys))
        for name, figures in result["workers"].items():
            lines.append(f"  {name:<8}" + "".join(f"{figures[key]:18.0f}" for key in keys))
    return "\n".join(lines)


def switched(milliseconds: list[float]) -> str:
    """How long the switch itself takes on the machine."""
    middle, longest = median(milliseconds), max(milliseconds)
    return (
        f"switch on the machine: median {middle:.0f} ms, longest of {len(milliseconds)} {longest:.0f} ms"
        f"   at most {SWITCH_MILLISECONDS} ms: {verdict(middle <= SWITCH_MILLISECONDS)}"
    )


def served(ratios: dict[str, float]) -> list[str]:
    """What nginx costs on a trivial path, and what it gains on a static file."""
    cost, gain = 1 - ratios["trivial"], ratios.get("static apart", ratios["static"])
    return [
        f"nginx costs {cost:.0%} of a trivial request   at most 15%: {verdict(cost <= 0.15)}",
        f"a static file is {gain:.0f} x Flask's   at least 20: {verdict(gain >= 20)}"
        f" ({ratios['static']:.0f} x where wrk shares the server's cores)",
    ]


def plot(result: dict) -> str:
    """The ratios as horizontal bars, each with its bound as a line: a complete SVG."""
    shares = ratios(result)
    rows = [("naive script", shares.pop("floor"), None)] + [
        (*BOUNDS[name][:1], share, BOUNDS[name][1]) for name, share in shares.items()
    ]
    unit = 420 / max(2.0, *(share for _, share, _ in rows))
    parts = []
    for row, (title, share, bound) in enumerate(rows):
        y = 20 + 34 * row
        parts.append(f'<text x="250" y="{y + 15}" text-anchor="end">{escape(title)}</text>')
        parts.append(f'<rect x="260" y="{y}" width="{share * unit:.1f}" height="20" fill="#4a7ba6"/>')
        # Beside the bound too, where that is near.
        right = max(share, bound if bound and bound - share < LABEL else 0) * unit
        parts.append(f'<text x="{266 + right:.1f}" y="{y + 15}">{share:.2f}</text>')
        if bound is not None:
            x = 260 + bound * unit
            parts.append(f'<path d="M{x:.1f} {y - 4}v28" stroke="#b03030" stroke-width="2"/>')
    parts.append(f'<text x="260" y="{36 + 34 * len(rows)}" fill="#b03030">red: the most that it may be</text>')
    height = 50 + 34 * len(rows)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 740 {height}" font-family="sans-serif" font-size="13">'
    )
    return "\n".join([head, f'<rect width="740" height="{height}" fill="#fff"/>', *parts, "</svg>\n"])
