"""A process that measures rows, one after another, for run.py: JSON lines in, JSON lines out (pool.py is the other end).

The first line names the folders and programs; the answer is what is installed, or why nothing can be measured. Each line
after that is a row's key, and the answer its figures. Frameworks print what they like: it goes to the error output.
"""

import json
import math
import os
import pathlib
import sys
import time
import traceback

import jax_peer
import network as networks
import onnxruntime_peer
import timing
import torch_peers
import tract_peer
from inputs import BOUNDS, OnnxReferences, References, relative_l2, sample
from limpid_peer import LimpidPeer
from machine import cores, query, versions


def main():
    lines, answers = pipes()
    settings = json.loads(lines.readline())
    # Shared by all workers: its entries are named by what they depend on, and written whole.
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(pathlib.Path(settings["networks"], "inductor")))
    bench = Bench(settings)
    print(json.dumps(bench.introduction()), file=answers, flush=True)
    for line in lines:
        print(json.dumps(bench.row(**json.loads(line)), allow_nan=False), file=answers, flush=True)


def pipes():
    """The way in and the way out, kept from everybody else: what is read and printed by others does not meet them."""
    lines, answers = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    return lines, answers


def known(settings, torch=None, ort=None, jax=None, device="cuda"):
    """Every peer by its name. Without the packages they still tell their titles, precisions and what a row takes."""
    found = [LimpidPeer(settings["limpid"], settings["folder"], device), jax_peer.XlaPeer(jax), *torch_peers.peers(torch)]
    found += onnxruntime_peer.peers(ort) + tract_peer.peers(settings["tract"], settings["folder"])
    return {peer.name: peer for peer in found}


class Bench:
    """The peers that are installed, and the networks that they were measured on."""

    def __init__(self, settings):
        self.torch, self.ort, jax = torch_peers.load(), onnxruntime_peer.load(), jax_peer.load()
        device = "cuda" if (self.torch.cuda.is_available() if self.torch else query("name")) else "cpu"
        self.references = References(self.torch, device) if self.torch else OnnxReferences(self.ort)
        self.networks, self.loaded, self.cores = pathlib.Path(settings["networks"]), {}, len(cores())
        self.peers, self.last = known(settings, self.torch, self.ort, jax, device), None
        self.clocks = timing.Clocks(os.environ.get("CUDA_VISIBLE_DEVICES", "0"))

    def introduction(self):
        """What is installed here."""
        if self.torch is None and self.ort is None:
            return {"lack": "PyTorch or ONNX Runtime is needed: one of them says what the networks should answer"}
        return {"versions": versions(self.torch)}

    def row(self, peer, network, precision, batch):
        """A row's figures, or why there are none, and how many cores they had."""
        if self.last not in (None, peer):
            self.peers[self.last].release()
        self.last = peer
        try:
            found = self.measure(self.peers[peer], network, precision, batch)
        except Exception as error:  # whatever a peer throws is that row's result
            traceback.print_exc()
            found = {"failed": f"{type(error).__name__}: {error}".splitlines()[0][:300]}
        return {"cores": self.cores} | found

    def measure(self, peer, name, precision, batch):
        """A row's figures, or why there are none."""
        if reason := peer.absent():
            return {"not_measured": reason}
        begin = time.monotonic()
        network = self.network(name)
        x, want = sample(network, batch), self.references.answer(network, batch)
        session = peer.prepare(network, precision, batch)
        error = relative_l2(session.answer(x), want)
        if not error < BOUNDS[precision]:
            # JSON has no infinity.
            return {"wrong": f"relative L2 error {error:.1e}"} | ({"relative_l2": error} if math.isfinite(error) else {})
        found = session.times(x)
        found.setdefault("clocks_mhz", self.clocks.read())
        return found | {"relative_l2": error, "seconds": round(time.monotonic() - begin, 1)}

    def network(self, name):
        """The network of this name, read once."""
        if name not in self.loaded:
            path = self.networks / f"{name}.onnx"
            self.loaded[name] = networks.read(path)
            self.loaded[name].path = path
        return self.loaded[name]


if __name__ == "__main__":
    if len(sys.argv) != 1:
        sys.exit(__doc__)
    main()
