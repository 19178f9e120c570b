#!/usr/bin/env python3
"""Trains a small residual network on Fashion-MNIST and exports it to ONNX.

    python3 train.py --data /usr/share/datasets/fashion-mnist --out .

The run is one straight line: read the images, train, measure, export.
../README.md says what each written file holds.
"""

import argparse
import gzip
import json
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import nn
from torch.nn import functional as F

# Mean and standard deviation of the training pixels, once scaled to 0..1.
MEAN, STD = 0.2860, 0.3530


# --- the data
def read_idx(path):
    """Reads a gzipped IDX file: two zero bytes, the element type (8 = unsigned
    byte), the rank, each dimension as a big-endian 32-bit integer, the data."""
    raw = gzip.decompress(Path(path).read_bytes())
    assert raw[:3] == b"\0\0\x08", f"{path}: not an IDX file of bytes"
    shape = np.frombuffer(raw, ">u4", count=raw[3], offset=4)
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * raw[3]).reshape(shape).copy()


def preprocess(images):
    """uint8 [N,28,28] -> normalised float32 [N,1,28,28]."""
    return (images.float().unsqueeze(1) / 255.0 - MEAN) / STD


def augment(images, generator, reach=2):
    """Flips half of the images left to right and shifts each by up to `reach`.

    Each output pixel is fetched by a row and a column index, so flip and shift
    cost one gather for the whole batch.  The border stays 0, as in the data.
    """
    n, size = images.shape[0], images.shape[-1]
    padded = F.pad(images, (reach, reach, reach, reach))
    grid = torch.arange(size)
    top, left = torch.randint(0, 2 * reach + 1, (2, n, 1), generator=generator)
    flip = torch.randint(0, 2, (n, 1), generator=generator).bool()
    rows = grid + top
    cols = torch.where(flip, grid.flip(0), grid) + left
    return padded[torch.arange(n)[:, None, None], rows[:, :, None], cols[:, None, :]]


# --- the network
class Block(nn.Module):
    """Two 3x3 convolutions whose result is added to the block's input.

    A block that halves the image (and widens the channels) gives its input a
    1x1 convolution of the same stride, so that the two shapes agree.
    """

    def __init__(self, cin, cout, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(cin, cout, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(cout)
        self.conv2 = nn.Conv2d(cout, cout, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(cout)
        self.shortcut = nn.Identity() if stride == 1 else nn.Sequential(
            nn.Conv2d(cin, cout, 1, stride, bias=False), nn.BatchNorm2d(cout))

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return F.relu(y + self.shortcut(x))


class FashionNet(nn.Module):
    """Stem, three stages of two blocks at 28, 14 and 7 pixels, linear head."""

    def __init__(self, widths=(16, 32, 96), classes=10):
        super().__init__()
        self.stem = nn.Conv2d(1, widths[0], 3, 1, 1, bias=False)
        self.bn = nn.BatchNorm2d(widths[0])
        blocks, cin = [], widths[0]
        for stage, cout in enumerate(widths):
            blocks += [Block(cin, cout, 1 if stage == 0 else 2), Block(cout, cout, 1)]
            cin = cout
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Linear(cin, classes)

    def forward(self, x):
        x = self.blocks(F.relu(self.bn(self.stem(x))))
        return self.head(torch.flatten(F.adaptive_avg_pool2d(x, 1), 1))


# --- training and testing
def train(net, images, labels, epochs, batch, peak_lr, generator):
    # Weight decay pulls on the convolutions only: shrinking the scales and
    # offsets of a normalisation does not regularise, it only slows training.
    groups = [
        {"params": [p for p in net.parameters() if p.ndim > 1], "weight_decay": 5e-4},
        {"params": [p for p in net.parameters() if p.ndim == 1], "weight_decay": 0.0}]
    steps = len(images) // batch
    optimizer = torch.optim.SGD(groups, lr=peak_lr, momentum=0.9, nesterov=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, peak_lr, total_steps=epochs * steps, pct_start=0.25)
    for epoch in range(epochs):
        net.train()
        total = 0.0
        order = torch.randperm(len(images), generator=generator)
        for step in range(steps):
            pick = order[step * batch:(step + 1) * batch]
            x = preprocess(augment(images[pick], generator))
            # bfloat16 matrix products cost half the time; the weights, the
            # statistics and the update itself stay in float32.
            with torch.autocast("cpu", torch.bfloat16):
                y = net(x.to(memory_format=torch.channels_last))
            loss = F.cross_entropy(y.float(), labels[pick], label_smoothing=0.05)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item()
        print(f"epoch {epoch + 1:2}/{epochs}: loss {total / steps:.4f}", flush=True)


@torch.no_grad()
def logits_of(net, images):
    net.eval()
    return torch.cat([net(preprocess(part)) for part in images.split(250)])


def accuracy(logits, labels):
    return (logits.argmax(1) == labels).float().mean().item()


# --- exporting
def export(net, path):
    """Writes the network in inference mode, its batch normalisations unfused.

    Folding them into the convolutions is the work of the compiler that reads
    the file.  The exporter of today does it on its own; the older one, asked
    to preserve the mode and to fold nothing, writes the layers as they stand.
    """
    torch.onnx.export(
        net.eval(), (torch.zeros(1, 1, 28, 28),), str(path), dynamo=False,
        training=torch.onnx.TrainingMode.PRESERVE, do_constant_folding=False,
        input_names=["image"], output_names=["logits"],
        dynamic_axes={"image": {0: "batch_size"}, "logits": {0: "batch_size"}})
    onnx.checker.check_model(onnx.load(path), full_check=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the four IDX files")
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--lr", type=float, default=0.2, help="peak learning rate")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()

    # One thread and deterministic kernels: the order of every sum is fixed.
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(args.seed)
    generator = torch.Generator().manual_seed(args.seed)

    train_x, train_y, test_x, test_y = (
        read_idx(args.data / f"{name}-ubyte.gz") for name in (
            "train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"))

    net = FashionNet().to(memory_format=torch.channels_last)
    train(net, torch.from_numpy(train_x), torch.from_numpy(train_y).long(),
          args.epochs, args.batch, args.lr, generator)

    net = net.to(memory_format=torch.contiguous_format)
    answers = logits_of(net, torch.from_numpy(test_x))
    truth = torch.from_numpy(test_y).long()
    report = {
        "test_accuracy_10000": round(accuracy(answers, truth), 4),
        "test_accuracy_1000": round(accuracy(answers[:1000], truth[:1000]), 4),
        "parameters": sum(p.numel() for p in net.parameters()),
        "epochs": args.epochs, "batch": args.batch, "peak_lr": args.lr,
        "seed": args.seed, "torch": torch.__version__, "onnx": onnx.__version__}
    print(json.dumps(report, indent=2))

    args.out.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(args.out / "test_1000.npz", images=test_x[:1000], labels=test_y[:1000])
    np.savez_compressed(args.out / "calib_200.npz", images=train_x[:200], labels=train_y[:200])
    np.save(args.out / "expected_1000.npy", answers[:1000].numpy())
    (args.out / "accuracy.json").write_text(json.dumps(report, indent=2) + "\n")
    export(net, args.out / "fashion.onnx")


if __name__ == "__main__":
    main()
