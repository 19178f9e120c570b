"""The tables of a results file: python3 benches/peers/table.py RESULTS.json

One for each precision and clock, in Markdown: networks and batches down, peers across, medians in µs, and how limpid
compares with the best of the others. `run.py` prints them when it is done; README's are made of the same file by
tests/readme.
"""

import json
import sys

CLOCKS = {
    "device_us": "One inference on the GPU, transfers left out",
    "host_us": "From an array on the host to an answer on the host, transfers included",
}
PRECISIONS = ("fp16", "tf32", "fp32", "int8", "fp16_io")
OWN = "limpid"


def text(results):
    """All tables that have anything to show, under a description of the machine."""
    parts = [machine(results)]
    for clock, title in CLOCKS.items():
        for precision in PRECISIONS:
            rows = [row for row in results["rows"] if row["precision"] == precision]
            if any(clock in row for row in rows):
                parts.append(f"**{precision}** — {title}; medians in µs:\n\n{table(results, rows, clock)}")
    return "\n\n".join(parts)


def machine(results):
    """A line on what it was measured on, one on how it was shared out, and one on the versions."""
    known, names = results["machine"], {"gpus": "GPUs:", "driver": "driver", "highest_clock": "up to", "cores": "cores:"}
    order = ("gpu", "gpus", "driver", "highest_clock", "cpu", "cores")
    parts = [f"{names.get(key, '')} {known[key]}".strip() for key in order if key in known]
    versions = ", ".join(f"{name} {version}" for name, version in sorted(results["versions"].items()))
    return f"{'; '.join(parts)} ({results['date']})\n{shares(results)}{versions}"


def shares(results):
    """A line on what each row had of the machine, where it was not all of it."""
    rows, workers = results["rows"], results.get("workers", 1)
    threads = sorted({row["threads"] for row in rows if "threads" in row})
    parts = [f"rows measured at once: {workers}, each with a GPU and an equal share of the cores"] if workers > 1 else []
    parts += [f"peers on the CPU have {' or '.join(map(str, threads))} threads"] if threads else []
    return "; ".join(parts) + "\n" if parts else ""


def table(results, rows, clock):
    """One table; a peer is there if it has any time."""
    titles = {peer["name"]: peer["title"] for peer in results["peers"]}
    columns = [name for name in titles if any(row["peer"] == name and clock in row for row in rows)]
    cells = {(row["network"], row["batch"], row["peer"]): row for row in rows}
    places = sorted({key[:2] for key in cells}, key=order(rows))
    lines = [["network", "batch", *(titles[name] for name in columns), "best other / limpid"]]
    for place in places:
        found = {name: cells[*place, name][clock]["median"] for name in columns if clock in cells.get((*place, name), {})}
        if found:
            others = [us for name, us in found.items() if name != OWN]
            ratio = f"{min(others) / found[OWN]:.2f}" if OWN in found and others else ""
            lines.append([*map(str, place), *(cell(cells.get((*place, name)), clock) for name in columns), ratio])
    rule = ["---", *["---:"] * (len(lines[0]) - 1)]
    return "\n".join("| " + " | ".join(line) + " |" for line in [lines[0], rule, *lines[1:]])


def order(rows):
    """Networks as they come in the file, batches by size."""
    first = {}
    for row in rows:
        first.setdefault(row["network"], len(first))
    return lambda place: (first[place[0]], place[1])


def cell(row, clock):
    """A median, or why there is none."""
    if row is not None and clock in row:
        return f"{row[clock]['median']:.1f}"
    return next((reason for reason in ("wrong", "failed") if row is not None and reason in row), "not measured")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    with open(sys.argv[1], encoding="utf-8") as file:
        print(text(json.load(file)))
