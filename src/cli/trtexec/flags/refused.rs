//! Flags that cannot be: why, and what to do instead.

use super::Flag;

const DLA: &str = "limpid runs on GPUs and has nothing for a DLA; leave the flag out to run on the GPU";
const CAFFE: &str = "limpid reads ONNX only; convert the Caffe model and give it with --onnx";
const UFF: &str = "limpid reads ONNX only; export the TensorFlow model with tf2onnx and give it with --onnx";
const IMPLICIT_BATCH: &str = "the batch is a dimension of the model; give it with --shapes=INPUT:Nx...";
const PLUGIN: &str = "TensorRT's plugins are C++ against its own interfaces; express the layer in ONNX operators, or add \
                      an operator to limpid (graph/src/ops, one file each)";
const SAFETY: &str = "limpid is certified for nothing; use TensorRT's safety runtime where that is needed";
const REFIT: &str = "an engine carries its weights for good; build again with --timingCacheFile, which takes seconds";
const VERSIONS: &str = "an engine is read by the limpid that wrote its format; keep the ONNX file and build again";
const STREAMING: &str = "all weights lie in GPU memory; use --fp16 or --int8 to halve or quarter them";
const DEBUG: &str = "`limpid compare MODEL ENGINE SAMPLES --layers` looks at the values inside an engine";
const TUNER: &str =
    "limpid has no build routes; its choices are tactics, see --builderOptimizationLevel and --maxTactics";

pub(super) const FLAGS: &[Flag] = &[
    Flag::refused("useDLACore", DLA),
    Flag::refused("allowGPUFallback", DLA),
    Flag::refused("buildDLAStandalone", DLA),
    Flag::refused("uint8AsymmetricQuantizationDLA", DLA),
    Flag::refused("adjustForDLA", DLA),
    Flag::refused("reportCapabilityDLA", DLA),
    Flag::refused("deploy", CAFFE),
    Flag::refused("model", CAFFE),
    Flag::refused("output", "an ONNX model names its outputs; cut it with onnx.utils.extract_model for others"),
    Flag::refused("uff", UFF),
    Flag::refused("uffInput", UFF),
    Flag::refused("uffNHWC", UFF),
    Flag::refused("batch", IMPLICIT_BATCH),
    Flag::refused("maxBatch", "the batch is a dimension of the model; give its range with --minShapes and --maxShapes"),
    Flag::refused("plugins", PLUGIN),
    Flag::refused("staticPlugins", PLUGIN),
    Flag::refused("dynamicPlugins", PLUGIN),
    Flag::refused("setPluginsToSerialize", PLUGIN),
    Flag::refused("ignoreParsedPluginLibs", PLUGIN),
    Flag::refused("enablePluginOverride", PLUGIN),
    Flag {
        alias: Some("pi"),
        ..Flag::refused("pluginInstanceNorm", "InstanceNormalization has kernels of its own here; leave the flag out")
    },
    Flag::refused("safe", SAFETY),
    Flag::refused("safetyPlugins", SAFETY),
    Flag::refused("restricted", SAFETY),
    Flag::refused("consistency", SAFETY),
    Flag::refused("std", SAFETY),
    Flag::refused("serialized", "--saveEngine writes the engine"),
    Flag::refused(
        "remoteAutoTuningConfig",
        "build on the machine itself, or for it with `limpid build --target sm_90`",
    ),
    Flag::refused("cpuOnly", "`limpid build --target sm_90` builds for a GPU that is elsewhere"),
    Flag { alias: Some("vc"), ..Flag::refused("versionCompatible", VERSIONS) },
    Flag::refused("excludeLeanRuntime", VERSIONS),
    Flag::refused("leanDLLPath", VERSIONS),
    Flag::refused("refit", REFIT),
    Flag::refused("refitFromOnnx", REFIT),
    Flag::refused("timeRefit", REFIT),
    Flag::refused("dumpRefit", REFIT),
    Flag::refused("stripWeights", REFIT),
    Flag::refused("stripAllWeights", REFIT),
    Flag::refused("weightless", REFIT),
    Flag::refused("allowWeightStreaming", STREAMING),
    Flag::refused("weightStreamingBudget", STREAMING),
    Flag::refused("markDebug", DEBUG),
    Flag::refused("markUnfusedTensorsAsDebugTensors", DEBUG),
    Flag::refused("saveDebugTensors", DEBUG),
    Flag::refused("saveAllDebugTensors", DEBUG),
    Flag::refused("dumpKernelText", "`limpid inspect ENGINE --kernel LAYER` prints the source of a layer's kernel"),
    Flag::refused("bf16", "limpid has no BF16 kernels; --fp16 keeps in FP32 what would overflow it"),
    Flag::refused("fp8", "limpid has no FP8 kernels; --int8 has as many bits, and exact sums"),
    Flag::refused("int4", "limpid has no INT4 kernels; --int8 is the smallest"),
    Flag::refused(
        "directIO",
        "--inputIOFormats and --outputIOFormats say what comes and goes; limpid converts where it must",
    ),
    Flag::refused("decomposableAttentions", "`limpid inspect MODEL --why NODE` says how an attention is run"),
    Flag::refused("distributiveIndependence", "only INT8 gives the same bits whatever the tactic; use --int8"),
    Flag::refused(
        "errorOnTimingCacheMiss",
        "limpid times what the cache does not know; give each GPU a --timingCacheFile of its own",
    ),
    Flag::refused(
        "noCompilationCache",
        "compiled kernels are kept by source, compiler and GPU; empty the cache folder instead",
    ),
    Flag::refused("monitorMemory", "`limpid inspect ENGINE` tells the memory an engine takes"),
    Flag::refused("nvtxMode", "it is called --profilingVerbosity"),
    Flag::refused("useManagedMemory", "limpid copies from pinned memory; --noDataTransfers leaves the copies out"),
    Flag::refused("persistentCacheRatio", "limpid sets no persisting share of L2; leave the flag out"),
    Flag::refused(
        "allocationStrategy",
        "memory is allocated for each set of shapes when it is first run; leave the flag out",
    ),
    Flag::refused("sleepTime", "the first query starts at once; --warmUp says from when on queries count"),
    Flag::refused("refPair", "run once for each pair of --loadInputs and --loadRefOutputs"),
    Flag::refused("setBuildRoute", TUNER),
    Flag::refused("helpBuildRoute", TUNER),
    Flag::refused("tuneBuildRoutes", TUNER),
    Flag::refused("tuneBuildRouteFile", TUNER),
    Flag::refused("tuningSearch", TUNER),
    Flag::refused("tuningTimeOut", TUNER),
    Flag::refused("tuningCacheFile", TUNER),
    Flag::refused("tuningResultFile", TUNER),
    Flag::refused("saveAllEngines", TUNER),
    Flag::refused("continue", TUNER),
    Flag::refused("dryRun", TUNER),
];
