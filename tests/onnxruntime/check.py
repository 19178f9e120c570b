"""Checks and runs every model of a folder with ONNX Runtime on the CPU.

    python3 check.py FOLDER

For each NAME.onnx, inputs are in NAME.npz under the model's names. Outputs go to NAME.plain.npz (graph optimizations
off: each operator as it stands in the file) and NAME.fused.npz (all of them on), named by their position. Standard
output gets one JSON object: for each NAME either `error`, or `operators`, how often each operator is left once fused.
"""

import collections
import json
import pathlib
import sys

import numpy as np
import onnx
import onnxruntime as ort

LEVELS = {
    "plain": ort.GraphOptimizationLevel.ORT_DISABLE_ALL,
    "fused": ort.GraphOptimizationLevel.ORT_ENABLE_ALL,
}


def check(path: pathlib.Path) -> dict:
    onnx.checker.check_model(path, full_check=True)
    with np.load(path.with_suffix(".npz")) as archive:
        inputs = {name: archive[name] for name in archive.files}
    optimized = path.with_suffix(".optimized")
    for level, optimization in LEVELS.items():
        options = ort.SessionOptions()
        options.graph_optimization_level = optimization
        options.log_severity_level = 3
        # Processors without VNNI saturate sums of u8 by s8 products; with this they take a way that does not.
        options.add_session_config_entry("session.x64quantprecision", "1")
        if level == "fused":
            options.optimized_model_filepath = str(optimized)
        session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        outputs = session.run(None, inputs)
        np.savez(path.with_suffix(f".{level}.npz"), **{str(i): array for i, array in enumerate(outputs)})
    operators = collections.Counter(node.op_type for node in onnx.load(optimized).graph.node)
    return {"operators": dict(operators)}


def main() -> None:
    report = {}
    for path in sorted(pathlib.Path(sys.argv[1]).glob("*.onnx")):
        try:
            report[path.stem] = check(path)
        except Exception as error:  # whatever it is, the test that called names the model
            report[path.stem] = {"error": f"{type(error).__name__}: {error}"}
    json.dump(report, sys.stdout)


if __name__ == "__main__":
    main()
