#!/usr/bin/env python3
"""Makes small quantized networks, as material for tests of explicit quantization.

    python3 make.py --out .

Each function below builds one network with random weights in one of the ways
that quantization is written in ONNX, and gives its input, batch of 2.  For each
the script writes

    NAME.onnx   the network; its one output is dequantized, or integers as float
    NAME.npz    `input`, ONNX Runtime's `output` with all of its own graph
                optimisations off, both float32, and `step`, the scale that the
                output was quantized with

The scales come from the activations of the network itself (largest magnitude
over 127), so that every tensor uses its range.
"""

import argparse
import tempfile
import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from torch import nn
from torch.nn import functional as F


# --- fake quantization, as training tools insert it

class Quantizer(nn.Module):
    """Quantizes and dequantizes, symmetric to i8; learns its scale from the first batch it sees."""

    def __init__(self, axis=None):
        super().__init__()
        self.axis, self.scale = axis, None

    def forward(self, x):
        if self.scale is None:
            dims = [a for a in range(x.dim()) if a != self.axis]
            largest = x.abs().amax(dims) if self.axis is not None else x.abs().max()
            self.scale = (largest.detach() / 127).clamp(min=1e-6)
        if self.axis is None:
            return torch.fake_quantize_per_tensor_affine(x, float(self.scale), 0, -128, 127)
        zeros = torch.zeros_like(self.scale, dtype=torch.int32)
        return torch.fake_quantize_per_channel_affine(x, self.scale, zeros, self.axis, -128, 127)


class Quantized(nn.Module):
    """A layer whose input and weights are quantized; its output is not."""

    def __init__(self, layer, axis=0, own_input=True):
        super().__init__()
        self.layer, self.weights = layer, Quantizer(axis)
        self.input = Quantizer() if own_input else nn.Identity()

    def forward(self, x):
        x, w, layer = self.input(x), self.weights(self.layer.weight), self.layer
        if isinstance(layer, nn.Linear):
            return F.linear(x, w, layer.bias)
        if isinstance(layer, nn.ConvTranspose2d):
            return F.conv_transpose2d(x, w, layer.bias, layer.stride, layer.padding,
                                      layer.output_padding, layer.groups, layer.dilation)
        return F.conv2d(x, w, layer.bias, layer.stride, layer.padding, layer.dilation, layer.groups)


class Everywhere(nn.Module):
    """Every tensor is quantized, as PyTorch's own QAT does: residual sum, pools and all."""

    def __init__(self):
        super().__init__()
        conv = lambda *args, **options: Quantized(nn.Conv2d(*args, **options), own_input=False)
        self.q = nn.ModuleList(Quantizer() for _ in range(9))
        self.stem = conv(3, 16, 3, stride=2, padding=1)
        self.one, self.two = conv(16, 16, 3, padding=1, bias=False), conv(16, 16, 3, padding=1)
        self.depthwise = conv(16, 16, 3, padding=1, groups=16)
        self.grouped = conv(16, 24, 3, padding=2, dilation=2, groups=4)
        self.head, self.out = Quantized(nn.Linear(24, 10), own_input=False), Quantizer()

    def forward(self, x):
        q = self.q
        x = q[1](F.relu(self.stem(q[0](x))))
        x = q[2](F.max_pool2d(x, 3, 2, 1))
        y = q[4](self.two(q[3](F.relu(self.one(x)))))
        x = q[5](F.relu(x + y))
        x = q[6](F.relu6(self.depthwise(x)))
        x = q[7](self.grouped(x))
        x = q[8](F.adaptive_avg_pool2d(x, 1))
        return self.out(self.head(x.flatten(1)))


class InFront(nn.Module):
    """Only the inputs and weights of convolutions and linear layers are quantized, as NVIDIA's tool does:
    the residual stays real, pools and concatenations stand between a convolution and the next quantizer."""

    def __init__(self):
        super().__init__()
        conv = lambda *args, **options: Quantized(nn.Conv2d(*args, **options))
        self.stem = conv(3, 12, 3, padding=1)
        self.left, self.right = conv(12, 12, 3, padding=1), conv(12, 12, 1)
        self.joined = conv(24, 16, 3, padding=1)
        self.up = Quantized(nn.ConvTranspose2d(16, 8, 2, stride=2), axis=1)
        self.last, self.head = conv(8, 8, 3), Quantized(nn.Linear(8 * 3 * 3, 10))
        self.out = Quantizer()

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.stem(x)), 2)
        x = x + F.relu(self.left(x))
        x = self.joined(torch.cat([F.relu(self.right(x)), x], 1))
        x = F.silu(self.last(self.up(F.max_pool2d(x, 2))))
        return self.out(self.head(F.max_pool2d(x, 2).flatten(1)))


class Plain(nn.Module):
    """For ONNX Runtime's own quantizer to work on."""

    def __init__(self):
        super().__init__()
        self.stem, self.one = nn.Conv2d(3, 16, 3, 2, 1), nn.Conv2d(16, 16, 3, padding=1, groups=2)
        self.two, self.head = nn.Conv2d(16, 24, 1), nn.Linear(24, 10, bias=False)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.stem(x)), 2)
        x = F.relu(self.two(F.relu(self.one(x))))
        return self.head(F.avg_pool2d(x, 4).flatten(1))


def export(net, x, opset=17):
    for layer in net.modules():
        if isinstance(layer, (nn.Linear, nn.modules.conv._ConvNd)):
            nn.init.kaiming_normal_(layer.weight)
    net.eval()
    with torch.no_grad(), tempfile.TemporaryDirectory() as folder:
        net(x)
        path = Path(folder) / "net.onnx"
        axes = {0: "batch_size"}
        torch.onnx.export(net, (x,), str(path), dynamo=False, opset_version=opset, do_constant_folding=False,
                          input_names=["input"], output_names=["output"],
                          dynamic_axes={"input": axes, "output": axes})
        return onnx.load(path)


def torch_everywhere():
    x = torch.randn(2, 3, 24, 24)
    net = Everywhere()
    return export(net, x), x.numpy(), net.out.scale.item()


def torch_in_front():
    x = torch.randn(2, 3, 16, 16)
    net = InFront()
    return export(net, x), x.numpy(), net.out.scale.item()


# --- ONNX Runtime's static quantization

class Data(CalibrationDataReader):
    def __init__(self, batches):
        self.batches = iter(batches)

    def get_next(self):
        batch = next(self.batches, None)
        return None if batch is None else {"input": batch}


def ort_static(activations, **options):
    x = torch.randn(2, 3, 16, 16)
    model = export(Plain(), x)
    batches = [x.numpy()] + [np.random.randn(4, 3, 16, 16).astype(np.float32) for _ in range(4)]
    with tempfile.TemporaryDirectory() as folder:
        plain, quantized = Path(folder) / "plain.onnx", Path(folder) / "quantized.onnx"
        onnx.save(model, plain)
        quantize_static(plain, quantized, Data(batches), activation_type=activations,
                        weight_type=QuantType.QInt8, **options)
        model = onnx.load(quantized)
    # The scale of the last Dequantize is the output's step.
    last = next(n for n in model.graph.node if "output" in n.output)
    scale = next(t for t in model.graph.initializer if t.name == last.input[1])
    return model, x.numpy(), float(numpy_helper.to_array(scale))


def ort_qdq_symmetric():
    return ort_static(QuantType.QInt8, quant_format=QuantFormat.QDQ, per_channel=True,
                      extra_options={"ActivationSymmetric": True, "WeightSymmetric": True})


def ort_qdq_unsigned():
    return ort_static(QuantType.QUInt8, quant_format=QuantFormat.QDQ, per_channel=True)


def ort_operators():
    return ort_static(QuantType.QUInt8, quant_format=QuantFormat.QOperator, per_channel=True,
                      op_types_to_quantize=["Conv", "MatMul", "MaxPool"])


# --- by hand, node by node

def by_hand(nodes, constants, x, output_shape):
    tensors = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(
        nodes, "network",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["batch_size", *x.shape[1:]])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, output_shape)], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


def operators_around_128():
    """QLinearConv and QLinearMatMul on u8 with zero point 128, which are i8 around 0; weights u8 and i8."""
    x = np.random.randn(2, 4, 8, 8).astype(np.float32)
    small = lambda value: np.float32(value)
    constants = {
        "s_x": small(np.abs(x).max() / 127), "z": np.uint8(128),
        "w": np.random.randint(1, 256, (6, 4, 3, 3), np.uint8), "s_w": np.random.uniform(.002, .004, 6).astype(np.float32),
        "z_w": np.full(6, 128, np.uint8), "b": np.random.randint(-4000, 4000, 6, np.int32), "s_y": small(.05),
        "m": np.random.randint(-127, 128, (216, 5), np.int8), "s_m": np.random.uniform(.002, .004, 5).astype(np.float32),
        "z_m": np.zeros(5, np.int8), "s_z": small(.11), "shape": np.array([0, -1]),
    }
    nodes = [
        helper.make_node("QuantizeLinear", ["input", "s_x", "z"], ["q_x"]),
        helper.make_node("QLinearConv", ["q_x", "s_x", "z", "w", "s_w", "z_w", "s_y", "z", "b"], ["q_y"]),
        helper.make_node("Reshape", ["q_y", "shape"], ["rows"]),
        helper.make_node("QLinearMatMul", ["rows", "s_y", "z", "m", "s_m", "z_m", "s_z", "z"], ["q_z"]),
        helper.make_node("DequantizeLinear", ["q_z", "s_z", "z"], ["output"]),
    ]
    return by_hand(nodes, constants, x, ["batch_size", 5]), x, float(constants["s_z"])


def between_pairs():
    """Resize, Concat, AveragePool, Sub, Mul and a clipped sum between Q and DQ of several scales."""
    x = np.random.randn(2, 4, 6, 6).astype(np.float32)
    constants = {f"s{i}": np.float32(s) for i, s in enumerate([np.abs(x).max() / 127, .031, .027, .04, .05, .045])}
    constants |= {"z": np.int8(0), "sizes": np.array([1, 1, 2, 2], np.float32), "low": np.float32(-1), "high": np.float32(2),
                  "gain": np.random.uniform(.5, 1, (4, 1, 1)).astype(np.float32)}
    nodes, count = [], iter(range(100))

    def add(op, *inputs, **attributes):
        name = f"v{next(count)}"
        nodes.append(helper.make_node(op, list(inputs), [name], **attributes))
        return name

    def pair(value, scale):
        q = add("QuantizeLinear", value, f"s{scale}", "z")
        return add("DequantizeLinear", q, f"s{scale}", "z")

    a = pair("input", 0)
    up = pair(add("Resize", a, "", "sizes", mode="linear"), 1)
    near = pair(add("Resize", a, "", "sizes", mode="nearest"), 2)
    mean = pair(add("AveragePool", up, kernel_shape=[3, 3], pads=[1, 1, 1, 1]), 1)
    difference = pair(add("Sub", up, near), 4)
    product = pair(add("Mul", mean, "gain"), 2)
    joined = pair(add("Concat", up, difference, product, axis=1), 3)
    moved = add("Transpose", joined, perm=[0, 2, 3, 1])
    add("Clip", add("Add", moved, "low"), "low", "high")
    nodes[-1].output[0] = "clipped"
    nodes.append(helper.make_node("QuantizeLinear", ["clipped", "s5", "z"], ["q"]))
    nodes.append(helper.make_node("DequantizeLinear", ["q", "s5", "z"], ["output"]))
    return by_hand(nodes, constants, x, ["batch_size", 12, 12, 12]), x, float(constants["s5"])


def integers():
    """ConvInteger and MatMulInteger with zero points; the output is i32 as float, so a step is 1."""
    x = np.random.randint(-100, 100, (2, 4, 6, 6)).astype(np.float32)
    constants = {
        "one": np.float32(1), "z": np.uint8(113), "w": np.random.randint(-128, 128, (6, 4, 3, 3)).astype(np.int8),
        "z_w": np.int8(3), "shape": np.array([0, -1]),
        "z_m": np.int8(-5), "m": np.random.randint(-128, 128, (96, 5)).astype(np.int8), "share": np.float32(1e-4),
        "z_n": np.int8(9),
    }
    nodes = [
        helper.make_node("QuantizeLinear", ["input", "one", "z"], ["q"]),
        helper.make_node("ConvInteger", ["q", "w", "z", "z_w"], ["sums"]),
        helper.make_node("Cast", ["sums"], ["reals"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["reals", "share"], ["small"]),
        helper.make_node("QuantizeLinear", ["small", "one", "z_m"], ["again"]),
        helper.make_node("Reshape", ["again", "shape"], ["rows"]),
        helper.make_node("MatMulInteger", ["rows", "m", "z_m", "z_n"], ["products"]),
        helper.make_node("Cast", ["products"], ["output"], to=TensorProto.FLOAT),
    ]
    return by_hand(nodes, constants, x, ["batch_size", 5]), x, 1.0


NETWORKS = [torch_everywhere, torch_in_front, ort_qdq_symmetric, ort_qdq_unsigned, ort_operators,
            operators_around_128, between_pairs, integers]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    for index, network in enumerate(NETWORKS):
        torch.manual_seed(index)
        np.random.seed(index)
        model, x, step = network()
        model.doc_string = ""
        for node in model.graph.node:
            node.doc_string = ""
        onnx.checker.check_model(model, full_check=True)
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        output = session.run(None, {"input": x})[0]
        name = network.__name__
        onnx.save(model, args.out / f"{name}.onnx")
        np.savez_compressed(args.out / f"{name}.npz", input=x, output=output, step=np.float32(step))
        kinds = sorted({node.op_type for node in model.graph.node})
        size = (args.out / f"{name}.onnx").stat().st_size
        print(f"{name}: {size} bytes, |output| up to {np.abs(output).max() / step:.0f} steps, {' '.join(kinds)}")


if __name__ == "__main__":
    main()
