"""A network as every peer sees it: read from the ONNX file that limpid builds from, BatchNormalization folded.

Peers must multiply the same weights in the same order of layers, so there is one reader. It does what any of them does
to a network for inference and no more: BatchNormalization goes into the convolution before it, Dropout and Identity go.
Fusing on top of that is each peer's own affair.
"""

import dataclasses
import math

import numpy as np
import onnx
from onnx import numpy_helper


@dataclasses.dataclass
class Node:
    """An operator: names of the values it reads and writes, its attributes as ONNX has them."""

    op: str
    inputs: list
    output: str
    attributes: dict


@dataclasses.dataclass
class Network:
    """Nodes in an order in which they can run. Constants are FP32; the input is (N, *shape)."""

    name: str
    nodes: list
    constants: dict
    input: str
    output: str
    shape: tuple


class Unsupported(Exception):
    """The network has something that this reader does not know."""


def read(path):
    """The network of an ONNX file with one input and one output."""
    model = onnx.load(str(path))
    graph = model.graph
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in constants]
    if len(inputs) != 1 or len(graph.output) != 1:
        raise Unsupported(f"{path}: {len(inputs)} inputs and {len(graph.output)} outputs, not one of each")
    nodes = []
    for proto in graph.node:
        attributes = {a.name: onnx.helper.get_attribute_value(a) for a in proto.attribute}
        if proto.op_type == "Constant":
            constants[proto.output[0]] = numpy_helper.to_array(attributes["value"])
        else:
            nodes.append(Node(proto.op_type, list(proto.input), proto.output[0], attributes))
    shape = tuple(d.dim_value for d in inputs[0].type.tensor_type.shape.dim)[1:]
    network = Network(graph.name, nodes, constants, inputs[0].name, graph.output[0].name, shape)
    _drop_identities(network)
    _fold_batch_normalization(network)
    return network


def readers(network):
    """How many nodes read each value."""
    counts = {network.output: 1}
    for node in network.nodes:
        for name in node.inputs:
            counts[name] = counts.get(name, 0) + 1
    return counts


def optional(node, index):
    """The name of an input that may be left out, or None."""
    return node.inputs[index] if index < len(node.inputs) and node.inputs[index] else None


def windows(node, rank=2):
    """Strides, symmetric padding and dilations of a convolution or pooling."""
    pads = node.attributes.get("pads", [0] * 2 * rank)
    if list(pads[:rank]) != list(pads[rank:]) or node.attributes.get("auto_pad", b"NOTSET") != b"NOTSET":
        raise Unsupported(f"{node.op} pads {pads}, more on one side than on the other")
    strides, dilations = (list(node.attributes.get(name, [1] * rank)) for name in ("strides", "dilations"))
    return strides, list(pads[:rank]), dilations


def bounds(network, node):
    """The least and the largest value that a Clip lets through; infinite where it has none."""
    names = [optional(node, 1), optional(node, 2)]
    low, high = (None if name is None else float(network.constants[name]) for name in names)
    return -math.inf if low is None else low, math.inf if high is None else high


def magnification(network, node):
    """Height and width of a Resize's output over those of its input, where it is the one that all peers have:
    linear, between the centres of pixels, of a picture that grows."""
    modes = [node.attributes.get(name) for name in ("mode", "coordinate_transformation_mode")]
    scales = optional(node, 2)
    if modes != [b"linear", b"half_pixel"] or scales is None:
        raise Unsupported(f"Resize with {node.attributes}; only linear, half_pixel and by scales")
    _, _, *factors = (float(scale) for scale in network.constants[scales])
    if any(factor < 1 or factor != int(factor) for factor in factors):
        raise Unsupported(f"Resize by {factors}, not by whole numbers")
    return [int(factor) for factor in factors]


def _drop_identities(network):
    renamed = {}
    kept = []
    for node in network.nodes:
        node.inputs = [renamed.get(name, name) for name in node.inputs]
        if node.op in ("Dropout", "Identity"):
            renamed[node.output] = node.inputs[0]
        else:
            kept.append(node)
    network.nodes = kept
    network.output = renamed.get(network.output, network.output)


def _fold_batch_normalization(network):
    """w' = w·γ/σ, b' = (b-μ)·γ/σ + β, in double precision."""
    counts = readers(network)
    producers = {node.output: node for node in network.nodes}
    kept = []
    for node in network.nodes:
        conv = producers.get(node.inputs[0]) if node.op == "BatchNormalization" else None
        if conv is None or conv.op != "Conv" or counts[conv.output] != 1:
            kept.append(node)
            continue
        scale, shift, mean, variance = (network.constants[name].astype(np.float64) for name in node.inputs[1:5])
        factor = scale / np.sqrt(variance + node.attributes.get("epsilon", 1e-5))
        weights = network.constants[conv.inputs[1]]
        bias = network.constants[conv.inputs[2]] if len(conv.inputs) > 2 else np.zeros(len(weights))
        folded = [f"{node.output}.weight", f"{node.output}.bias"]
        network.constants[folded[0]] = (weights * factor[:, None, None, None]).astype(np.float32)
        network.constants[folded[1]] = ((bias - mean) * factor + shift).astype(np.float32)
        conv.inputs, conv.output = [conv.inputs[0], *folded], node.output
        producers[node.output] = conv
    network.nodes = kept
    used = {name for node in network.nodes for name in node.inputs}
    network.constants = {name: array for name, array in network.constants.items() if name in used}
