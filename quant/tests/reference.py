"""Calibration thresholds, independently: straight from the papers, on whole arrays, nothing shared with the crate.

Run by hand with NumPy to write what `thresholds.rs` compares with:

    python3 quant/tests/reference.py > quant/tests/thresholds.json

Numbers come from SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014): draw i
of a seed is mix(seed + (i+1)·0x9E3779B97F4A7C15), and its upper 53 bits plus a half, over 2^53, are uniform in (0,1).
"""

import json

import numpy as np

COUNT = 100_000
BINS = 2048


def uniform(seed, count):
    with np.errstate(over="ignore"):
        z = np.uint64(seed) + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    return ((z >> np.uint64(11)).astype(np.float64) + 0.5) / 2.0**53


def gaussian(seed, count=COUNT):
    u = uniform(seed, 2 * count)
    return np.sqrt(-2 * np.log(u[0::2])) * np.cos(2 * np.pi * u[1::2])


def laplacian(seed):
    u = uniform(seed, COUNT) - 0.5
    return -np.sign(u) * np.log(1 - 2 * np.abs(u))


def bimodal(seed):
    g, u = gaussian(seed), uniform(seed + 1, COUNT)
    return np.where(u < 0.7, 1 + 0.3 * g, 6 + 0.5 * g)


def with_outlier(seed):
    x = gaussian(seed)
    x[12345] = -100.0
    return x


DATA = {
    "gaussian": gaussian(1),
    "laplacian": laplacian(2),
    "relu": np.maximum(gaussian(3), 0),
    "bimodal": bimodal(4),
    "constant": np.full(COUNT, 3.7),
    "all_zero": np.zeros(COUNT),
    "single_outlier": with_outlier(6),
    "pixels": np.floor(256 * uniform(7, COUNT)),
}


def bin_width(x):
    """2048 bins over the range seen: of the widths 1, 2, 3, ... times a 16384th of the next power of two above the
    largest magnitude, the smallest with which they reach."""
    largest = float(np.max(x))
    fine = 2.0 ** (np.floor(np.log2(largest)) + 1) / 16384
    joined = 1
    while largest >= BINS * joined * fine:
        joined += 1
    return joined * fine


def histogram(x):
    width = bin_width(x)
    counts, _ = np.histogram(x[x > 0], bins=np.arange(BINS + 1) * width)
    return width, counts


def entropy(x):
    """The GTC 2017 slides' loop over candidates."""
    width, bins = histogram(x)
    bins[0] = bins[1]
    bins = np.trim_zeros(bins, "b").astype(np.float64)
    candidates, divergences = [], []
    for i in range(128, len(bins) + 1):
        outliers = bins[i:].sum()
        p = bins[:i].copy()
        q = np.zeros(i)
        level = np.arange(i) * 128 // i
        for k in range(128):
            members = (level == k) & (p > 0)
            if members.any():
                q[members] = p[members].sum() / members.sum()
        if q.sum() == 0:
            continue
        p[-1] += outliers
        if q[-1] == 0 and p[-1] > 0:
            q[-1] = 1e-4
        p, q = p / p.sum(), q / q.sum()
        seen = p > 0
        candidates.append(i)
        divergences.append(np.sum(p[seen] * np.log(p[seen] / q[seen])))
    best = np.flatnonzero(np.array(divergences) <= min(divergences) + 1e-9)[-1]
    return (candidates[best] + 0.5) * width, [[candidates[k], divergences[k]] for k in range(0, len(candidates), 97)]


def percentile(x, percent=99.99):
    return float(np.percentile(x, percent, method="inverted_cdf"))


def mse(x):
    """Two ways. The least error of the numbers themselves, every one quantized with every candidate's scale. And the
    threshold of least error when the numbers are spread evenly, 16 to a fine bin: what a histogram can know."""
    width, bins = histogram(x)
    fine = 2.0 ** (np.floor(np.log2(float(np.max(x)))) + 1) / 16384
    counts, _ = np.histogram(x[x > 0], bins=np.arange(16385) * fine)
    seen = np.flatnonzero(counts)
    points = ((seen[:, None] + (np.arange(16) + 0.5) / 16) * fine).ravel()
    weights = np.repeat(counts[seen] / 16, 16)

    def error(values, weights, scale):
        return np.sum(weights * (values - np.minimum(np.rint(values / scale), 127) * scale) ** 2) / len(x)

    scales = np.arange(128, len(np.trim_zeros(bins, "b")) + 1) * width / 127
    spread = [error(points, weights, s) for s in scales]
    least = min(error(x[x > 0], 1.0, s) for s in scales)
    return float(scales[np.argmin(spread)] * 127), float(least)


def case(x):
    x = np.abs(x.astype(np.float32)).astype(np.float64)
    seen = {"sum": float(x.sum()), "first": [float(v) for v in x[:4]]}
    if not x.any():
        return seen
    entropy_threshold, curve = entropy(x)
    mse_threshold, mse_error = mse(x)
    return seen | {
        "width": bin_width(x),
        "entropy": entropy_threshold,
        "entropy_curve": curve,
        "percentile": percentile(x),
        "mse": mse_threshold,
        "mse_error": mse_error,
        "minmax": float(x.max()),
    }


if __name__ == "__main__":
    print(json.dumps({name: case(x) for name, x in DATA.items()}, indent=1))
