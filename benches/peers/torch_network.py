"""A network in PyTorch: one function call a node, as a traced graph."""

import operator

import torch
import torch.nn.functional as F
from torch import fx

from network import Network, Node, Unsupported, bounds, magnification, optional, readers, windows


def module(network, dtype, device, fused=False):
    """The network as a module whose weights are of `dtype`, 4-dimensional ones channels-last.

    `fused` calls what PyTorch has for a convolution whose bias, addition and ReLU cuDNN does on its way out.
    """
    steps = _fuse(network) if fused else [(node, None) for node in network.nodes]
    graph, parameters, values = fx.Graph(), {}, {}

    def value(name):
        if name is None:
            return None
        if name not in values:
            key = f"p{len(parameters)}"
            tensor = torch.from_numpy(network.constants[name].copy()).to(device=device, dtype=dtype)
            if tensor.dim() == 4:
                tensor = tensor.contiguous(memory_format=torch.channels_last)
            parameters[key] = torch.nn.Parameter(tensor, requires_grad=False)
            values[name] = graph.get_attr(key)
        return values[name]

    values[network.input] = graph.placeholder("x")
    holder = torch.nn.Module()
    for node, addend in steps:
        values[node.output] = _call(network, node, addend, value, graph)
    graph.output(values[network.output])
    for key, parameter in parameters.items():
        holder.register_parameter(key, parameter)
    return fx.GraphModule(holder, graph).eval()


def _fuse(network):
    """Pairs of a node and what is added to it: Conv -> Relu becomes ConvRelu, Conv -> Add -> Relu ConvAddRelu, where
    nobody else reads what lies between."""
    counts = readers(network)
    nodes, place = list(network.nodes), {node.output: i for i, node in enumerate(network.nodes)}

    def conv(name):
        node = nodes[place[name]] if name in place else None
        return node if node is not None and node.op == "Conv" and counts[name] == 1 else None

    gone, fused = set(), {}
    for i, node in enumerate(nodes):
        if node.op != "Relu" or node.inputs[0] not in place:
            continue
        before = nodes[place[node.inputs[0]]]
        addend, first = None, conv(node.inputs[0])
        if before.op == "Add" and counts[before.output] == 1:
            # The later convolution: by then the other operand is there.
            operands = sorted(before.inputs, key=lambda name: place.get(name, -1))
            first, addend = conv(operands[1]), operands[0]
        if first is None or first.attributes.get("group", 1) != 1:
            continue
        gone.update({first.output, before.output})
        op = "ConvRelu" if addend is None else "ConvAddRelu"
        fused[i] = (Node(op, first.inputs, node.output, first.attributes), addend)
    return [fused.get(i, (node, None)) for i, node in enumerate(nodes) if i in fused or node.output not in gone]


def _call(network, node, addend, value, graph):
    x = value(node.inputs[0])
    call = lambda function, *arguments, **named: graph.call_function(function, arguments, named)
    match node.op:
        case "Conv" | "ConvRelu" | "ConvAddRelu":
            stride, padding, dilation = windows(node)
            weight, bias, groups = value(node.inputs[1]), value(optional(node, 2)), node.attributes.get("group", 1)
            if node.op == "Conv":
                return call(F.conv2d, x, weight, bias, stride, padding, dilation, groups)
            if node.op == "ConvRelu":
                return call(torch.cudnn_convolution_relu, x, weight, bias, stride, padding, dilation, groups)
            plus = (value(addend), 1.0)
            return call(torch.cudnn_convolution_add_relu, x, weight, *plus, bias, stride, padding, dilation, groups)
        case "ConvTranspose":
            stride, padding, dilation = windows(node)
            weight, bias, groups = value(node.inputs[1]), value(optional(node, 2)), node.attributes.get("group", 1)
            return call(F.conv_transpose2d, x, weight, bias, stride, padding, [0, 0], groups, dilation)
        case "Gemm":
            if [node.attributes.get(name, 1) for name in ("alpha", "beta", "transB")] != [1, 1, 1]:
                raise Unsupported(f"Gemm with {node.attributes}")
            return call(F.linear, x, value(node.inputs[1]), value(optional(node, 2)))
        case "MaxPool":
            stride, padding, dilation = windows(node)
            return call(F.max_pool2d, x, list(node.attributes["kernel_shape"]), stride, padding, dilation)
        case "GlobalAveragePool":
            return call(F.adaptive_avg_pool2d, x, 1)
        case "Relu":
            return call(torch.relu, x)
        case "Clip":
            return call(torch.clamp, x, *bounds(network, node))
        case "Add":
            return call(operator.add, x, value(node.inputs[1]))
        case "Concat":
            return call(torch.cat, [value(name) for name in node.inputs], node.attributes["axis"])
        case "Flatten":
            return call(torch.flatten, x, node.attributes.get("axis", 1))
        case "Resize":
            scale = [float(factor) for factor in magnification(network, node)]
            return call(F.interpolate, x, scale_factor=scale, mode="bilinear", align_corners=False)
    raise Unsupported(f"{node.op} has no counterpart in PyTorch here")


class AnyInput(torch.nn.Module):
    """A network that takes and gives numbers of the type `io`, channels first, as limpid's engines do: what converting
    costs is part of the measured time, for everybody."""

    def __init__(self, body, dtype, io):
        super().__init__()
        self.body, self.dtype, self.io = body, dtype, io

    def forward(self, x):
        x = x.to(dtype=self.dtype, memory_format=torch.channels_last) if x.dim() == 4 else x.to(self.dtype)
        return self.body(x).to(self.io).contiguous()
