"""The results file: what was measured, in one order whatever the order of measuring."""

import datetime
import json
import os
import sys

import order
from machine import difference, machine


class Results:
    """The rows so far. `titles` are the peers' names and titles, in the tables' order."""

    def __init__(self, output, resume, titles, workers):
        self.output, self.done = output, 0
        self.file = {
            "date": datetime.date.today().isoformat(), "machine": machine(), "workers": workers, "versions": {},
            "peers": titles, "rows": [],
        }
        if resume and resume.exists():
            self.take(json.loads(resume.read_text()), resume)

    def take(self, earlier, path):
        """The rows of an earlier file, if they are of such a machine."""
        if unlike := difference(self.file["machine"], earlier["machine"]):
            sys.exit(f"{path} is of another machine: {unlike}")
        # The file tells the cores of its latest run, rows those that they had.
        self.file["rows"] = [{"cores": earlier["machine"]["cores"]} | row for row in earlier["rows"]]
        self.file["versions"] = earlier["versions"]

    def has(self, key):
        """Whether a row was measured, or cannot be."""
        row = self.find(key)
        return row is not None and "not_measured" not in row

    def find(self, key):
        """The row of this key, or None."""
        return next((row for row in self.file["rows"] if all(row[part] == key[part] for part in order.KEY)), None)

    def seconds(self, peer, network):
        """What each row of this peer and network took."""
        rows = (row for row in self.file["rows"] if (row["peer"], row["network"]) == (peer, network))
        return [row["seconds"] for row in rows if "seconds" in row]

    def add_versions(self, versions):
        """Versions of what is installed here; a peer that is a program of its own tells its when it is measured."""
        self.file["versions"] |= versions

    def record(self, key, found):
        """Puts a row in place of one of the same key, and writes the file. What was measured stays where now there was
        no time for it."""
        before, row = self.find(key), key | found
        self.add_versions(row.pop("versions", {}))
        if not ("not_measured" in row and self.has(key)):
            self.file["rows"] = [other for other in self.file["rows"] if other is not before] + [row]
        self.write()
        self.done += "host_us" in row
        print(*(f"{row[part]!s:<14}" for part in order.KEY), verdict(row), flush=True)

    def write(self):
        """Writes the file, whole or not at all."""
        self.file["rows"].sort(key=order.place)
        whole = self.output.with_suffix(".part")
        whole.write_text(json.dumps(self.file, indent=1, allow_nan=False) + "\n")
        os.replace(whole, self.output)


def verdict(row):
    """A row's figures in a few words."""
    for reason in ("not_measured", "failed", "wrong"):
        if reason in row:
            return f"{reason}: {row[reason]}"
    parts = [f"{row[key]['median']:10.1f} µs {key[:-3]}" for key in ("device_us", "host_us") if key in row]
    return ", ".join(parts) + f", error {row['relative_l2']:.1e}, {row['seconds']} s"
