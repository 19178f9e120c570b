"""limpid beside what else there is, on the same networks: python3 benches/peers/run.py --limpid BINARY -o RESULTS.json

Networks are limpid's zoo, read by everybody from the ONNX files that `limpid zoo` writes. Every peer takes FP32, channels
first, from the same random numbers and gives FP32, and in the "precision" fp16_io FP16; its answer is held to PyTorch's in
FP32 (ONNX Runtime's, where there is no PyTorch) before it is timed, and the time of a wrong answer does not count. Peers
that are not installed are listed as such. At the end the tables are printed (table.py).

    cudnn             PyTorch: BatchNormalization folded, channels last, cudnn.benchmark, one CUDA graph
    cudnn_fused       the same with cuDNN's fused convolution + bias (+ addition) + ReLU where PyTorch has it
    eager             PyTorch as it comes
    compile           torch.compile max-autotune, captured as one CUDA graph
    xla               JAX, jitted
    onnxruntime_cuda, onnxruntime_cpu
    tract_cuda, tract_cpu   tract, through a program of its own (tract_peer.py says how to build it)

`device_us` is what the network takes on the GPU, `host_us` from an array of the host to an answer on the host; see
timing.py and inputs.py for how. Rows are measured in the order of their worth (order.py), and the file is written after
each of them. Those that no time was left for (--seconds) say so; --resume takes the rows of an earlier file and measures
what it lacks, so that short leases add up to one table.

On a machine with several GPUs, --workers measures as many rows at once, each worker with a GPU and an equal share of the
cores to itself: what a row had is its `cores`. A row that takes longer than --limit, or whose worker dies, has failed.

Needs Python 3.11, NumPy and onnx, and PyTorch or ONNX Runtime for the reference. Without a GPU it runs on the CPU, slowly,
to show that it runs.
"""

import argparse
import concurrent.futures
import os
import pathlib
import signal
import subprocess
import sys
import tempfile

import table
from order import ASKED, BATCHES, PEERS, PRECISIONS, wanted
from pool import Plan, Worker
from results import Results
from worker import known


def main():
    options = arguments()
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(options.work or folder).absolute()
        work.mkdir(parents=True, exist_ok=True)
        settings = {"limpid": program(options.limpid), "tract": program(options.tract), "networks": str(work)}
        peers = known(settings | {"folder": work})
        titles = [{"name": name, "title": peers[name].title} for name in PEERS]
        results = Results(options.output, options.resume, titles, options.workers)
        rows = [key for key in wanted(peers, options) if options.again or not results.has(key)]
        plan = Plan(rows, peers, results, options.seconds, options.limit)
        write_networks(options.limpid, {key["network"] for key in rows}, work)
        failures = measure(plan, workers(options.workers, settings, work))
        results.write()  # also where the earlier file lacked nothing
    print(f"{results.done} measured; {options.output}\n\n{table.text(results.file)}")
    if failures:
        sys.exit("\n".join(failures))


def arguments():
    """What was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    listed = lambda known: lambda text: [pick(name, known) for name in text.split(",")]
    parser.add_argument("-o", "--output", type=pathlib.Path, required=True, help="the results, JSON")
    parser.add_argument("--limpid", help="limpid's binary: writes the networks, and is measured")
    parser.add_argument("--tract", help="the program of benches/peers/tract")
    parser.add_argument("--workers", type=positive, default=1, help="rows measured at once, each on a GPU of its own [1]")
    parser.add_argument("--resume", type=pathlib.Path, help="an earlier file, whose rows are kept")
    parser.add_argument("--again", action="store_true", help="measure also what the earlier file has")
    parser.add_argument("--seconds", type=float, default=540, help="then the file is done; what was not is left out [540]")
    parser.add_argument("--limit", type=float, default=300, help="seconds that one row may take [300]")
    parser.add_argument("--networks", type=listed(BATCHES), default=list(BATCHES), help=",".join(BATCHES))
    parser.add_argument("--batches", type=lambda text: [int(n) for n in text.split(",")], help="instead of each network's own")
    parser.add_argument("--precisions", type=listed((*PRECISIONS, *ASKED)), default=PRECISIONS, help=f"{','.join(PRECISIONS)}; also {','.join(ASKED)}")
    parser.add_argument("--peers", type=listed(PEERS), default=PEERS, help=",".join(PEERS))
    parser.add_argument("--work", help="a folder for networks, engines and compiled kernels, kept [a temporary one]")
    return parser.parse_args()


def pick(name, known):
    """`name`, if it is known."""
    if name not in known:
        raise argparse.ArgumentTypeError(f"{name} is none of {', '.join(known)}")
    return name


def positive(text):
    """A number of at least 1."""
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is no number of workers: 1 or more")
    return int(text)


def program(path):
    """The path as it is known in every folder, or None."""
    return os.path.abspath(path) if path and os.path.dirname(path) else path


def write_networks(limpid, names, work):
    """Has limpid write those of the networks that are not there yet, all at once."""
    missing = sorted(name for name in names if not (work / f"{name}.onnx").exists())
    if missing and not limpid:
        sys.exit(f"--limpid names the binary that writes {', '.join(missing)}.onnx into the folder of --work")
    written = {name: work / f"{name}.part.onnx" for name in missing}
    quiet = {"stdout": subprocess.DEVNULL}
    running = {name: subprocess.Popen([limpid, "zoo", name, "-o", path], **quiet) for name, path in written.items()}
    for name, process in running.items():
        if process.wait() != 0:
            sys.exit(f"{limpid} zoo {name} ended with status {process.returncode}")
        written[name].replace(work / f"{name}.onnx")


def workers(count, settings, work):
    """As many workers, each with a folder of its own."""
    found = []
    for index in range(count):
        folder = work / f"worker{index}"
        folder.mkdir(exist_ok=True)
        found.append(Worker(index, count, settings | {"folder": str(folder)}))
    return found


def measure(plan, team):
    """Measures what is planned, with all workers at once; gives what kept any of them from working."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with concurrent.futures.ThreadPoolExecutor(len(team)) as threads:
        running = [threads.submit(plan.work, worker) for worker in team]
        try:
            concurrent.futures.wait(running)
        except BaseException:  # also an interruption, after which no process may stay
            plan.stop()
            for worker in team:
                worker.stop()
            raise
    return sorted({str(future.exception()) for future in running if future.exception()})


if __name__ == "__main__":
    main()
