"""XLA, through JAX: the network as one jitted function, channels last."""

import os
import statistics
import time

import numpy as np

import timing
from inputs import slots
from network import Unsupported, bounds, magnification, optional, windows

# Products of FP16 sum up in FP32 as they are; of FP32, this is how TF32 is asked for and forbidden.
PRODUCTS = {"fp32": "highest", "tf32": "tensorfloat32", "fp16": "default"}


def load():
    """The package, or None. It must not take three quarters of the GPU's memory, which others need as well."""
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    try:
        import jax
    except ImportError:
        return None
    return jax


class XlaPeer:
    """Jitted JAX. `jax` is the package, or None where it is not installed."""

    name, title, seconds = "xla", "XLA (JAX)", 25
    precisions = ("fp32", "tf32", "fp16")

    def __init__(self, jax):
        self.jax = jax

    def absent(self):
        """Why it cannot run here, or None."""
        return "JAX is not installed" if self.jax is None else None

    def prepare(self, network, precision, batch):
        """The network, compiled for this batch."""
        return XlaSession(self.jax, network, precision, batch)

    def release(self):
        """Forgets what was compiled."""
        if self.jax is not None:
            self.jax.clear_caches()


class XlaSession:
    """A network compiled by XLA."""

    def __init__(self, jax, network, precision, batch):
        self.jax, self.shape = jax, (batch, *network.shape)
        dtype = jax.numpy.float16 if precision == "fp16" else jax.numpy.float32
        jax.config.update("jax_default_matmul_precision", PRODUCTS[precision])
        parameters, apply = function(jax, network, dtype)
        self.parameters = jax.device_put(parameters)
        self.apply, self.jitted = apply, jax.jit(apply)
        self.jitted(self.parameters, jax.numpy.zeros(self.shape)).block_until_ready()

    def answer(self, x):
        """What it answers to `x`."""
        return np.asarray(self.jitted(self.parameters, x))

    def times(self, x):
        """JAX has no events, so its runs are timed by the wall, many of them enqueued at once: one call after another,
        and, where that is short enough for the calling to show, one program that walks the ring. The faster one counts.
        """
        jax = self.jax
        found = {"host_us": timing.summary(timing.wall_times(lambda _: self.answer(x)))}
        if jax.default_backend() != "gpu":
            return found
        length = slots(x.nbytes, timing.second_level_cache())
        ring = jax.random.normal(jax.random.key(0), (length, *self.shape), dtype=jax.numpy.float32)
        inputs = [ring[i] for i in range(length)]

        def calls():
            answers = [self.jitted(self.parameters, each) for each in inputs]
            answers[-1].block_until_ready()

        ways = {"calls": rounds(calls, length)}
        if statistics.median(ways["calls"]) < 1000:
            walk = jax.jit(lambda parameters, ring: jax.lax.map(lambda each: self.apply(parameters, each), ring))
            ways["one program"] = rounds(lambda: walk(self.parameters, ring).block_until_ready(), length)
        best = min(ways, key=lambda way: statistics.median(ways[way]))
        return found | {"device_us": timing.summary(ways[best]), "method": f"wall clock, {best}"}


def rounds(once, length):
    """µs of each of the `length` runs that a call of `once` makes."""
    once()
    begin = time.perf_counter()
    once()
    samples = max(5, min(100, int(timing.SECONDS / (time.perf_counter() - begin))))
    times = []
    for _ in range(samples):
        begin = time.perf_counter()
        once()
        times.append((time.perf_counter() - begin) * 1e6 / length)
    return times


def function(jax, network, dtype):
    """Its parameters, and the function of parameters and an FP32 input, channels first, to an FP32 output."""
    jnp = jax.numpy
    parameters = {}

    def keep(name, transform=lambda array: array):
        if name is not None:
            parameters[name] = jnp.asarray(np.ascontiguousarray(transform(network.constants[name])), dtype=dtype)
        return name

    steps = [(node.output, step(jax, network, node, keep)) for node in network.nodes]

    def apply(parameters, x):
        values = {network.input: jnp.moveaxis(x, 1, -1).astype(dtype) if x.ndim == 4 else x.astype(dtype)}
        for name, run in steps:
            values[name] = run(values, parameters)
        y = values[network.output].astype(jnp.float32)
        return jnp.moveaxis(y, -1, 1) if y.ndim == 4 else y

    return parameters, apply


def step(jax, network, node, keep):
    """A node as a function of the values so far and the parameters."""
    lax, jnp, x = jax.lax, jax.numpy, node.inputs[0]
    layout = ("NHWC", "HWIO", "NHWC")

    def biased(y, parameters, bias):
        return y if bias is None else y + parameters[bias]

    match node.op:
        case "Conv":
            stride, padding, dilation = windows(node)
            weight, bias = keep(node.inputs[1], lambda w: w.transpose(2, 3, 1, 0)), keep(optional(node, 2))
            groups, pads = node.attributes.get("group", 1), [(p, p) for p in padding]
            return lambda v, p: biased(lax.conv_general_dilated(
                v[x], p[weight], stride, pads, rhs_dilation=dilation, dimension_numbers=layout,
                feature_group_count=groups), p, bias)
        case "ConvTranspose":
            stride, padding, dilation = windows(node)
            if node.attributes.get("group", 1) != 1 or dilation != [1, 1]:
                raise Unsupported(f"ConvTranspose with {node.attributes}")
            turned = lambda w: w[:, :, ::-1, ::-1].transpose(2, 3, 0, 1)
            weight, bias = keep(node.inputs[1], turned), keep(optional(node, 2))
            pads = [(k - 1 - p, k - 1 - p) for k, p in zip(node.attributes["kernel_shape"], padding)]
            return lambda v, p: biased(lax.conv_general_dilated(
                v[x], p[weight], [1, 1], pads, lhs_dilation=stride, dimension_numbers=layout), p, bias)
        case "Gemm":
            if [node.attributes.get(name, 1) for name in ("alpha", "beta", "transB")] != [1, 1, 1]:
                raise Unsupported(f"Gemm with {node.attributes}")
            weight, bias = keep(node.inputs[1], np.transpose), keep(optional(node, 2))
            return lambda v, p: biased(v[x] @ p[weight], p, bias)
        case "MaxPool":
            stride, padding, dilation = windows(node)
            window = (1, *node.attributes["kernel_shape"], 1)
            pads = [(0, 0), *((p, p) for p in padding), (0, 0)]
            return lambda v, p: lax.reduce_window(
                v[x], -jnp.inf, lax.max, window, (1, *stride, 1), pads, window_dilation=(1, *dilation, 1))
        case "GlobalAveragePool":
            return lambda v, p: v[x].mean((1, 2), keepdims=True, dtype=jnp.float32).astype(v[x].dtype)
        case "Relu":
            return lambda v, p: jax.nn.relu(v[x])
        case "Clip":
            low, high = bounds(network, node)
            return lambda v, p: jnp.clip(v[x], low, high)
        case "Add":
            return lambda v, p: v[x] + v[node.inputs[1]]
        case "Concat":
            axis = {1: -1}[node.attributes["axis"]]
            return lambda v, p: jnp.concatenate([v[name] for name in node.inputs], axis)
        case "Flatten":
            # ONNX flattens channels first.
            return lambda v, p: jnp.moveaxis(v[x], -1, 1).reshape(v[x].shape[0], -1)
        case "Resize":
            height, width = magnification(network, node)
            return lambda v, p: jax.image.resize(
                v[x], (v[x].shape[0], v[x].shape[1] * height, v[x].shape[2] * width, v[x].shape[3]), "linear")
    raise Unsupported(f"{node.op} has no counterpart in JAX here")
