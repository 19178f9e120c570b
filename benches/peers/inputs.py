"""What networks are measured on, and what they should answer.

A run never gets the input of the run before: inputs rotate through a ring that is larger than the second-level cache.
A CUDA graph has its addresses baked in, so the next input is copied over the graph's own before each run, and the copy
is not part of the measured time. That is also how an input comes in real use: it was written just now.
"""

import contextlib

import numpy as np

from machine import cores

SLOTS = 256  # at most; only the MLP's single samples of 3 kB would need more to leave the cache


def sample(network, batch):
    """Normal numbers, (batch, *shape), FP32: the same for every peer and every run."""
    return np.random.default_rng(batch).standard_normal((batch, *network.shape), dtype=np.float32)


def slots(bytes_of_one, cache_bytes):
    """Inputs in the ring."""
    return int(min(SLOTS, max(2, -(-2 * cache_bytes // bytes_of_one))))


def relative_l2(got, want):
    """‖got - want‖ / ‖want‖, over everything; infinite where something is no number."""
    got, want = np.asarray(got, dtype=np.float64).reshape(-1), np.asarray(want, dtype=np.float64).reshape(-1)
    if got.shape != want.shape or not np.isfinite(got).all():
        return float("inf")
    return float(np.linalg.norm(got - want) / np.linalg.norm(want))


# What a relative L2 error may be before a time does not count: some ten times what each precision gives on these
# networks, so that any peer's order of summation passes and no wrong answer does.
BOUNDS = {"fp32": 1e-4, "tf32": 2e-2, "fp16": 2e-2, "fp16_io": 2e-2, "int8": 0.3}


class References:
    """PyTorch's answers in FP32, on the GPU where there is one; its first sample is held to PyTorch's on the CPU."""

    CHUNK = 32

    def __init__(self, torch, device):
        self.torch, self.device, self.known = torch, device, {}

    def answer(self, network, batch):
        """What the network answers to `sample(network, batch)`."""
        if (network.name, batch) not in self.known:
            self.known = {key: value for key, value in self.known.items() if key[0] == network.name}
            self.known[network.name, batch] = self._compute(network, batch)
        return self.known[network.name, batch]

    def _compute(self, network, batch):
        from torch_network import module

        torch, x = self.torch, sample(network, batch)
        with torch.inference_mode(), precise(torch):
            body = module(network, torch.float32, self.device)
            parts = torch.from_numpy(x).split(self.CHUNK)
            answer = np.concatenate([body(part.to(self.device)).cpu().numpy() for part in parts])
            if self.device != "cpu":
                first = module(network, torch.float32, "cpu")(torch.from_numpy(x[:1])).numpy()
                error = relative_l2(answer[:1], first)
                if not error < BOUNDS["fp32"]:
                    raise RuntimeError(f"{network.name}: PyTorch's GPU and CPU differ by {error:.1e} in FP32")
        return answer


class OnnxReferences:
    """ONNX Runtime's answers in FP32 on the CPU, to the file as it is: for machines without PyTorch."""

    def __init__(self, ort):
        self.ort, self.known = ort, {}

    def answer(self, network, batch):
        """What the network answers to `sample(network, batch)`."""
        if (network.name, batch) not in self.known:
            settings = self.ort.SessionOptions()
            settings.intra_op_num_threads = len(cores())
            session = self.ort.InferenceSession(str(network.path), settings, providers=["CPUExecutionProvider"])
            self.known = {(network.name, batch): session.run(None, {network.input: sample(network, batch)})[0]}
        return self.known[network.name, batch]


@contextlib.contextmanager
def precise(torch):
    """FP32 without TF32, and no search for algorithms, while it lasts."""
    cuda, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = cuda.allow_tf32, cudnn.allow_tf32, cudnn.benchmark
    cuda.allow_tf32 = cudnn.allow_tf32 = cudnn.benchmark = False
    try:
        yield
    finally:
        cuda.allow_tf32, cudnn.allow_tf32, cudnn.benchmark = before
