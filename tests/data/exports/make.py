#!/usr/bin/env python3
"""Exports small random networks from PyTorch, as material for import tests.

    python3 make.py --out .

Each function below builds one network around the operators it is named after
and gives the shape of its input, batch of 2.  For each the script writes

    NAME.npz           `input` and PyTorch's `output`, both float32
    NAME.dynamo.onnx   from the torch.export based exporter
    NAME.legacy.onnx   from the TorchScript exporter, opset 17
    NAME.opsetN.onnx   for some, the same at an older opset, where bounds, axes
                       or sizes are still attributes of an operator
    NAME.raw.onnx      for some, from the newer exporter without its optimiser:
                       normalisations unfused, shapes computed in the graph

and checks every file against PyTorch with ONNX Runtime, at two batch sizes.
"""

import argparse
import logging
import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from torch import nn
from torch.nn import functional as F

from architectures import convnext, detector, segmenter, swin
from networks import (
    mobilenet,
    residual,
    unet,
    resize,
    resize_as_input,
    pools,
    flatten,
    slices,
    squeeze_excite,
    activations,
    shuffle,
    argmax,
    dilated,
    attention,
    norms,
    superres,
    arithmetic,
    conv1d,
)

NETWORKS = [mobilenet, residual, unet, resize, resize_as_input, pools, flatten,
            slices, squeeze_excite, activations, shuffle, argmax, dilated,
            attention, norms, superres, arithmetic, conv1d, swin, convnext,
            detector, segmenter]
# Older opsets, where they write something that opset 17 does not.
OLDER = {"mobilenet": 9, "shuffle": 9, "resize": 11, "pools": 11, "slices": 11,
         "squeeze_excite": 11, "attention": 11, "arithmetic": 11}
# Where the unoptimised graph shows what the newer exporter leaves behind.
RAW = {"residual", "flatten", "shuffle"}
# Networks of so many nodes that the newer exporter's notes outweigh them.
WITHOUT_NOTES = {"swin", "detector", "convnext", "segmenter"}
# Networks whose height and width stay open too.
OPEN_SIZE = {"resize_as_input"}


# --- exporting and checking

def randomise(net):
    """Weights that keep the signal's size, and normalisations that act.

    The default weights shrink the signal layer by layer until a test of the
    output shows little; a fresh normalisation has no scale and no offset, and
    a batch normalisation is the identity.
    """
    for layer in net.modules():
        if isinstance(layer, (nn.Linear, nn.modules.conv._ConvNd)):
            nn.init.kaiming_normal_(layer.weight)
        if isinstance(layer, (nn.modules.batchnorm._NormBase, nn.GroupNorm, nn.LayerNorm)):
            nn.init.normal_(layer.bias, std=0.2)
            nn.init.uniform_(layer.weight, 0.5, 1.5)
        if isinstance(layer, nn.modules.batchnorm._BatchNorm):
            nn.init.normal_(layer.running_mean, std=0.2)
            nn.init.uniform_(layer.running_var, 0.5, 1.5)


def open_axes(name):
    axes = {0: "batch_size"}
    if name in OPEN_SIZE:
        axes.update({2: "height", 3: "width"})
    return axes


def export_legacy(net, x, name, opset, path):
    axes = open_axes(name)
    torch.onnx.export(net, (x,), str(path), dynamo=False, opset_version=opset,
                      input_names=["input"], output_names=["output"],
                      dynamic_axes={"input": axes, "output": axes})
    return onnx.load(path)


def export_dynamo(net, x, name, optimize):
    dims = {axis: torch.export.Dim(label) for axis, label in open_axes(name).items()}
    program = torch.onnx.export(net, (x,), dynamo=True, optimize=optimize, verbose=False,
                                input_names=["input"], output_names=["output"],
                                dynamic_shapes=(dims,))
    model = program.model_proto
    # The exporter notes on each node the Python lines it came from, with the
    # paths of their files, which have no place in a file kept under version
    # control.  Its other notes mostly stay: importers have to cope with them.
    for node in model.graph.node:
        kept = [p for p in node.metadata_props
                if p.key != "pkg.torch.onnx.stack_trace" and name not in WITHOUT_NOTES]
        del node.metadata_props[:]
        node.metadata_props.extend(kept)
    return model


@torch.no_grad()
def check(model, net, x):
    """Compares with PyTorch, at the batch of the export and at another one."""
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(model.SerializeToString(),
                                           providers=["CPUExecutionProvider"])
    worst = 0.0
    for batch in (x, torch.randn(5, *x.shape[1:])):
        got = session.run(None, {"input": batch.numpy()})[0]
        want = net(batch).numpy()
        assert got.shape == want.shape, (got.shape, want.shape)
        worst = max(worst, float(np.abs(got - want).max()))
    assert worst < 1e-4, worst
    return worst


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    parser.add_argument("--only", nargs="*", help="names of the networks to write")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)

    for build in NETWORKS:
        name = build.__name__
        if args.only and name not in args.only:
            continue
        torch.manual_seed(1)
        net, shape = build()
        randomise(net)
        net.eval()
        x = torch.randn(shape)
        with torch.no_grad():
            y = net(x)
        np.savez_compressed(args.out / f"{name}.npz", input=x.numpy(), output=y.numpy())
        print(f"{name}: {list(x.shape)} -> {list(y.shape)}, deviation {y.std():.3g}")

        models = {"dynamo": export_dynamo(net, x, name, True)}
        if name in RAW:
            models["raw"] = export_dynamo(net, x, name, False)
        models["legacy"] = export_legacy(net, x, name, 17, args.out / f"{name}.legacy.onnx")
        if name in OLDER:
            kind = f"opset{OLDER[name]}"
            models[kind] = export_legacy(net, x, name, OLDER[name],
                                         args.out / f"{name}.{kind}.onnx")
        for kind, model in models.items():
            path = args.out / f"{name}.{kind}.onnx"
            onnx.save(model, path)
            kinds = sorted({node.op_type for node in model.graph.node})
            print(f"  {kind}, opset {model.opset_import[0].version}, "
                  f"{path.stat().st_size} bytes, error {check(model, net, x):.1e}: "
                  + " ".join(kinds))


if __name__ == "__main__":
    main()
