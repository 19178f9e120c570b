//! Flags that allow or limit what limpid does not do anyway: they are taken, and it is said that they change nothing.

use super::Flag;

pub(super) const FLAGS: &[Flag] = &[
    Flag::hint("explicitBatch", None, "the batch is always a dimension like others"),
    Flag::hint("explicitPrecision", None, "Q/DQ of the model is always taken as it is"),
    Flag::hint("avgTiming", Some("N"), "each tactic is timed for 4 ms, however many runs that are"),
    Flag::hint("minTiming", Some("N"), "each tactic is timed for 4 ms, however many runs that are"),
    Flag::hint("heuristic", None, "tactics are always ranked by the cost model before they are timed"),
    Flag::hint("maxAuxStreams", Some("N"), "one inference uses one stream, fewer than any maximum"),
    Flag::hint("tacticSources", Some("SPEC"), "all kernels are limpid's own; neither cuDNN nor cuBLAS is used"),
    Flag::hint("preview", Some("SPEC"), "it switches parts of TensorRT's builder that limpid does not have"),
    Flag::hint(
        "tilingOptimizationLevel",
        Some("N"),
        "tiles are tactics here: --builderOptimizationLevel says how many",
    ),
    Flag::hint("l2LimitForTiling", Some("N"), "layers are not tiled together, so none of L2 is claimed for it"),
    Flag::hint("tempdir", Some("DIR"), "no temporary executables are written"),
    Flag::hint("tempfileControls", Some("SPEC"), "no temporary executables are written"),
    Flag::hint("asyncFileReader", None, "engine files are mapped, and read as they are needed"),
    Flag::hint("minShapesCalib", Some("SPEC"), "random inputs for calibration have the shapes of --optShapesCalib"),
    Flag::hint("maxShapesCalib", Some("SPEC"), "random inputs for calibration have the shapes of --optShapesCalib"),
];
