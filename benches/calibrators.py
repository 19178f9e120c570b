"""What each calibrator makes of the trained network, on all 10,000 test images of Fashion-MNIST:

    python3 benches/calibrators.py LIMPID FOLDER > benches/results/calibrators.json

LIMPID is the binary, FOLDER holds t10k-images-idx3-ubyte.gz and t10k-labels-idx1-ubyte.gz (Debian's package
dataset-fashion-mnist has them in /usr/share/datasets/fashion-mnist). Every group that can be is INT8, calibrated on
the 200 training images of tests/data/fashion. Needs NumPy; runs on the CPU, whose INT8 has the bits of every GPU's.
"""

import gzip
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

CALIBRATORS = ["entropy", "percentile", "mse", "minmax"]
FASHION = pathlib.Path(__file__).parent.parent / "tests/data/fashion"
PICTURES = ["--channels", "gray", "--mean", "0.2860", "--std", "0.3530"]


def idx(path, header):
    with gzip.open(path) as file:
        return np.frombuffer(file.read(), dtype=np.uint8, offset=header)


def main(limpid, folder):
    folder = pathlib.Path(folder)
    images = idx(folder / "t10k-images-idx3-ubyte.gz", 16).reshape(-1, 28, 28)
    labels = idx(folder / "t10k-labels-idx1-ubyte.gz", 8)
    run = lambda *arguments: subprocess.run([limpid, *map(str, arguments)], check=True, capture_output=True, text=True)
    rows = []
    with tempfile.TemporaryDirectory() as work:
        work = pathlib.Path(work)
        np.savez_compressed(work / "test.npz", images=images, labels=labels)
        build = ["build", FASHION / "fashion.onnx", "--backend", "cpu", *PICTURES]
        run(*build, "-o", work / "fp32.engine")
        for calibrator in CALIBRATORS:
            calibration = ["--calib", FASHION / "calib_200.npz", "--calibrator", calibrator, "--int8-everywhere"]
            run(*build, "-o", work / "int8.engine", "--precision", "int8", *calibration)
            compared = run("compare", work / "fp32.engine", work / "int8.engine", work / "test.npz", "--backend", "cpu", "--json")
            compared = json.loads(compared.stdout)
            rows.append({"calibrator": calibrator} | {key: compared[key] for key in ("classification", "outputs")})
    json.dump({"network": "fashion", "images": len(images), "calibration_images": 200, "rows": rows}, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
