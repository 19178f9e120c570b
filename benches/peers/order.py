"""What is measured, and in which order: that of its worth, so that a run which is cut off has the rows that matter."""

# Batches of each network, and networks in the tables' order.
BATCHES = {
    "resnet50": (1, 32, 128), "resnet18": (1, 32, 128), "mobilenetv2": (1, 32, 128), "mlp": (1, 8192),
    "vgg16": (1, 32), "unet": (1, 8), "deeplabv3plus": (1, 8),
}
PRECISIONS = ("fp16", "tf32", "fp32", "int8")
# FP16 whose inputs and outputs are FP16 as well: measured where it is asked for.
ASKED = ("fp16_io",)
# In the tables' order.
PEERS = (
    "limpid", "cudnn", "xla", "cudnn_fused", "onnxruntime_cuda", "onnxruntime_cpu", "eager", "compile", "tract_cuda",
    "tract_cpu",
)
KEY = ("network", "batch", "precision", "peer")

# By what a build takes, for everybody about the same: how many different layers there are.
LONGEST = ("deeplabv3plus", "resnet50", "mobilenetv2", "unet", "vgg16", "resnet18", "mlp")
QUICK = ("limpid", "cudnn", "cudnn_fused", "eager", "xla", "onnxruntime_cuda", "tract_cuda")
ON_CPU = ("onnxruntime_cpu", "tract_cpu")
SLOW = "compile"


def place(row):
    """Where a row is in the file: peers, precisions and networks as above, batches by size."""
    precisions, networks = (*PRECISIONS, *ASKED), list(BATCHES)
    return PEERS.index(row["peer"]), precisions.index(row["precision"]), networks.index(row["network"]), row["batch"]


def wanted(peers, options):
    """The keys of all rows that were asked for; `peers` are what is known of each, by name."""
    return [
        dict(zip(KEY, (network, batch, precision, name)))
        for name in options.peers
        for precision in options.precisions if precision in peers[name].precisions
        for network in options.networks
        for batch in options.batches or BATCHES[network]
    ]


def units(rows):
    """`rows` as lists that one worker measures one after another, because a peer keeps a network between its batches.
    What takes long, or keeps nothing, is a list of its own, so that the end does not wait for one worker.

    First everything quick, with the peers on the CPU spread among it; then the long searches, by precision.
    """
    found = {}
    for row in rows:
        alone = row["peer"] == SLOW or row["peer"] in ON_CPU
        found.setdefault((row["peer"], row["precision"], row["network"], row["batch"] if alone else None), []).append(row)
    lists = sorted(found.values(), key=lambda unit: worth(unit[0]))
    quick, on_cpu = ([unit for unit in lists if unit[0]["peer"] in names] for names in (QUICK, ON_CPU))
    spread = [((i + 0.5) / len(part), unit) for part in (quick, on_cpu) for i, unit in enumerate(part)]
    spread.sort(key=lambda pair: pair[0])
    return [unit for _, unit in spread] + [unit for unit in lists if unit[0]["peer"] == SLOW]


def worth(row):
    """Sorts rows of the same kind of peer."""
    peers = (*QUICK, *ON_CPU, SLOW)
    return peers.index(row["peer"]), (*PRECISIONS, *ASKED).index(row["precision"]), LONGEST.index(row["network"]), -row["batch"]
