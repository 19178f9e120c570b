"""Workers (worker.py), each a process with one GPU and its share of the cores, and what they are given to do."""

import json
import os
import pathlib
import select
import signal
import subprocess
import sys
import threading
import time

import machine
import order

STARTING = 180  # s; frameworks are large, and the first to read them from a cold disk waits long
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


class Lost(Exception):
    """The worker ended without an answer."""


class Unable(Exception):
    """No worker can be started here."""


class Worker:
    """One of `count` workers. Its process is started when it is first asked, and after it died."""

    def __init__(self, index, count, settings):
        self.settings, self.process, self.rest = settings, None, b""
        gpus = machine.gpus()
        self.gpu = gpus[index % len(gpus)] if gpus else None
        self.cores = machine.share(machine.cores(), index, count)

    def ask(self, key, limit, end):
        """The figures of a row, and what is installed. TimeoutError after `limit` seconds, or at `end`."""
        introduction = self.start(end) if self.process is None else {}
        self.say(key)
        return self.answer(min(time.monotonic() + limit, end)), introduction.get("versions", {})

    def start(self, end):
        """Starts the process, and gives what it says of itself."""
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, self.cores)  # of this thread, which its child inherits before any framework starts
        environment = dict.fromkeys(THREADS, str(len(self.cores))) | os.environ
        if self.gpu is not None:
            environment["CUDA_VISIBLE_DEVICES"] = self.gpu
        command, self.rest = [sys.executable, pathlib.Path(__file__).with_name("worker.py")], b""
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        # A group of its own, so that what it started ends with it.
        self.process = subprocess.Popen(command, env=environment, process_group=0, **pipes)
        try:
            self.say(self.settings)
            introduction = self.answer(min(time.monotonic() + STARTING, end))
        except Lost as lost:
            raise Unable(f"no worker can be started: {lost}") from lost
        except TimeoutError:
            if time.monotonic() < end:
                raise Unable(f"no worker can be started: nothing was heard of it for {STARTING} s") from None
            raise
        if "lack" in introduction:
            raise Unable(introduction["lack"])
        return introduction

    def say(self, what):
        """Sends a line."""
        try:
            self.process.stdin.write(json.dumps(what).encode() + b"\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # it is dead, as the answer will tell

    def answer(self, end):
        """The next line; the process is ended where none comes in time."""
        pipe = self.process.stdout.fileno()
        while b"\n" not in self.rest:
            if not select.select([pipe], [], [], max(0.0, end - time.monotonic()))[0]:
                self.stop()
                raise TimeoutError
            part = os.read(pipe, 1 << 16)
            if not part:
                raise Lost(f"the worker ended: {ending(self.stop(patience=5))}")
            self.rest += part
        line, _, self.rest = self.rest.partition(b"\n")
        return json.loads(line)

    def stop(self, patience=0.0):
        """Ends the process and all that it started, at once unless it is ending by itself; gives its exit status."""
        process, self.process = self.process, None
        if process is None:
            return None
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            pass
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass  # nobody is left
        return process.wait()


def ending(status):
    """An exit status in words."""
    if status is None:
        return "it was stopped"
    return f"status {status}" if status >= 0 else signal.Signals(-status).name


class Plan:
    """Rows that are to be measured, handed out to threads which have a worker each, until the time is up."""

    def __init__(self, rows, peers, results, seconds, limit):
        self.units, self.peers, self.results = order.units(rows), peers, results
        self.end, self.limit, self.lock, self.stopped = time.monotonic() + seconds, limit, threading.Lock(), False

    def work(self, worker):
        """Measures with this worker until nothing is left."""
        try:
            while (unit := self.next()) is not None:
                while unit and not self.stopped:
                    self.record(unit[0], *self.measure(worker, unit[0]))
                    unit.pop(0)
        except Unable:
            with self.lock:
                self.units.insert(0, unit)  # for the others
            raise
        finally:
            worker.stop()

    def next(self):
        """Rows to be measured one after another, or None."""
        with self.lock:
            return self.units.pop(0) if self.units and not self.stopped else None

    def measure(self, worker, key):
        """A row's figures, or why there are none, and versions."""
        expected = self.expected(key)
        if self.end - time.monotonic() < expected:
            return {"not_measured": f"budget: less than {expected:g} s were left"}, {}
        try:
            found, versions = worker.ask(key, self.limit, self.end)
            if "failed" in found:
                worker.stop()  # after one illegal access CUDA answers a process with nothing but errors
            return found, versions
        except TimeoutError:
            if time.monotonic() >= self.end:
                return {"not_measured": "budget: the time was up before it was done"}, {}
            return {"failed": f"not done after {self.limit:g} s"}, {}
        except Lost as lost:
            return {"failed": str(lost)}, {}

    def expected(self, key):
        """Seconds that a row will take: as the longest of its peer's with this network, or the peer's own estimate."""
        with self.lock:
            seen = self.results.seconds(key["peer"], key["network"])
        return max(seen, default=self.peers[key["peer"]].seconds)

    def record(self, key, found, versions):
        """Writes a row down."""
        with self.lock:
            if not self.stopped:  # else what was broken off is no result
                self.results.add_versions(versions)
                self.results.record(key, found)

    def stop(self):
        """Nothing more is begun or recorded."""
        with self.lock:
            self.stopped = True
