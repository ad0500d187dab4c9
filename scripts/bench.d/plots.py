"""Draws the plots: results-time.svg and results-cost.svg. Reads the bars as JSON from stdin.

Text stays text, so that files are small and searchable. The background is transparent and every colour of middle
lightness: readable on a light page and on a dark one.

usage: plots.py OUT
"""

import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt
from matplotlib.ticker import NullLocator

INK = "#7d8590"
# Starting, looking and creating are short: together they are the rest.
PHASES = {
    "copy": "#2f81f7",
    "index": "#d98e04",
    "constrain": "#c2567a",
    "analyze": "#2da15f",
    "verify": "#8a63d2",
    "rest": "#9aa1a9",
}
WHOLE = "#5c7f9c"
BAR_INCHES = 0.42

plt.rcParams.update(
    {
        "svg.fonttype": "none",
        # The same figures give the same file.
        "svg.hashsalt": "lite2pg",
        "font.family": ["sans-serif"],
        "font.sans-serif": ["DejaVu Sans", "Verdana", "sans-serif"],
        "font.size": 10,
        "text.color": INK,
        "axes.labelcolor": INK,
        "axes.edgecolor": INK,
        "xtick.color": INK,
        "ytick.color": INK,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.spines.left": False,
        "ytick.major.size": 0,
    }
)


def main():
    out, bars = Path(sys.argv[1]), json.load(sys.stdin)
    save(time(bars), out / "results-time.svg")
    save(cost(bars), out / "results-cost.svg")


def time(bars):
    bars = sorted(bars, key=lambda bar: bar["wall_s"])
    figure, axes = plt.subplots(figsize=(8, 1.5 + BAR_INCHES * len(bars)))
    drawn = {}
    for y, bar in enumerate(bars):
        left = 0
        for name, seconds in parts(bar):
            colour = PHASES.get(name, WHOLE)
            (drawn[name],) = axes.barh(y, seconds, left=left, color=colour, height=0.62)
            left += seconds
        lacks = f" · lacks {', '.join(bar['lacks'])}" if bar["lacks"] else ""
        beside(axes, left, y, f"{spelled(bar['wall_s'])} s{lacks}")
    names(axes, bars)
    axes.set_xlabel("seconds, median")
    # Room for the words behind the longest bar.
    axes.set_xlim(right=1.45 * max(bar["wall_s"] for bar in bars))
    order = [name for name in [*PHASES, "phases unknown"] if name in drawn]
    axes.legend(
        [drawn[name] for name in order], order, frameon=False, ncols=len(order), loc="lower left",
        bbox_to_anchor=(0, 1), borderaxespad=0.2, handlelength=1, columnspacing=1.2,
    )  # fmt: skip
    return figure


def cost(bars):
    bars = sorted(bars, key=lambda bar: bar["own_cpu_s"] + bar["server_cpu_s"])
    size = (8, 1.5 + BAR_INCHES * len(bars))
    figure, (left, right) = plt.subplots(1, 2, figsize=size, width_ratios=[3, 2], sharey=True)
    servers, own = [bar["server_cpu_s"] for bar in bars], [bar["own_cpu_s"] for bar in bars]
    left.barh(range(len(bars)), servers, color=WHOLE, height=0.62, label="server")
    left.barh(range(len(bars)), own, left=servers, color=PHASES["index"], height=0.62, label="its own")
    for y, bar in enumerate(bars):
        both = f"{spelled(bar['server_cpu_s'])} + {spelled(bar['own_cpu_s'])}"
        beside(left, bar["server_cpu_s"] + bar["own_cpu_s"], y, both)
        if bar["peak_bytes"]:
            right.barh(y, bar["peak_bytes"] / 1e6, color=PHASES["analyze"], height=0.62)
            beside(right, bar["peak_bytes"] / 1e6, y, f"{bar['peak_bytes'] / 1e6:.0f}")
    names(left, bars)
    left.set_xlabel("CPU seconds, server + its own")
    left.set_xlim(right=1.35 * max(bar["server_cpu_s"] + bar["own_cpu_s"] for bar in bars))
    left.legend(frameon=False, ncols=2, loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0.2, handlelength=1)
    # From psql's few MB to gigabytes: on a plain scale only the largest would be seen.
    right.set_xscale("log")
    right.set_xlim(left=1, right=4 * max((bar["peak_bytes"] or 1e6) / 1e6 for bar in bars))
    right.xaxis.set_major_formatter("{x:.0f}")
    right.xaxis.set_minor_locator(NullLocator())
    right.set_xlabel("peak memory, MB (logarithmic)")
    return figure


def parts(bar):
    """The bar's pieces, which together are the whole."""
    if not bar["phases"]:
        return [("phases unknown", bar["wall_s"])]
    shown = {name: bar["phases"][name] for name in PHASES if name in bar["phases"]}
    # Medians of phases need not add up to the median of the whole: what is left over is never below nothing.
    return [*shown.items(), ("rest", max(0.0, bar["wall_s"] - sum(shown.values())))]


def names(axes, bars):
    axes.set_yticks(range(len(bars)), [bar["title"] for bar in bars])
    axes.invert_yaxis()


def beside(axes, x, y, text):
    axes.annotate(text, (x, y), xytext=(5, 0), textcoords="offset points", va="center")


def spelled(seconds):
    return f"{seconds:.0f}" if seconds >= 100 else f"{seconds:.1f}"


def save(figure, path):
    metadata = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    figure.savefig(path, transparent=True, bbox_inches="tight", metadata=metadata)


main()
