"""Makes one results file of a GPU round: python3 benches/collect.py OUT... > benches/results/NAME.json

OUT are folders that `gpu_round.sh run OUT` filled on the same machine. The file holds what the machine was, each network's
error against the CPU reference, how many outputs of INT8 have other bits than the CPU's, and each latency with its spread; README's tables are made of it (tests/readme).
"""

import csv
import datetime
import json
import pathlib
import re
import sys

ERROR_ROW = re.compile(r"^(\w+)\s+(fp32|tf32|fp16|int8)\s+(\d+)\s+([0-9.e+-]+)\s+(\d+)\s+([0-9.]+) s$", re.MULTILINE)

INT8_ROW = re.compile(r"^(\w+)\s+(\d+)\s+(\d+)\s+([0-9.-]+)\s+(\d+)$", re.MULTILINE)


def documents(text):
    """JSON documents one after another."""
    decoder, at = json.JSONDecoder(), 0
    while text[at:].strip():
        at += len(text[at:]) - len(text[at:].lstrip())
        document, at = decoder.raw_decode(text, at)
        yield document


def main(folders):
    machine, errors, int8, latencies = None, [], [], []
    for folder in map(pathlib.Path, folders):
        with open(folder / "machine.csv", newline="") as file:
            row = next(csv.DictReader(file, skipinitialspace=True))
        seen = {"gpu": row["name"], "driver": row["driver_version"], "highest_clock": row["clocks.max.sm [MHz]"]}
        if machine not in (None, seen):
            sys.exit(f"{folder} is of another machine: {seen}")
        machine = seen
        if (folder / "networks.log").exists():
            keys = ("network", "precision", "batch", "relative_l2", "kernels", "build_seconds")
            rows = ERROR_ROW.findall((folder / "networks.log").read_text())
            errors += [dict(zip(keys, (n, p, int(b), float(e), int(k), float(s)))) for n, p, b, e, k, s in rows]
        if (folder / "int8.log").exists():
            keys = ("network", "batch", "other_bits", "cosine", "kernels")
            rows = INT8_ROW.findall((folder / "int8.log").read_text())
            int8 += [dict(zip(keys, (n, int(b), int(o), float(c), int(k)))) for n, b, o, c, k in rows]
        if (folder / "latency.jsonl").exists():
            latencies += documents((folder / "latency.jsonl").read_text())
    today = datetime.date.today().isoformat()
    json.dump({"date": today, "machine": machine, "errors": errors, "int8": int8, "latencies": latencies}, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(sys.argv[1:])
