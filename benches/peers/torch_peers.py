"""PyTorch in four ways: as it comes, cuDNN in a CUDA graph, the same with fused calls, and compiled."""

import os

import numpy as np

import timing
from inputs import slots

# How torch.compile searches faster for the same among as much: the processes that compile candidates stay from one row
# to the next, and less is printed about each of them. (As many of them as there are cores for this process, up to 32.)
SEARCH = {
    "TORCHINDUCTOR_QUIESCE_ASYNC_COMPILE_POOL": "0",
    "TORCHINDUCTOR_AUTOTUNE_NUM_CHOICES_DISPLAYED": "1",
    "TORCHINDUCTOR_MAX_AUTOTUNE_REPORT_CHOICES_STATS": "0",
}


def load():
    """The package, or None."""
    for name, value in SEARCH.items():
        os.environ.setdefault(name, value)
    try:
        import torch
    except ImportError:
        return None
    return torch


class TorchPeer:
    """One of the ways. `torch` is the package, or None where it is not installed."""

    precisions = ("fp32", "tf32", "fp16", "fp16_io")

    def __init__(self, torch, name, title, seconds, graph=True, fused=False, compiled=False):
        self.torch, self.name, self.title, self.seconds = torch, name, title, seconds
        self.graph, self.fused, self.compiled = graph, fused, compiled
        self.device = "cuda" if torch is not None and torch.cuda.is_available() else "cpu"
        self.cached = (None, None)

    def absent(self):
        """Why it cannot run here, or None."""
        if self.torch is None:
            return "PyTorch is not installed"
        if self.graph and self.device == "cpu":
            return "PyTorch sees no GPU"
        return None

    def prepare(self, network, precision, batch):
        """The network, ready to be run with this batch."""
        from torch_network import AnyInput, module  # which needs PyTorch to be there

        torch = self.torch
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision == "tf32"
        torch.backends.cudnn.benchmark = True
        dtype = torch.float16 if precision.startswith("fp16") else torch.float32
        io = torch.float16 if precision == "fp16_io" else torch.float32
        if self.cached[0] != (network.name, dtype, io):
            self.cached = (None, None)
            body = module(network, dtype, self.device, fused=self.fused)
            self.cached = ((network.name, dtype, io), AnyInput(body, dtype, io))
        runnable = self.cached[1]
        if self.compiled:
            torch._dynamo.reset()
            wait_for_compilers()
            # Its own graphs are left to ours, which leaves out what Python does before each of them is launched.
            runnable = torch.compile(runnable, mode="max-autotune-no-cudagraphs", dynamic=False)
        session = GraphSession if self.graph else EagerSession
        return session(torch, runnable, (batch, *network.shape), io, self.device)

    def release(self):
        """Gives memory back before somebody else is measured."""
        self.cached = (None, None)
        if self.torch is not None and self.device == "cuda":
            self.torch.cuda.empty_cache()


def wait_for_compilers():
    """Until torch.compile has its processes. Before that it compiles candidates in threads of this one, where they wait
    for each other; the first rows' would all be compiled so."""
    from torch._inductor.async_compile import AsyncCompile

    AsyncCompile.warm_pool()
    AsyncCompile.wait_pool_ready()


class GraphSession:
    """A network captured as one CUDA graph."""

    def __init__(self, torch, runnable, shape, io, device):
        self.torch, self.shape = torch, shape
        self.input = torch.zeros(shape, dtype=io, device=device)
        with torch.inference_mode():
            side = torch.cuda.Stream()
            side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(side):
                for _ in range(3):  # compiles, and lets cuDNN look for its fastest algorithms
                    runnable(self.input)
            torch.cuda.current_stream().wait_stream(side)
            self.graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self.graph):
                self.output = runnable(self.input)

    def answer(self, x):
        """What it answers to `x`."""
        self.input.copy_(self.torch.from_numpy(x))
        self.graph.replay()
        return self.output.cpu().numpy()

    def times(self, x):
        """Times on the GPU, and from host to host."""
        torch = self.torch
        cache = torch.cuda.get_device_properties(0).L2_cache_size
        ring = torch.randn((slots(self.input.nbytes, cache), *self.shape), device="cuda").to(self.input.dtype)

        def refresh(number):
            self.input.copy_(ring[number % len(ring)])

        device = timing.event_times(torch, self.graph.replay, refresh)
        del ring
        ends = self.input, self.output
        source, target = (torch.empty(tuple(end.shape), dtype=end.dtype, pin_memory=True) for end in ends)
        given, result = torch.from_numpy(x).to(source.dtype), np.empty_like(target.numpy())

        def host(_):
            source.copy_(given)
            self.input.copy_(source, non_blocking=True)
            self.graph.replay()
            target.copy_(self.output, non_blocking=True)
            torch.cuda.synchronize()
            np.copyto(result, target.numpy())

        return {"device_us": timing.summary(device), "host_us": timing.summary(timing.wall_times(host))}


class EagerSession:
    """A network called operator by operator, as PyTorch comes."""

    def __init__(self, torch, runnable, shape, io, device):
        self.torch, self.runnable, self.shape, self.io, self.device = torch, runnable, shape, io, device

    def answer(self, x):
        """What it answers to `x`."""
        with self.torch.inference_mode():
            return self.runnable(self.torch.from_numpy(x).to(self.device, self.io)).cpu().numpy()

    def times(self, x):
        """Times on the GPU, Python's way to it included, which is part of what it is; and from host to host."""
        torch, found = self.torch, {}
        if self.device == "cuda":
            cache = torch.cuda.get_device_properties(0).L2_cache_size
            ring = torch.randn((slots(x.nbytes, cache), *self.shape), device="cuda").to(self.io)
            at = [0]

            def refresh(number):
                at[0] = number % len(ring)

            with torch.inference_mode():
                replay = lambda: self.runnable(ring[at[0]])
                found["device_us"] = timing.summary(timing.event_times(torch, replay, refresh, ahead=False))
        found["host_us"] = timing.summary(timing.wall_times(lambda _: self.answer(x)))
        return found


def peers(torch):
    """All of them. Seconds are what one row takes, as seen on an H200 with 16 cores, most of it spent on searching."""
    return [
        TorchPeer(torch, "cudnn", "cuDNN + CUDA graph", 8),
        TorchPeer(torch, "cudnn_fused", "cuDNN, fused + CUDA graph", 8, fused=True),
        TorchPeer(torch, "eager", "PyTorch eager", 8, graph=False),
        TorchPeer(torch, "compile", "torch.compile max-autotune", 80, compiled=True),
    ]
