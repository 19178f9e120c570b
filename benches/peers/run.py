"""limpid beside what else there is, on the same networks: python3 benches/peers/run.py --limpid BINARY -o RESULTS.json

Networks are limpid's zoo, read by everybody from the ONNX files that `limpid zoo` writes. Every peer takes FP32, channels
first, from the same random numbers and gives FP32; its answer is held to PyTorch's in FP32 (ONNX Runtime's, where there is
no PyTorch) before it is timed, and the time of a wrong answer does not count. Peers that are not installed are listed as
such. At the end the tables are printed (table.py).

    cudnn             PyTorch: BatchNormalization folded, channels last, cudnn.benchmark, one CUDA graph
    cudnn_fused       the same with cuDNN's fused convolution + bias (+ addition) + ReLU where PyTorch has it
    eager             PyTorch as it comes
    compile           torch.compile max-autotune, captured as one CUDA graph
    xla               JAX, jitted
    onnxruntime_cuda, onnxruntime_cpu
    tract_cuda, tract_cpu   tract, through a program of its own (tract_peer.py says how to build it)

`device_us` is what the network takes on the GPU, `host_us` from an array of the host to an answer on the host; see
timing.py and inputs.py for how. Rows are measured in the order of their worth, and the file is written after each of
them. Those that no time was left for (--seconds) say so; --resume takes the rows of an earlier file and measures what it
lacks, so that short leases add up to one table.

Needs NumPy and onnx, and PyTorch or ONNX Runtime for the reference. Without a GPU it runs on the CPU, slowly, to show that it runs.
"""

import argparse
import datetime
import importlib.metadata
import json
import os
import pathlib
import platform
import subprocess
import sys
import tempfile
import time
import traceback

import jax_peer
import network as networks
import onnxruntime_peer
import table
import timing
import torch_peers
import tract_peer
from inputs import BOUNDS, OnnxReferences, References, relative_l2, sample
from limpid_peer import LimpidPeer

# Batches of each network, and networks in the order of a build's length.
BATCHES = {
    "resnet50": (1, 32, 128), "resnet18": (1, 32, 128), "mobilenetv2": (1, 32, 128), "mlp": (1, 8192),
    "vgg16": (1, 32), "unet": (1, 8), "deeplabv3plus": (1, 8),
}
PRECISIONS = ("fp16", "tf32", "fp32", "int8")
PEERS = (
    "limpid", "cudnn", "xla", "cudnn_fused", "onnxruntime_cuda", "onnxruntime_cpu", "eager", "compile", "tract_cuda", "tract_cpu",
)
KEY = ("network", "batch", "precision", "peer")


def main():
    options = arguments()
    torch, ort, jax = torch_peers.load(), onnxruntime_peer.load(), jax_peer.load()
    if torch is None and ort is None:
        sys.exit("PyTorch or ONNX Runtime is needed: one of them says what the networks should answer")
    device = "cuda" if (torch.cuda.is_available() if torch else "gpu" in machine()) else "cpu"
    references = References(torch, device) if torch else OnnxReferences(ort)
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(options.work or folder)
        work.mkdir(parents=True, exist_ok=True)
        known = [LimpidPeer(options.limpid, work, device), jax_peer.XlaPeer(jax)]
        known += torch_peers.peers(torch) + onnxruntime_peer.peers(ort) + tract_peer.peers(options.tract, work)
        by_name = {peer.name: peer for peer in known}
        titles = [{"name": name, "title": by_name[name].title} for name in PEERS]
        session = Session(options, work, references, titles)
        for name in options.peers:
            session.measure_peer(by_name[name])
        session.write()  # also where the earlier file lacked nothing
    print(f"{session.done} measured, {session.spent():.0f} s; {options.output}\n\n{table.text(session.results)}")


def arguments():
    """What was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    listed = lambda known: lambda text: [pick(name, known) for name in text.split(",")]
    parser.add_argument("-o", "--output", type=pathlib.Path, required=True, help="the results, JSON")
    parser.add_argument("--limpid", help="limpid's binary: writes the networks, and is measured")
    parser.add_argument("--tract", help="the program of benches/peers/tract")
    parser.add_argument("--resume", type=pathlib.Path, help="an earlier file, whose rows are kept")
    parser.add_argument("--again", action="store_true", help="measure also what the earlier file has")
    parser.add_argument("--seconds", type=float, default=540, help="after so long nothing new is begun [540]")
    parser.add_argument("--networks", type=listed(BATCHES), default=list(BATCHES), help=",".join(BATCHES))
    parser.add_argument("--batches", type=lambda text: [int(n) for n in text.split(",")], help="instead of each network's own")
    parser.add_argument("--precisions", type=listed(PRECISIONS), default=PRECISIONS, help=",".join(PRECISIONS))
    parser.add_argument("--peers", type=listed(PEERS), default=PEERS, help=",".join(PEERS))
    parser.add_argument("--work", help="a folder for networks and engines, kept [a temporary one]")
    return parser.parse_args()


def pick(name, known):
    """`name`, if it is known."""
    if name not in known:
        raise argparse.ArgumentTypeError(f"{name} is none of {', '.join(known)}")
    return name


class Session:
    """Rows, measured one after another until the time is up."""

    def __init__(self, options, work, references, titles):
        self.options, self.work, self.references = options, work, references
        self.begin, self.done, self.loaded, self.clocks = time.monotonic(), 0, {}, timing.Clocks()
        today = datetime.date.today().isoformat()
        self.results = {"date": today, "machine": machine(), "versions": versions(), "peers": titles, "rows": []}
        if options.resume and options.resume.exists():
            earlier = json.loads(options.resume.read_text())
            if earlier["machine"] != self.results["machine"]:
                sys.exit(f"{options.resume} is of another machine: {earlier['machine']}")
            self.results["rows"] = earlier["rows"]
            # Peers that are programs of their own tell their version only when they are measured.
            self.results["versions"] = earlier["versions"] | self.results["versions"]

    def spent(self):
        """Seconds since the beginning."""
        return time.monotonic() - self.begin

    def measure_peer(self, peer):
        """All rows of a peer that were asked for and are not there yet."""
        for precision in self.options.precisions:
            for name in self.options.networks if precision in peer.precisions else ():
                for batch in self.options.batches or BATCHES[name]:
                    row = dict(zip(KEY, (name, batch, precision, peer.name)))
                    if self.options.again or not self.has(row):
                        self.record(row | self.measure(peer, name, batch, precision))
        peer.release()

    def has(self, wanted):
        """Whether a row was measured, or cannot be."""
        rows = (row for row in self.results["rows"] if all(row[key] == wanted[key] for key in KEY))
        return any("not_measured" not in row for row in rows)

    def measure(self, peer, name, batch, precision):
        """One row's figures, or why there are none."""
        if reason := peer.absent():
            return {"not_measured": reason}
        if self.options.seconds - self.spent() < peer.seconds:
            return {"not_measured": f"budget: less than {peer.seconds} s were left"}
        begin = time.monotonic()
        try:
            network = self.network(name)
            x, want = sample(network, batch), self.references.answer(network, batch)
            session = peer.prepare(network, precision, batch)
            error = relative_l2(session.answer(x), want)
            if not error < BOUNDS[precision]:
                return {"wrong": f"relative L2 error {error:.1e}", "relative_l2": error}
            found = session.times(x)
            found.setdefault("clocks_mhz", self.clocks.read())
            return found | {"relative_l2": error, "seconds": round(time.monotonic() - begin, 1)}
        except Exception as error:  # whatever a peer throws is that row's result
            traceback.print_exc()
            return {"failed": f"{type(error).__name__}: {error}".splitlines()[0][:300]}

    def network(self, name):
        """The network of this name, written and read once."""
        if name not in self.loaded:
            path = self.work / f"{name}.onnx"
            if not path.exists():
                subprocess.run([self.options.limpid, "zoo", name, "-o", path], check=True, stdout=subprocess.DEVNULL)
            self.loaded[name] = networks.read(path)
            self.loaded[name].path = path
        return self.loaded[name]

    def record(self, row):
        """Adds a row, in place of one of the same key, and writes the file."""
        same = lambda other: all(other[key] == row[key] for key in KEY)
        self.results["rows"] = [other for other in self.results["rows"] if not same(other)] + [row]
        self.results["versions"] |= row.pop("versions", {})
        self.write()
        self.done += "host_us" in row
        print(*(f"{row[key]!s:<14}" for key in KEY), verdict(row), flush=True)

    def write(self):
        """Writes the file, whole or not at all."""
        whole = self.options.output.with_suffix(".part")
        whole.write_text(json.dumps(self.results, indent=1) + "\n")
        os.replace(whole, self.options.output)


def verdict(row):
    """A row's figures in a few words."""
    for reason in ("not_measured", "failed", "wrong"):
        if reason in row:
            return f"{reason}: {row[reason]}"
    parts = [f"{row[key]['median']:10.1f} µs {key[:-3]}" for key in ("device_us", "host_us") if key in row]
    return ", ".join(parts) + f", error {row['relative_l2']:.1e}, {row['seconds']} s"


def machine():
    """The GPU and the CPU."""
    found = {"cpu": cpu_name(), "cores": os.cpu_count()}
    query = ["nvidia-smi", "--query-gpu=name,driver_version,clocks.max.sm", "--format=csv,noheader"]
    try:
        line = subprocess.run(query, capture_output=True, text=True, check=True).stdout.splitlines()[0]
    except (OSError, subprocess.CalledProcessError, IndexError):
        return found
    return dict(zip(("gpu", "driver", "highest_clock"), line.split(", "))) | found


def cpu_name():
    """As the kernel tells."""
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(": ", 1)[1] for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def versions():
    """Of everything that may matter and is installed."""
    torch, found = torch_peers.load(), {"python": platform.python_version()}
    if torch is not None:
        found["torch"] = torch.__version__
        if torch.version.cuda:
            found["cuda"] = torch.version.cuda
        if torch.backends.cudnn.is_available():
            found["cudnn"] = torch.backends.cudnn.version()
    for package in ("jax", "jaxlib", "onnxruntime", "onnxruntime-gpu", "triton", "numpy", "onnx"):
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            pass
    return found


if __name__ == "__main__":
    main()
