"""Small networks in the shape of whole families: what their exports are made of, all together."""

import torch
from torch import nn
from torch.nn import functional as F

from networks import conv_bn


def swin():
    """Attention in shifted windows: roll, window partition, position bias, mask."""
    class Block(nn.Module):
        def __init__(self, dim, size, window, shift, heads):
            super().__init__()
            self.size, self.window, self.shift, self.heads = size, window, shift, heads
            self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
            self.qkv, self.out = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
            self.mlp = nn.Sequential(nn.Linear(dim, 2 * dim), nn.GELU(), nn.Linear(2 * dim, dim))
            tokens = window * window
            self.bias = nn.Parameter(torch.randn((2 * window - 1) ** 2, heads) * 0.3)
            place = torch.stack(torch.meshgrid(torch.arange(window), torch.arange(window),
                                               indexing="ij")).flatten(1)
            apart = (place[:, :, None] - place[:, None]).permute(1, 2, 0) + window - 1
            self.register_buffer("index", (apart[..., 0] * (2 * window - 1) + apart[..., 1]).view(-1))
            region = torch.zeros(size, size)
            if shift:
                parts = (slice(0, -window), slice(-window, -shift), slice(-shift, None))
                for i, rows in enumerate(parts):
                    for j, columns in enumerate(parts):
                        region[rows, columns] = 3 * i + j
            region = self.partition(region[None, :, :, None]).view(-1, tokens)
            mask = (region[:, None] != region[:, :, None]).float() * -100.0
            self.register_buffer("mask", mask[None, :, None])

        def partition(self, x):
            n, c = x.shape[0], x.shape[3]
            k, w = self.size // self.window, self.window
            x = x.view(n, k, w, k, w, c).permute(0, 1, 3, 2, 4, 5)
            return x.reshape(n, k * k, w * w, c)

        def merge(self, x):
            n, c = x.shape[0], x.shape[3]
            k, w = self.size // self.window, self.window
            x = x.view(n, k, k, w, w, c).permute(0, 1, 3, 2, 4, 5)
            return x.reshape(n, self.size, self.size, c)

        def forward(self, x):
            y = self.norm1(x)
            if self.shift:
                y = torch.roll(y, (-self.shift, -self.shift), (1, 2))
            y = self.partition(y)
            n, windows, t, c = y.shape
            qkv = self.qkv(y).view(n, windows, t, 3, self.heads, c // self.heads)
            q, k, v = qkv.permute(3, 0, 1, 4, 2, 5).unbind(0)
            score = (q * (c // self.heads) ** -0.5) @ k.transpose(-2, -1)
            bias = self.bias[self.index].view(t, t, self.heads).permute(2, 0, 1)
            score = score + bias[None, None] + self.mask
            y = (score.softmax(-1) @ v).transpose(2, 3).reshape(n, windows, t, c)
            y = self.merge(self.out(y))
            if self.shift:
                y = torch.roll(y, (self.shift, self.shift), (1, 2))
            x = x + y
            return x + self.mlp(self.norm2(x))

    class Net(nn.Module):
        def __init__(self, dim=8):
            super().__init__()
            self.embed = nn.Conv2d(3, dim, 2, stride=2)
            self.norm = nn.LayerNorm(dim)
            self.block = Block(dim, 8, 2, 1, 2)
            self.reduce_norm = nn.LayerNorm(4 * dim)
            self.reduce = nn.Linear(4 * dim, 2 * dim, bias=False)
            self.head = nn.Linear(2 * dim, 10)

        def forward(self, x):
            x = self.block(self.norm(self.embed(x).permute(0, 2, 3, 1)))
            x = torch.cat([x[:, 0::2, 0::2], x[:, 1::2, 0::2],
                           x[:, 0::2, 1::2], x[:, 1::2, 1::2]], -1)
            x = self.reduce(self.reduce_norm(x))
            return self.head(x.permute(0, 3, 1, 2).mean((2, 3)))

    return Net(), (2, 3, 16, 16)


def convnext():
    """Channels last between depthwise convolutions; a norm over the response of channels."""
    class Block(nn.Module):
        def __init__(self, dim):
            super().__init__()
            self.depthwise = nn.Conv2d(dim, dim, 7, padding=3, groups=dim)
            self.norm = nn.LayerNorm(dim, eps=1e-6)
            self.up, self.down = nn.Linear(dim, 4 * dim), nn.Linear(4 * dim, dim)
            self.gamma, self.beta = (nn.Parameter(torch.randn(4 * dim) * 0.3) for _ in range(2))

        def forward(self, x):
            y = self.norm(self.depthwise(x).permute(0, 2, 3, 1))
            y = F.gelu(self.up(y))
            response = torch.norm(y, p=2, dim=(1, 2), keepdim=True)
            y = self.gamma * (y * (response / (response.mean(-1, keepdim=True) + 1e-6))) + self.beta + y
            return x + self.down(y).permute(0, 3, 1, 2)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem = nn.Conv2d(3, 8, 4, stride=4)
            self.first, self.second = Block(8), Block(12)
            self.norm = nn.LayerNorm(8)
            self.between = nn.Conv2d(8, 12, 2, stride=2)
            self.head = nn.Linear(12, 10)

        def forward(self, x):
            x = self.first(self.stem(x))
            x = self.norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
            x = self.second(self.between(x))
            return self.head(x.mean([-2, -1]))

    return Net(), (2, 3, 32, 32)


def detector():
    """A one-stage detector: split blocks, pooled pyramid, and boxes out of distributions."""
    class Split(nn.Module):
        def __init__(self, cin, cout):
            super().__init__()
            half = cout // 2
            self.first = conv_bn(cin, cout, 1, nn.SiLU())
            self.inner = nn.Sequential(conv_bn(half, half, 3, nn.SiLU(), padding=1),
                                       conv_bn(half, half, 3, nn.SiLU(), padding=1))
            self.last = conv_bn(3 * half, cout, 1, nn.SiLU())

        def forward(self, x):
            parts = list(self.first(x).chunk(2, 1))
            parts.append(parts[-1] + self.inner(parts[-1]))
            return self.last(torch.cat(parts, 1))

    class Net(nn.Module):
        def __init__(self, classes=3, bins=4):
            super().__init__()
            self.classes, self.bins = classes, bins
            self.stem = conv_bn(3, 4, 3, nn.SiLU(), stride=2, padding=1)
            self.down1 = nn.Sequential(conv_bn(4, 6, 3, nn.SiLU(), stride=2, padding=1), Split(6, 6))
            self.down2 = nn.Sequential(conv_bn(6, 8, 3, nn.SiLU(), stride=2, padding=1), Split(8, 8))
            self.pyramid = conv_bn(32, 8, 1, nn.SiLU())
            self.fuse = Split(14, 6)
            self.boxes = nn.ModuleList(nn.Conv2d(c, 4 * bins, 1) for c in (6, 8))
            self.scores = nn.ModuleList(nn.Conv2d(c, classes, 1) for c in (6, 8))
            self.register_buffer("values", torch.arange(bins, dtype=torch.float32).view(1, bins, 1, 1))

        def forward(self, x):
            fine = self.down1(self.stem(x))
            coarse = self.down2(fine)
            pooled = [coarse]
            for _ in range(3):
                pooled.append(F.max_pool2d(pooled[-1], 5, 1, 2))
            coarse = self.pyramid(torch.cat(pooled, 1))
            fine = self.fuse(torch.cat([F.interpolate(coarse, scale_factor=2.0, mode="nearest"), fine], 1))
            boxes, scores, centres, strides = [], [], [], []
            for level, (y, stride) in enumerate([(fine, 4.0), (coarse, 8.0)]):
                n, _, h, w = y.shape
                boxes.append(self.boxes[level](y).view(n, 4 * self.bins, h * w))
                scores.append(self.scores[level](y).view(n, self.classes, h * w))
                rows, columns = torch.meshgrid(torch.arange(h) + 0.5, torch.arange(w) + 0.5, indexing="ij")
                centres.append(torch.stack((columns, rows)).view(2, -1))
                strides.append(torch.full((1, h * w), stride))
            boxes, scores = torch.cat(boxes, 2), torch.cat(scores, 2)
            centres, strides = torch.cat(centres, 1)[None], torch.cat(strides, 1)[None]
            bins = boxes.view(boxes.shape[0], 4, self.bins, -1).transpose(1, 2).softmax(1)
            low, high = (bins * self.values).sum(1).chunk(2, 1)
            low, high = centres - low, centres + high
            boxes = torch.cat([(low + high) / 2, high - low], 1) * strides
            return torch.cat([boxes, scores.sigmoid()], 1)

    return Net(), (2, 3, 32, 32)


def segmenter():
    """Reflected borders, gates by averages of rows and columns, bicubic upsampling."""
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.down = nn.Conv2d(3, 8, 3, stride=2)
            self.rows, self.columns = nn.Conv2d(8, 8, 1), nn.Conv2d(8, 8, 1)
            self.key, self.value = nn.Conv2d(8, 4, 1), nn.Conv2d(8, 8, 1)
            self.head = nn.Conv2d(8, 3, 1)

        def forward(self, x):
            x = F.relu(self.down(F.pad(x, (1, 1, 1, 1), mode="reflect")))
            x = x * torch.sigmoid(self.rows(x.mean(3, keepdim=True)))
            x = x * torch.sigmoid(self.columns(x.mean(2, keepdim=True)))
            n, c, h, w = x.shape
            key, value = self.key(x).flatten(2), self.value(x).flatten(2)
            score = torch.softmax(key.transpose(1, 2) @ key * 0.5, -1)
            x = x + (value @ score.transpose(1, 2)).view(n, c, h, w)
            x = F.pad(x, (0, 1, 2, 0), mode="replicate")[:, :, 1:]
            x = F.interpolate(self.head(x), size=(24, 24), mode="bicubic", align_corners=False)
            return F.softmax(x, 1).clamp(0.05, 0.9).log() / x.abs().amax(1, keepdim=True).clamp(min=0.1)

    return Net(), (2, 3, 16, 16)
