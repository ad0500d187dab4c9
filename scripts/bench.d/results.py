"""Writes what was seen: RESULTS.md for people, results.csv with every run, the plots by plots.py."""

import csv
import datetime
import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[2]
PHASES = ["open", "profile", "plan", "create", "copy", "index", "constrain", "analyze", "verify"]
NONE = "–"

HEAD = """# How fast lite2pg is

<!-- Written by scripts/bench. Run it again instead of editing this. -->

PostgreSQL is given the same rows by lite2pg, by other tools, and by its own `psql` from files that hold them rendered
as binary COPY. The last is the **floor**: what the server needs by itself, keys, indexes and statistics included. Times
are medians. Ratios are taken within a round and then their median, because machines drift by a quarter within minutes.
`scripts/bench --help` tells what can be chosen.

```
{command}
```

{about}
"""


def write(args, cases, ready, absent, runs, machine, postgres, plots_python):
    whole = cases[0]
    table = Figures(runs)
    _csv(args.out / "results.csv", cases, runs)
    plots = _plots(args.out, table, ready, plots_python)
    parts = [HEAD.format(command=_command(args), about=_about(args, whole))]
    parts += [_main_table(table, ready, absent, plots), _targets(args, table)]
    parts += [_growth(cases, table), _tiny(cases, table, ready)]
    parts += [_setting(args, machine, postgres, ready)]
    (args.out / "RESULTS.md").write_text("\n".join(part.strip("\n") + "\n" for part in parts if part))


class Figures:
    """Medians over rounds, and medians of ratios within a round."""

    def __init__(self, runs):
        self._runs = {(r.case, r.contender, r.round): r for r in runs if not r.failure}
        self.all = runs

    def runs(self, case, contender):
        return [r for (c, k, _), r in self._runs.items() if (c, k) == (case, contender)]

    def of(self, case, contender, what):
        """None where it did not run."""
        found = [what(r) for r in self.runs(case, contender)]
        found = [value for value in found if value is not None]
        return median(found) if found else None

    def ratios(self, case, contender, to_case, to, what):
        """One for each round in which both ran."""
        found = []
        for (c, k, round_), run in self._runs.items():
            other = self._runs.get((to_case, to, round_))
            if (c, k) == (case, contender) and other and what(run) is not None and what(other):
                found.append(what(run) / what(other))
        return found

    def ratio(self, *question):
        found = self.ratios(*question)
        return median(found) if found else None

    def failures(self, case, contender):
        return [r for r in self.all if r.failure and (r.case, r.contender) == (case, contender)]


wall = lambda run: run.usage.wall_s
cpu = lambda run: run.usage.cpu_s
peak = lambda run: run.usage.peak_bytes or None
server_cpu = lambda run: run.server_cpu_s
copy = lambda run: run.usage.phases.get("copy")
# What stands between the first row and the last key: the same for the floor and for lite2pg.
keys = lambda run: sum(run.usage.phases.get(p, 0) for p in ("index", "constrain")) if run.usage.phases else None


def _main_table(table, ready, absent, plots):
    rows = []
    for c in ready:
        runs = table.runs("whole", c.key)
        if runs:
            rows.append(
                [
                    c.title,
                    _s(table.of("whole", c.key, wall)),
                    _ratio_with_range(table.ratios("whole", c.key, "whole", "floor", wall)),
                    _s(table.of("whole", c.key, copy)),
                    _ratio(table.ratio("whole", c.key, "whole", "floor", copy)),
                    _s(table.of("whole", c.key, keys)),
                    _s(table.of("whole", c.key, cpu)),
                    _s(table.of("whole", c.key, server_cpu)),
                    _mb(table.of("whole", c.key, peak)),
                    str(len(runs)),
                ]
            )
        for failed in table.failures("whole", c.key)[:1]:
            rows.append([c.title, f"failed: {_cell(failed.failure)}"] + [NONE] * 8)
    rows += [[c.title, f"not measured: {_cell(why)}"] + [NONE] * 8 for c, why in absent]
    head = ["", "whole s", "÷ floor (range)", "copy s", "÷ floor's", "keys, indexes s"]
    head += ["own CPU s", "server CPU s", "peak MB", "rounds"]
    text = "## The whole job\n\n" + _markdown(head, rows)
    text += "".join(f"\n![{alt}]({name})\n" for name, alt in plots)
    text += "\n### What each leaves out\n\n"
    text += "Rows are counted after every run, and each column's values compared after the first, both outside of the\n"
    text += "time. What is missing is what the target's catalog lacks of what lite2pg makes there.\n\n"
    rows = []
    for c in ready:
        runs = table.runs("whole", c.key)
        if runs:
            lost = list(dict.fromkeys(w for r in runs for w in r.rows_wrong))
            first = runs[0]
            changed = first.values_wrong + [f"`{name}` cannot be compared" for name in first.values_unknown]
            same = "not looked at" if first.round != 1 else ", ".join(changed) or "the same"
            missing = "; ".join([*first.missing, *filter(None, [c.leaves_out])]) or "nothing"
            rows.append([c.title, ", ".join(lost) or "all", same, _cell(missing)])
    return text + _markdown(["", "rows", "values", "leaves out"], rows)


def _targets(args, table):
    quick, proven, floor = "lite2pg-no-verify", "lite2pg", "floor"
    ratio = lambda who, to, what=wall: table.ratio("whole", who, "whole", to, what)
    peaks = [p for case in ("tenth", "whole") for who in (quick, proven) if (p := table.of(case, who, peak))]
    growth = table.ratio("whole", quick, "tenth", quick, wall)
    # The CPU that a scale of 1 may take, for the rows that there were.
    own = table.of("whole", quick, cpu)
    own = own / args.scale if own is not None else None
    lines = [
        ("whole, rows counted ÷ floor", ratio(quick, floor), _ratio, ("≤ 1.10", 1.10), ("≤ 1.05", 1.05)),
        ("copy ÷ floor's copy", ratio(quick, floor, copy), _ratio, ("≤ 1.20", 1.20), ("≤ 1.10", 1.10)),
        ("whole, verified ÷ floor", ratio(proven, floor), _ratio, ("≤ 1.40", 1.40), ("≤ 1.25", 1.25)),
        ("rows counted ÷ DuckDB's bare copy", ratio(quick, "duckdb"), _ratio, ("< 1.0", 1.0), None),
        ("verified ÷ DuckDB's bare copy", ratio(proven, "duckdb"), _ratio, None, ("< 1.0", 1.0)),
        ("pgloader ÷ verified", ratio("pgloader", proven), _ratio, ("≥ 4", -4), ("≥ 6", -6)),
        ("peak memory, MB", max(peaks) / 1e6 if peaks else None, "{:.0f}".format, ("≤ 64", 64), ("≤ 32", 32)),
        ("own CPU of 6.11 million rows, counted, s", own, _s, ("≤ 6", 6), ("≤ 4.5", 4.5)),
        ("time for ten times the rows", growth, _ratio, ("9–11", (9, 11)), None),
    ]
    comparable = args.scale == 1 and args.settings_default
    rows = []
    for what, value, spell, target, stretch in lines:
        seen = NONE if value is None else spell(value)
        rows.append([what, seen, *_met(value, target, comparable), *_met(value, stretch, comparable)])
    text = "## Targets\n\n"
    if not comparable:
        text += "They are about scale 1 and the settings that scripts/bench has by itself. These figures are not, and "
        text += "judge nothing.\n\n"
    return text + _markdown(["what", "measured", "target", "", "stretch", ""], rows)


def _met(value, target, comparable):
    if target is None:
        return NONE, ""
    text, bound = target
    if value is None:
        return text, "not measured"
    if not comparable:
        return text, ""
    if isinstance(bound, tuple):
        held = bound[0] <= value <= bound[1]
    else:
        held = value >= -bound if bound < 0 else value < bound if text.startswith("<") else value <= bound
    return text, "met" if held else "**missed**"


def _growth(cases, table):
    whole, tenth, _ = cases
    rows = []
    for key in ("floor", "lite2pg-no-verify", "lite2pg"):
        if small := table.of("tenth", key, wall):
            times = _ratio_with_range(table.ratios("whole", key, "tenth", key, wall))
            memory = [_mb(table.of(case, key, peak)) for case in ("tenth", "whole")]
            rows.append([f"`{key}`", _s(small), _s(table.of("whole", key, wall)), times, *memory])
    if not rows:
        return ""
    few, many = _rows(sum(tenth.rows.values())), _rows(sum(whole.rows.values()))
    head = ["", f"{few}, s", f"{many}, s", "times (range)", f"peak MB, {few}", f"peak MB, {many}"]
    return "## Ten times the rows\n\n" + _markdown(head, rows)


def _tiny(cases, table, ready):
    tiny = cases[-1]
    seen = [(table.of("tiny", c.key, wall), c.key, c.title) for c in ready if table.runs("tiny", c.key)]
    if not seen:
        return ""
    seen.sort()
    rows = [[title, f"{s * 1000:.0f}", _mb(table.of("tiny", key, peak))] for s, key, title in seen]
    text = f"## A tiny database\n\n{sum(tiny.rows.values())} rows, {tiny.bytes / 1e6:.1f} MB. There, asking the server "
    text += "about every object beforehand and counting back cost more than the rows do.\n"
    ours = next((s for s, key, _ in seen if key.startswith("lite2pg")), None)
    faster = [f"{title} by {ours / s:.1f} ×" for s, key, title in seen if ours and s < ours and key != "floor"]
    text += f"**lite2pg loses** to {', '.join(faster)}.\n\n" if faster else "\n\n"
    return text + _markdown(["", "whole ms", "peak MB"], rows)


def _setting(args, machine, postgres, ready):
    lines = ["## Machine, versions, commands", ""]
    lines += [f"- {name}: {value}" for name, value in machine.items()]
    lines += [f"- PostgreSQL {postgres}: " + ", ".join(f"`{k}={v}`" for k, v in args.set.items())]
    lines += [f"- {c.title.replace('**', '')}: {c.command}" + (f" · {c.version}" if c.version else "") for c in ready]
    lines += [
        "",
        "Every run has a fresh database after a checkpoint, on one server over a unix socket. CPU and peak memory are",
        "those of the contender's own processes (`wait4`, `VmHWM`), server CPU that of all processes of the server",
        "meanwhile. The source and the floor's files were just written and are in the page cache.",
        "`results.csv` has every run.",
    ]
    return "\n".join(lines)


def machine(work):
    """What a reader needs to judge the figures; nothing that names the machine."""
    model = _after("/proc/cpuinfo", "model name").lstrip(": \t") or platform.machine()
    memory_kb = _after("/proc/meminfo", "MemTotal:").split(" ")[0]
    system = _after("/etc/os-release", "PRETTY_NAME=").strip('"')
    kind = subprocess.run(["stat", "-f", "-c", "%T", work], capture_output=True, text=True).stdout.strip()
    return {
        "CPU": f"{os.cpu_count()} × {model}",
        "memory": f"{int(memory_kb or 0) / 2**20:.0f} GiB",
        "system": f"{system}, {platform.system()} {platform.release().partition('-')[0]}".strip(", "),
        "file system": kind or "unknown",
        "load average before the first round": f"{os.getloadavg()[0]:.1f}",
    }


def _about(args, whole):
    tables = ", ".join(f"`{table}` {_rows(rows)}" for table, rows in whole.rows.items())
    size = whole.bytes / 1e9
    return f"Source: {tables}: {size:.2f} GB at scale {args.scale:g}. {datetime.date.today():%Y-%m-%d}."


def _command(args):
    words = ["scripts/bench", f"--scale {args.scale:g}", f"--rounds {args.rounds}", f"--slow-rounds {args.slow_rounds}"]
    if not args.settings_default:
        words += [f"--set {name}={value}" for name, value in args.set.items()]
    return " ".join(words)


def _csv(path, cases, runs):
    scales = {case.name: case.scale for case in cases}
    totals = {case.name: sum(case.rows.values()) for case in cases}
    head = ["case", "scale", "rows", "round", "contender", "wall_s", "user_s", "sys_s", "server_cpu_s", "peak_bytes"]
    with open(path, "w", newline="") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow([*head, *(f"{phase}_s" for phase in PHASES), "rows_right", "failure"])
        for r in runs:
            u = r.usage
            figures = [u.wall_s, u.user_s, u.sys_s, r.server_cpu_s]
            phases = [f"{u.phases[p]:.3f}" if p in u.phases else "" for p in PHASES]
            right = "" if r.failure else str(not r.rows_wrong).lower()
            writer.writerow(
                [r.case, f"{scales[r.case]:g}", totals[r.case], r.round, r.contender]
                + [f"{f:.3f}" for f in figures]
                + [u.peak_bytes, *phases, right, r.failure]
            )


def _plots(out, table, ready, python):
    """Drawn by a program of its own: matplotlib is in the private environment, this program's Python may lack it."""
    bars = [
        {
            "title": c.title.replace("**", ""),
            "lacks": _lacks(table.runs("whole", c.key)[0]),
            "wall_s": table.of("whole", c.key, wall),
            "phases": {p: s for p in PHASES if (s := table.of("whole", c.key, lambda r, p=p: r.usage.phases.get(p)))},
            "own_cpu_s": table.of("whole", c.key, cpu),
            "server_cpu_s": table.of("whole", c.key, server_cpu),
            "peak_bytes": table.of("whole", c.key, peak),
        }
        for c in ready
        if table.runs("whole", c.key)
    ]
    if not python or not bars:
        return []
    done = subprocess.run(
        [python, "-B", Path(__file__).parent / "plots.py", out], input=json.dumps(bars), text=True, capture_output=True
    )
    if done.returncode != 0:
        print(f"bench: no plots: {done.stderr.strip().splitlines()[-1]}", file=sys.stderr)
        return []
    return [("results-time.svg", "Whole time of each, by phases"), ("results-cost.svg", "CPU and peak memory of each")]


def _lacks(run):
    """What a result lacks, short enough to stand behind a bar."""
    words = {"column types": "types", "primary keys": "keys", "indexes": "indexes"}
    lacks = [short for long, short in words.items() if any(long in missing for missing in run.missing)]
    if run.rows_wrong:
        lacks.append("all rows")
    return lacks + ["exact values"] if run.values_wrong else lacks


def _markdown(head, rows):
    lines = [head, ["---"] + ["---:" if _is_figures(rows, n) else "---" for n in range(1, len(head))], *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def _is_figures(rows, n):
    return all(row[n][:1].isdigit() or row[n] == NONE or row[n].startswith(("failed", "not measured")) for row in rows)


def _cell(text):
    return " ".join(text.split()).replace("|", "\\|")


def _s(seconds):
    return NONE if seconds is None else f"{seconds:.1f}" if seconds >= 10 else f"{seconds:.2f}"


def _mb(size):
    return NONE if size is None else f"{size / 1e6:.0f}"


def _ratio(ratio):
    return NONE if ratio is None else f"{ratio:.2f}"


def _ratio_with_range(ratios):
    if not ratios:
        return NONE
    spread = f" ({min(ratios):.2f}–{max(ratios):.2f})" if len(ratios) > 1 else ""
    return f"{median(ratios):.2f}{spread}"


def _rows(count):
    return f"{count / 1e6:.2f} M rows" if count >= 1e6 else f"{count:,} rows".replace(",", " ")


def _after(path, start):
    """The rest of the first line of a file that starts so; nothing where there is none."""
    try:
        lines = Path(path).read_text().splitlines()
    except OSError:
        lines = []
    return next((line.removeprefix(start).strip() for line in lines if line.startswith(start)), "")
