"""The networks that make.py exports: each one function, each about some way PyTorch writes ONNX."""

import torch
from torch import nn
from torch.nn import functional as F


def conv_bn(cin, cout, kernel, act, **kwargs):
    return nn.Sequential(nn.Conv2d(cin, cout, kernel, bias=False, **kwargs),
                         nn.BatchNorm2d(cout), act)


# --- the networks

def mobilenet():
    """Inverted residuals: expand, depthwise, project; ReLU6 becomes Clip."""
    class Inverted(nn.Module):
        def __init__(self, cin, cout, stride, expand):
            super().__init__()
            mid = cin * expand
            self.residual = stride == 1 and cin == cout
            self.body = nn.Sequential(
                conv_bn(cin, mid, 1, nn.ReLU6()),
                conv_bn(mid, mid, 3, nn.ReLU6(), stride=stride, padding=1, groups=mid),
                conv_bn(mid, cout, 1, nn.Identity()))

        def forward(self, x):
            return x + self.body(x) if self.residual else self.body(x)

    return nn.Sequential(
        conv_bn(3, 8, 3, nn.ReLU6(), stride=2, padding=1),
        Inverted(8, 8, 1, 2), Inverted(8, 16, 2, 4), Inverted(16, 16, 1, 3),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2), nn.Linear(16, 10),
    ), (2, 3, 32, 32)


def residual():
    """A basic block with a strided shortcut, and one with none."""
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem = conv_bn(1, 8, 3, nn.ReLU(), padding=1)
            self.body = nn.Sequential(
                conv_bn(8, 10, 3, nn.ReLU(), stride=2, padding=1),
                conv_bn(10, 10, 3, nn.Identity(), padding=1))
            self.shortcut = conv_bn(8, 10, 1, nn.Identity(), stride=2)
            self.last = conv_bn(10, 10, 3, nn.Identity(), padding=1)
            self.head = nn.Linear(10, 10)

        def forward(self, x):
            x = self.stem(x)
            x = F.relu(self.body(x) + self.shortcut(x))
            x = F.relu(self.last(x) + x)
            return self.head(F.adaptive_avg_pool2d(x, 1).flatten(1))

    return Net(), (2, 1, 14, 14)


def unet():
    """Two levels down by MaxPool, two up by ConvTranspose, skips by Concat."""
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.enc1 = conv_bn(1, 8, 3, nn.ReLU(), padding=1)
            self.enc2 = conv_bn(8, 12, 3, nn.ReLU(), padding=1)
            self.mid = conv_bn(12, 16, 3, nn.ReLU(), padding=1)
            self.up2 = nn.ConvTranspose2d(16, 12, 2, stride=2)
            self.dec2 = conv_bn(24, 12, 3, nn.ReLU(), padding=1)
            # Padding and output padding: the form whose size is easy to get wrong.
            self.up1 = nn.ConvTranspose2d(12, 8, 3, stride=2, padding=1, output_padding=1)
            self.dec1 = nn.Conv2d(16, 2, 1)

        def forward(self, x):
            a = self.enc1(x)
            b = self.enc2(F.max_pool2d(a, 2))
            c = self.mid(F.max_pool2d(b, 2))
            b = self.dec2(torch.cat([self.up2(c), b], 1))
            return self.dec1(torch.cat([self.up1(b), a], 1))

    return Net(), (2, 1, 24, 24)


def resize():
    """Resize by size and by factor, bilinear both ways of corners, nearest."""
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.down = nn.Conv2d(3, 8, 3, stride=4, padding=1)
            self.mix = nn.Conv2d(24, 4, 1)

        def forward(self, x):
            y = F.relu(self.down(x))
            corners = F.interpolate(y, size=(15, 17), mode="bilinear", align_corners=True)
            halves = F.interpolate(y, size=(15, 17), mode="bilinear", align_corners=False)
            nearest = F.interpolate(y, size=(15, 17), mode="nearest")
            y = self.mix(torch.cat([corners, halves, nearest], 1))
            y = F.interpolate(y, scale_factor=2, mode="bilinear", align_corners=False)
            return F.interpolate(y, scale_factor=(0.5, 3.0), mode="nearest")

    return Net(), (2, 3, 24, 32)


def resize_as_input():
    """Resizes to the size of another tensor, height and width left open."""
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.down = nn.Conv2d(3, 8, 3, stride=4, padding=1)
            self.head = nn.Conv2d(8, 2, 1)

        def forward(self, x):
            y = self.head(F.relu(self.down(x)))
            return F.interpolate(y, size=x.shape[2:], mode="bilinear", align_corners=False)

    return Net(), (2, 3, 24, 32)


def pools():
    """Zero padding and every flavour of pooling window, then Softmax."""
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 8, 3)
            self.head = nn.Linear(16, 10)

        def forward(self, x):
            x = self.conv(F.pad(x, (1, 2, 0, 3)))
            x = F.avg_pool2d(x, 3, 1, padding=1, count_include_pad=True)
            x = F.avg_pool2d(x, 3, 1, padding=1, count_include_pad=False)
            x = F.max_pool2d(x, 3, 2, padding=1, ceil_mode=True)
            x = F.avg_pool2d(x, 2, 2, ceil_mode=True)
            x = torch.cat([x.mean((2, 3)), F.adaptive_max_pool2d(x, 1).flatten(1)], 1)
            return F.softmax(self.head(x), dim=1)

    return Net(), (2, 3, 21, 20)


def flatten():
    """A batch size read from the input and put into views; LogSoftmax."""
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(1, 6, 5, stride=2)
            self.fc1 = nn.Linear(6 * 12 * 12 // 4, 24)
            self.fc2 = nn.Linear(24 * 4, 10, bias=False)

        def forward(self, x):
            x = F.relu(self.conv(x))
            x = x.view(x.size(0), 4, -1)
            x = F.relu(self.fc1(x))
            x = x.reshape(x.shape[0], x.shape[1] * x.shape[2])
            return F.log_softmax(self.fc2(x), dim=-1)

    return Net(), (2, 1, 28, 28)


def slices():
    """chunk, split, slices with steps and from the end, stack and unbind."""
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 12, 3, padding=1)
            self.head = nn.Conv2d(13, 4, 1)

        def forward(self, x):
            # The space to depth of early detectors: four interleaved slices.
            x = torch.cat([x[..., ::2, ::2], x[..., 1::2, ::2],
                           x[..., ::2, 1::2], x[..., 1::2, 1::2]], 1)
            x = self.conv(x[:, 1:-8])
            a, b = x.chunk(2, dim=1)
            c, d, e = torch.split(a * torch.sigmoid(b), [1, 2, 3], dim=1)
            pair = torch.stack([d, e[:, :2]], dim=1)
            low, high = pair.unbind(1)
            y = torch.cat([c, low - high, e, a, b[:, -1:]], 1)
            return self.head(y)[:, :, 1:-1, 2:]

    return Net(), (2, 3, 20, 24)


def squeeze_excite():
    """Hard swish, and hard sigmoid gates over the channels."""
    class Gate(nn.Module):
        def __init__(self, channels):
            super().__init__()
            self.down = nn.Conv2d(channels, channels // 4, 1)
            self.up = nn.Conv2d(channels // 4, channels, 1)

        def forward(self, x):
            y = F.relu(self.down(F.adaptive_avg_pool2d(x, 1)))
            return x * F.hardsigmoid(self.up(y))

    return nn.Sequential(
        conv_bn(3, 16, 3, nn.Hardswish(), stride=2, padding=1),
        conv_bn(16, 16, 5, nn.Hardswish(), padding=2, groups=16), Gate(16),
        conv_bn(16, 24, 1, nn.Hardswish()), Gate(24),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(24, 10),
    ), (2, 3, 32, 32)


def activations():
    """One convolution after each pointwise function that networks use."""
    kinds = [nn.LeakyReLU(0.1), nn.SiLU(), nn.ELU(0.7), nn.PReLU(8), nn.GELU(),
             nn.GELU("tanh"), nn.Softplus(), nn.Mish(), nn.Tanh(), nn.Sigmoid(),
             nn.Hardtanh(-0.5, 0.75), nn.SELU(), nn.Softsign()]
    layers = [nn.Conv2d(3, 8, 3, padding=1)]
    for kind in kinds:
        layers += [kind, nn.Conv2d(8, 8, 1)]
    return nn.Sequential(*layers), (2, 3, 12, 12)


def shuffle():
    """Channel shuffle: a grouped convolution between view, transpose, view."""
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem = conv_bn(3, 12, 3, nn.ReLU(), padding=1)
            self.branch = nn.Sequential(
                conv_bn(6, 6, 1, nn.ReLU()),
                conv_bn(6, 6, 3, nn.Identity(), padding=1, groups=6),
                conv_bn(6, 6, 1, nn.ReLU()))
            self.group = nn.Conv2d(12, 12, 1, groups=3)
            self.head = nn.Linear(12, 10)

        def forward(self, x):
            x = self.stem(x)
            left, right = x.chunk(2, 1)
            x = torch.cat([left, self.branch(right)], 1)
            n, c, h, w = x.shape
            x = x.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)
            x = self.group(x).permute(0, 2, 3, 1)
            return self.head(x).permute(0, 3, 1, 2).contiguous().mean(dim=(2, 3))

    return Net(), (2, 3, 16, 16)


def argmax():
    """A label per pixel, cast to float."""
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 5, 3, padding=1)

        def forward(self, x):
            return self.conv(x).argmax(1, keepdim=True).float()

    return Net(), (2, 3, 16, 16)


def dilated():
    """Parallel grouped and dilated convolutions, unequal kernels and strides."""
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem = nn.Conv2d(3, 16, (5, 3), stride=(2, 1), padding=(2, 1))
            self.branches = nn.ModuleList(
                nn.Conv2d(16, 8, 3, padding=d, dilation=d, groups=g)
                for d, g in [(1, 1), (2, 4), (3, 8)])
            self.same = nn.Conv2d(24, 8, 4, padding="same")
            self.head = nn.Conv2d(8, 3, (1, 7), dilation=(1, 2), padding=(0, 6))

        def forward(self, x):
            x = F.relu(self.stem(x))
            x = F.relu(torch.cat([branch(x) for branch in self.branches], 1))
            return self.head(F.relu(self.same(x)))

    return Net(), (2, 3, 24, 20)


def attention():
    """Patches, one transformer block written out, and its pooled tokens."""
    class Net(nn.Module):
        def __init__(self, dim=16, heads=2):
            super().__init__()
            self.heads = heads
            self.patches = nn.Conv2d(1, dim, 4, stride=4)
            self.place = nn.Parameter(torch.randn(1, 17, dim) * 0.5)
            self.first = nn.Parameter(torch.randn(1, 1, dim))
            self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
            self.qkv, self.out = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
            self.mlp = nn.Sequential(nn.Linear(dim, 2 * dim), nn.GELU(), nn.Linear(2 * dim, dim))
            self.head = nn.Linear(dim, 10)

        def forward(self, x):
            x = self.patches(x).flatten(2).transpose(1, 2)
            x = torch.cat([self.first.expand(x.shape[0], -1, -1), x], 1) + self.place
            n, t, d = x.shape
            qkv = self.qkv(self.norm1(x)).reshape(n, t, 3, self.heads, d // self.heads)
            q, k, v = qkv.permute(2, 0, 3, 1, 4)
            score = (q @ k.transpose(-2, -1)) * (d // self.heads) ** -0.5
            y = (score.softmax(-1) @ v).transpose(1, 2).reshape(n, t, d)
            x = x + self.out(y)
            x = x + self.mlp(self.norm2(x))
            return self.head(x[:, 0])

    return Net(), (2, 1, 16, 16)


def norms():
    """The normalisations that look at the data: instance, group, layer."""
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.InstanceNorm2d(8, affine=True), nn.ReLU(),
        nn.Conv2d(8, 8, 3, padding=1), nn.GroupNorm(4, 8), nn.ReLU(),
        nn.Conv2d(8, 4, 1), nn.LayerNorm((4, 12, 12)),
    ), (2, 3, 12, 12)


def superres():
    """Sub-pixel upscaling: PixelShuffle becomes DepthToSpace."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 5, padding=2), nn.Tanh(), nn.Conv2d(16, 8, 3, padding=1), nn.Tanh(),
        nn.Conv2d(8, 9, 3, padding=1), nn.PixelShuffle(3), nn.PixelUnshuffle(2),
    ), (2, 1, 12, 12)


def arithmetic():
    """Reductions, comparisons, powers, broadcasts against constants."""
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 6, 3, padding=1)
            self.register_buffer("scale", torch.rand(1, 6, 1, 1) + 0.5)
            self.register_buffer("weights", torch.randn(144, 3))

        def forward(self, x):
            x = self.conv(x) * self.scale - 0.25
            x = torch.where(x > 0, x, x.abs().sqrt() * 0.1)
            x = x / (x.pow(2).sum(1, keepdim=True) + 1e-3).sqrt()
            x = torch.maximum(x, x.mean(dim=3, keepdim=True)).clamp(min=-0.5)
            x = torch.exp(-x) + torch.log1p(x.amax(dim=(2, 3), keepdim=True).abs())
            return F.normalize(x.flatten(2), dim=-1) @ self.weights

    return Net(), (2, 3, 12, 12)


def conv1d():
    """A signal rather than an image: rank 3 all the way to the head."""
    return nn.Sequential(
        nn.Conv1d(2, 8, 7, stride=2, padding=3, bias=False), nn.BatchNorm1d(8), nn.ReLU(),
        nn.MaxPool1d(2), nn.Conv1d(8, 12, 3, padding=2, dilation=2), nn.ReLU(),
        nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(12, 5), nn.BatchNorm1d(5),
    ), (2, 2, 64)
