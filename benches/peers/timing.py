"""How long work takes, measured in the same way for everybody.

`device` is the work alone, on the GPU's clock: events in the stream before and after each run, as limpid's own `bench`
has them. `host` is wall-clock from an array in the host's memory to the answer in the host's memory.
"""

import ctypes
import statistics
import time

SECONDS = 0.4  # for the samples of one measurement, after warming up
FEWEST, MOST = 10, 1000
LONGEST = 20  # s; where the fewest take longer, three must do
# Runs enqueued while the GPU is held busy. Python takes some 20 µs to enqueue one, a small network less to run: without
# this the GPU would wait for Python, and its waiting would be measured.
AHEAD = 64
HOLD_CYCLES = 4_000_000


def summary(microseconds):
    """Median, spread and the rest of a list of durations, with the names and definitions of `limpid bench --json`."""
    ordered = sorted(microseconds)

    def quantile(share):
        place = share * (len(ordered) - 1)
        below = int(place)
        above = min(below + 1, len(ordered) - 1)
        return ordered[below] + (ordered[above] - ordered[below]) * (place - below)

    median = quantile(0.5)
    return {
        "median": median, "mean": statistics.fmean(ordered), "p90": quantile(0.9), "p95": quantile(0.95),
        "p99": quantile(0.99), "min": ordered[0], "max": ordered[-1],
        "spread": (quantile(0.75) - quantile(0.25)) / median if median > 0 else 0.0, "samples": len(ordered),
    }


def count(estimate_us, seconds=SECONDS):
    """Samples that fit into the time, within reason."""
    each = max(estimate_us, 1.0) / 1e6
    fewest = max(3, min(FEWEST, int(LONGEST / each)))
    return max(fewest, min(MOST, int(seconds / each)))


def wall_times(call, seconds=SECONDS):
    """µs of each call, which returns when its work is done."""
    call(0)
    begin = time.perf_counter()
    call(1)
    samples = count((time.perf_counter() - begin) * 1e6, seconds)
    times = []
    for number in range(samples):
        begin = time.perf_counter()
        call(number)
        times.append((time.perf_counter() - begin) * 1e6)
    return times


def event_times(torch, replay, refresh, ahead=True):
    """µs of each `replay` on the GPU. `refresh(number)` brings the next input before it, outside of the time.
    With `ahead` the queue is filled first, so that what Python takes is not counted."""

    def batch(size):
        marks = [(torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)) for _ in range(size)]
        if ahead:
            torch.cuda._sleep(HOLD_CYCLES)
        for number, (before, after) in enumerate(marks):
            refresh(number)
            before.record()
            replay()
            after.record()
        torch.cuda.synchronize()
        return [before.elapsed_time(after) * 1e3 for before, after in marks]

    batch(2)
    samples = count(statistics.median(batch(3)))
    times = []
    while len(times) < samples:
        times += batch(min(AHEAD, samples - len(times)))
    return times


def second_level_cache():
    """Bytes of the first GPU's second-level cache, asked of the driver; no framework is needed for it."""
    driver, device, size = ctypes.CDLL("libcuda.so.1"), ctypes.c_int(), ctypes.c_int()
    l2_cache_size = 38  # CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE
    asked = (driver.cuInit(0), driver.cuDeviceGet(ctypes.byref(device), 0),
             driver.cuDeviceGetAttribute(ctypes.byref(size), l2_cache_size, device))
    if any(asked):
        raise RuntimeError(f"the driver does not tell its cache: {asked}")
    return size.value


class Clocks:
    """The clocks that a GPU runs at, from NVML; a time without its clock is half a figure."""

    def __init__(self, name="0"):
        """`name` is a GPU's index or UUID, as CUDA_VISIBLE_DEVICES has it, which NVML does not read."""
        self.library = self.device = None
        try:
            library = ctypes.CDLL("libnvidia-ml.so.1")
        except OSError:
            return
        name, device = name.split(",")[0].strip(), ctypes.c_void_p()
        if library.nvmlInit_v2() != 0:
            return
        by_index = name.isdigit()
        find = library.nvmlDeviceGetHandleByIndex_v2 if by_index else library.nvmlDeviceGetHandleByUUID
        if find(int(name) if by_index else name.encode(), ctypes.byref(device)) == 0:
            self.library, self.device = library, device

    def read(self):
        """MHz of multiprocessors and memory, or None."""
        if self.library is None:
            return None
        clocks = {}
        for name, kind in (("multiprocessor", 1), ("memory", 2)):
            mhz = ctypes.c_uint()
            if self.library.nvmlDeviceGetClockInfo(self.device, kind, ctypes.byref(mhz)) != 0:
                return None
            clocks[name] = mhz.value
        return clocks
