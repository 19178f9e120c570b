"""ONNX Runtime on the very file, on the CPU and, where its CUDA provider is installed, on the GPU."""

import onnx

import timing
from machine import cores


def load():
    """The package, or None."""
    try:
        import onnxruntime
    except ImportError:
        return None
    return onnxruntime


class OnnxRuntimePeer:
    """A provider of ONNX Runtime. `ort` is the package, or None where it is not installed."""

    seconds = 20

    def __init__(self, ort, name, title, provider, precisions):
        self.ort, self.name, self.title, self.provider, self.precisions = ort, name, title, provider, precisions

    def absent(self):
        """Why it cannot run here, or None."""
        if self.ort is None:
            return "ONNX Runtime is not installed"
        if self.provider not in self.ort.get_available_providers():
            return f"this ONNX Runtime has no {self.provider}"
        return None

    def prepare(self, network, precision, batch):
        """The network in a session of this provider."""
        model = str(network.path)
        if precision == "fp16":
            from onnxruntime.transformers.float16 import convert_float_to_float16

            model = convert_float_to_float16(onnx.load(model), keep_io_types=True).SerializeToString()
        options = {}
        if self.provider == "CUDAExecutionProvider":
            tf32 = "1" if precision == "tf32" else "0"
            options = {"use_tf32": tf32, "cudnn_conv_algo_search": "EXHAUSTIVE", "prefer_nhwc": "1"}
        # As many threads as there are cores for this process; it would take all of the machine's, and pin them.
        settings = self.ort.SessionOptions()
        settings.intra_op_num_threads = len(cores())
        session = self.ort.InferenceSession(model, settings, providers=[(self.provider, options)])
        return OnnxRuntimeSession(self.ort, session, network, on_gpu=bool(options))

    def release(self):
        """Nothing is kept."""


class OnnxRuntimeSession:
    """A network in ONNX Runtime."""

    def __init__(self, ort, session, network, on_gpu):
        self.ort, self.session, self.network, self.on_gpu = ort, session, network, on_gpu

    def answer(self, x):
        """What it answers to `x`."""
        return self.session.run(None, {self.network.input: x})[0]

    def times(self, x):
        """Times from host to host; on a GPU also with input and output there, by the wall, since it has no events."""
        found = {"host_us": timing.summary(timing.wall_times(lambda _: self.answer(x)))}
        if self.on_gpu:
            binding = self.session.io_binding()
            binding.bind_ortvalue_input(self.network.input, self.ort.OrtValue.ortvalue_from_numpy(x, "cuda", 0))
            binding.bind_output(self.network.output, "cuda")
            times = timing.wall_times(lambda _: self.session.run_with_iobinding(binding))
            return found | {"device_us": timing.summary(times), "method": "wall clock, one call after another"}
        return found | {"threads": len(cores())}


def peers(ort):
    """Both providers."""
    on_gpu = ("fp32", "tf32", "fp16")
    return [
        OnnxRuntimePeer(ort, "onnxruntime_cuda", "ONNX Runtime, CUDA", "CUDAExecutionProvider", on_gpu),
        OnnxRuntimePeer(ort, "onnxruntime_cpu", "ONNX Runtime, CPU", "CPUExecutionProvider", ("fp32",)),
    ]
