"""What the machine is, and what a worker of several has of it."""

import functools
import importlib.metadata
import os
import pathlib
import platform
import subprocess

# What makes it another machine. How many cores and GPUs a lease has may change from one to the next; rows tell theirs.
SAME = ("gpu", "driver", "highest_clock", "cpu")


def machine():
    """The GPUs, which are alike, and the CPU."""
    found = {"cpu": cpu_name(), "cores": len(cores())}
    lines = query("name,driver_version,clocks.max.sm")
    if lines:
        found = dict(zip(("gpu", "driver", "highest_clock"), lines[0].split(", "))) | {"gpus": len(lines)} | found
    return found


def difference(one, other):
    """In what two machines differ, or None."""
    unlike = [key for key in SAME if one.get(key) != other.get(key)]
    return "; ".join(f"{key}: {one.get(key)}, not {other.get(key)}" for key in unlike) or None


@functools.cache
def query(fields):
    """A line for each GPU, as nvidia-smi has them; none without a GPU."""
    try:
        command = ["nvidia-smi", f"--query-gpu={fields}", "--format=csv,noheader"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    except (OSError, subprocess.CalledProcessError):
        return []


def gpus():
    """Names of the GPUs that may be used, as CUDA_VISIBLE_DEVICES takes them."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    return query("index") if visible is None else [name.strip() for name in visible.split(",") if name.strip()]


def cores():
    """The cores that this process may use, sorted."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count()))


def share(all_cores, index, workers):
    """The cores of one of several workers: neighbours, as many for each; all of them where there is but one each."""
    each = len(all_cores) // workers
    return all_cores[index * each:(index + 1) * each] if each > 1 else all_cores


def cpu_name():
    """As the kernel tells."""
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(": ", 1)[1] for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def versions(torch):
    """Of everything that may matter and is installed. `torch` is the package, or None."""
    found = {"python": platform.python_version()}
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
