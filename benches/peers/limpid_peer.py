"""limpid itself, through its command: built, asked for an answer, measured by `limpid bench`."""

import json
import pathlib
import subprocess
import time

import numpy as np


class LimpidPeer:
    """The binary at `command`, working in the folder `work`."""

    name, title, seconds = "limpid", "limpid", 25
    precisions = ("fp32", "tf32", "fp16", "fp16_io", "int8")

    def __init__(self, command, work, backend):
        self.command, self.work, self.backend = command, pathlib.Path(work), backend

    def absent(self):
        """Why it cannot run here, or None."""
        return None if self.command else "no binary was named by --limpid"

    def run(self, *arguments):
        """What the command prints."""
        done = subprocess.run([self.command, *map(str, arguments)], capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"limpid {arguments[0]}: {done.stderr.strip().splitlines()[-1:]}")
        return done.stdout

    def prepare(self, network, precision, batch):
        """The network as an engine."""
        engine = self.work / "peer.engine"
        build = ["build", network.path, "-o", engine, "--backend", self.backend, "--batch", batch]
        build += ["--precision", precision.removesuffix("_io")]
        io = np.float16 if precision == "fp16_io" else np.float32
        if io == np.float16:
            build += ["--input-formats", "fp16:chw", "--output-formats", "fp16:chw"]
        if self.backend != "cpu":
            build += ["--timing-cache", self.work / "timings.json"]
        if precision == "int8":
            build += ["--calib", "random:2"]  # scales do not change speed
        begin = time.perf_counter()
        self.run(*build)
        return LimpidSession(self, engine, batch, io, time.perf_counter() - begin)

    def release(self):
        """Removes the last engine."""
        (self.work / "peer.engine").unlink(missing_ok=True)


class LimpidSession:
    """An engine."""

    def __init__(self, peer, engine, batch, io, build_seconds):
        self.peer, self.engine, self.batch, self.io, self.build_seconds = peer, engine, batch, io, build_seconds

    def answer(self, x):
        """What it answers to `x`."""
        given, result = self.peer.work / "input.npy", self.peer.work / "output.npy"
        np.save(given, x.astype(self.io))
        self.peer.run("--quiet", "run", self.engine, "--input", given, "--output", result, "--backend", self.peer.backend)
        return np.load(result)

    def times(self, x):
        """Times on the GPU, and from host to host."""
        # Each of them is also done from host to host, where copies take long if there is much to copy.
        iterations = 10 if self.peer.backend == "cpu" else 1000 if self.batch == 1 else 100
        bench = ["bench", self.engine, "--backend", self.peer.backend, "--batch", self.batch]
        found = json.loads(self.peer.run(*bench, "--iterations", iterations, "--json"))
        times = {key: found[key] for key in ("device_us", "host_us", "clocks_mhz") if found.get(key)}
        return times | {"build_seconds": round(self.build_seconds, 2), "versions": found["versions"]}
