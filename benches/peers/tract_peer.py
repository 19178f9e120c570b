"""tract, through a program of its own (benches/peers/tract), on the CPU and, where it can, on the GPU.

tract has no clock of the GPU's to read and takes its inputs from the host, so there are only times from host to host. The
program is not part of limpid's build, which compiles tract to be built fast:

    cargo build --release --manifest-path benches/peers/tract/Cargo.toml --features cuda

On a GPU it needs CUDA's headers (CUDA_HOME says where), NVRTC, cuBLAS and cuDNN; the libraries may be those of Python's
wheels, which PyTorch brings.
"""

import importlib.util
import json
import os
import pathlib
import subprocess

import numpy as np

import timing
from network import Unsupported


class TractPeer:
    """The program at `command` with one of tract's runtimes, working in the folder `work`."""

    # On GPUs that have them, its kernels multiply TF32, as its errors tell.
    PRECISIONS = {"cuda": ("tf32",), "cpu": ("fp32",)}
    seconds = 60
    LIMIT = 150  # a row that takes longer is given up

    def __init__(self, command, work, runtime, title):
        self.command, self.work, self.runtime = command, pathlib.Path(work), runtime
        self.name, self.title, self.runtimes = f"tract_{runtime}", title, None
        self.precisions = self.PRECISIONS[runtime]

    def absent(self):
        """Why it cannot run here, or None."""
        if not self.command:
            return "no binary was named by --tract"
        self.runtimes = self.runtimes or json.loads(self.run("runtimes"))
        return self.runtimes[self.runtime]

    def run(self, *arguments):
        """What the program prints."""
        command, environment = [self.command, *map(str, arguments)], os.environ | {"LD_LIBRARY_PATH": libraries()}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=self.LIMIT)
        if done.returncode != 0:
            raise RuntimeError(f"tract: {' '.join(done.stderr.split())[:300]}")
        return done.stdout

    def prepare(self, network, precision, batch):
        """The network; the program optimizes it when it is run."""
        return TractSession(self, network, batch)

    def release(self):
        """Nothing is kept."""


def libraries():
    """Where to look for libraries: as before, then in NVIDIA's wheels."""
    found = importlib.util.find_spec("nvidia")
    roots = found.submodule_search_locations if found else ()
    wheels = [str(path) for root in roots for path in pathlib.Path(root).glob("*/lib")]
    return ":".join(filter(None, [os.environ.get("LD_LIBRARY_PATH"), *sorted(wheels)]))


class TractSession:
    """A network in tract."""

    def __init__(self, peer, network, batch):
        self.peer, self.network, self.shape, self.found = peer, network, (batch, *network.shape), None

    def answer(self, x):
        """What it answers to `x`; the program measures on the way."""
        given, result = self.peer.work / "tract_input.raw", self.peer.work / "tract_output.raw"
        np.ascontiguousarray(x, dtype="<f4").tofile(given)
        extents = ",".join(map(str, self.shape))
        out = self.peer.run(self.peer.runtime, self.network.path, extents, given, result, timing.SECONDS)
        self.found = json.loads(out)
        return np.fromfile(result, dtype="<f4")

    def times(self, _):
        """Times from host to host."""
        if self.found is None:
            raise Unsupported("nothing was run")
        found = {"host_us": timing.summary(self.found["host_us"]), "versions": {"tract": self.found["tract"]}}
        found["build_seconds"] = round(self.found["build_seconds"], 2)
        return found | ({"threads": self.found["threads"]} if self.found["threads"] else {})


def peers(command, work):
    """Both runtimes."""
    return [TractPeer(command, work, "cuda", "tract, CUDA"), TractPeer(command, work, "cpu", "tract, CPU")]
