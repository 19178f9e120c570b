use super::log::{Speaker, logger};
use super::{Built, InputRange, Library, Marks, Message, Model, Port, Request, TrtError};
use crate::severity::Severity;
use limpid_graph::tensor::DType;
use limpid_kernels::target::Arch;
use std::path::Path;
use std::time::Instant;
use trtx::builder_config::BuilderConfig;
use trtx::{Builder, BuilderFlag, DataType, MemoryPoolType, NetworkDefinition, OnnxParser, OptProfileSelector};
use trtx::{ProfilingVerbosity, trtx_sys};

impl Library {
    /// Parses the model and builds a plan for it.
    ///
    /// # Errors
    /// [`TrtError::Refused`] with the library's own words; [`TrtError::Target`]; without a target, those of a machine
    /// without a GPU.
    pub fn build(&self, request: &Request) -> Result<Built, TrtError> {
        let speaker = self.speaker();
        if let Some(arch) = request.target.filter(|arch| !self.targets().contains(arch)) {
            let (flavour, supported) = (self.flavour(), self.targets().to_vec());
            return Err(TrtError::Target { flavour, arch, supported });
        }
        names_for_c(request)?;
        let mut warnings = Vec::new();
        let mut keep = |said: Vec<Message>| {
            warnings.extend(said.into_iter().filter(|m| m.severity == Severity::Warning).map(|m| m.text));
        };

        let start = Instant::now();
        let (mut builder, said) = speaker.hear("makes no builder", || Builder::new(logger()?))?;
        keep(said);
        let network = speaker.ask("makes no network", || builder.create_network(0))?;
        let mut parser = speaker.ask("makes no ONNX parser", || OnnxParser::new(network, logger()?))?;
        let ((), said) = speaker.hear("does not take the model", || match request.model {
            Model::Bytes(bytes) => parser.parse(bytes),
            // What it says it says to the logger.
            Model::File(path) => parser.parse_from_file(text(path)?, WARNINGS),
        })?;
        keep(said);
        let parse_seconds = start.elapsed().as_secs_f64();

        let start = Instant::now();
        let network = parser.network_mut();
        if let Marks::Outputs(names) = request.marks {
            speaker.ask("does not mark outputs", || mark(network, names))?;
        }
        let ports = speaker.ask("does not tell its ports", || ports(network))?;
        let mut config = speaker.ask("makes no configuration", || builder.create_config())?;
        configure(speaker, &mut config, request)?;
        for profile in request.profiles {
            add_profile(speaker, &mut builder, &mut config, profile)?;
        }
        let settings = settings(&mut config, request);
        let layers = network.nb_layers().max(0).unsigned_abs() as usize;
        let (plan, said) = speaker
            .hear("builds no engine", || Ok(builder.build_serialized_network(network, &mut config)?.to_vec()))?;
        keep(said);
        let build_seconds = start.elapsed().as_secs_f64();
        Ok(Built { plan, ports, layers, settings, parse_seconds, build_seconds, warnings })
    }
}

/// `ILogger::Severity::kWARNING`, for the parser.
const WARNINGS: i32 = 2;

fn text(path: &Path) -> Result<&str, trtx::Error> {
    path.to_str().ok_or_else(|| trtx::Error::InvalidArgument(format!("`{}` is not UTF-8", path.display())))
}

/// The bindings take it for granted that names are names in C.
fn names_for_c(request: &Request) -> Result<(), TrtError> {
    let inputs = request.profiles.iter().flatten().map(|input| &input.name);
    match inputs.into_iter().find(|name| name.contains('\0')) {
        Some(name) => Err(TrtError::ZeroByte(name.clone())),
        None => Ok(()),
    }
}

/// Makes tensors of these names outputs: those of layers that are none yet.
fn mark(network: &mut NetworkDefinition, names: &[String]) -> Result<(), trtx::Error> {
    for index in 0..network.nb_layers() {
        let layer = network.layer(index)?;
        for output in 0..layer.num_outputs(network) {
            let tensor = layer.output(network, output)?;
            let known = tensor_type(tensor.data_type(network)).is_some();
            if known && !tensor.is_network_output(network) && names.contains(&tensor.name(network)?) {
                network.mark_output(&tensor);
            }
        }
    }
    Ok(())
}

fn ports(network: &NetworkDefinition) -> Result<Vec<Port>, trtx::Error> {
    let port = |tensor: trtx::Tensor, input| {
        let data_type = tensor.data_type(network);
        let (dtype, type_name) = (tensor_type(data_type), type_name(data_type));
        Ok(Port { name: tensor.name(network)?, dtype, type_name, shape: tensor.dimensions(network)?, input })
    };
    let inputs = network.inputs().map(|tensor| port(tensor, true));
    inputs.chain(network.outputs().map(|tensor| port(tensor, false))).collect()
}

/// limpid's type for one of TensorRT's, if it has tensors of it.
pub(super) fn tensor_type(data_type: DataType) -> Option<DType> {
    Some(match data_type {
        DataType::kFLOAT => DType::F32,
        DataType::kHALF => DType::F16,
        DataType::kINT8 => DType::I8,
        DataType::kUINT8 => DType::U8,
        DataType::kINT32 => DType::I32,
        DataType::kINT64 => DType::I64,
        DataType::kBOOL => DType::Bool,
        _ => return None,
    })
}

/// TensorRT's own name: `kFLOAT` as `FLOAT`.
pub(super) fn type_name(data_type: DataType) -> String {
    format!("{data_type:?}").trim_start_matches('k').to_owned()
}

/// What is not left to the library: what it tells of its layers, FP32's mantissa, and which GPU it is for.
fn configure(speaker: Speaker, config: &mut BuilderConfig, request: &Request) -> Result<(), TrtError> {
    config.set_profiling_verbosity(ProfilingVerbosity::kDETAILED);
    match request.tf32 {
        true => config.set_flag(BuilderFlag::kTF32),
        false => config.clear_flag(BuilderFlag::kTF32),
    }
    speaker.ask("does not take the target", || aim(config, request.target))
}

#[cfg(not(feature = "tensorrt-enterprise"))]
fn aim(config: &mut BuilderConfig, target: Option<Arch>) -> Result<(), trtx::Error> {
    use trtx::ComputeCapability;
    let capability = match target.map(|arch| arch.0) {
        None => ComputeCapability::kCURRENT,
        Some(75) => ComputeCapability::kSM75,
        Some(80) => ComputeCapability::kSM80,
        Some(86) => ComputeCapability::kSM86,
        Some(89) => ComputeCapability::kSM89,
        Some(120) => ComputeCapability::kSM120,
        Some(121) => ComputeCapability::kSM121,
        Some(other) => return Err(trtx::Error::InvalidArgument(format!("sm_{other} has no name in TensorRT-RTX"))),
    };
    config.set_nb_compute_capabilities(1)?;
    config.set_compute_capability(capability, 0)
}

#[cfg(feature = "tensorrt-enterprise")]
fn aim(_: &mut BuilderConfig, _: Option<Arch>) -> Result<(), trtx::Error> {
    Ok(())
}

fn add_profile(
    speaker: Speaker,
    builder: &mut Builder,
    config: &mut BuilderConfig,
    inputs: &[InputRange],
) -> Result<(), TrtError> {
    if inputs.is_empty() {
        return Ok(());
    }
    speaker.ask("does not take the optimization profile", || {
        let mut profile = builder.creata_optimization_profile()?;
        let set = inputs.iter().try_for_each(|input| {
            let extents = [
                (OptProfileSelector::kMIN, &input.min),
                (OptProfileSelector::kOPT, &input.opt),
                (OptProfileSelector::kMAX, &input.max),
            ];
            extents.into_iter().try_for_each(|(which, shape)| profile.set_dimensions(&input.name, which, &dims(shape)))
        });
        let added = set.and_then(|()| config.add_optimization_profile(&mut profile).map(drop));
        // The builder owns the object; the bindings' wrapper would destroy it a second time.
        std::mem::forget(profile);
        added
    })
}

/// Extents as TensorRT has them; more than eight it refuses anyway, having parsed the model.
pub(super) fn dims(shape: &[usize]) -> trtx_sys::Dims64 {
    let extents: Vec<i64> = shape.iter().map(|&extent| i64::try_from(extent).unwrap_or(i64::MAX)).collect();
    trtx_sys::Dims64::from_slice(&extents)
}

/// Read back from the library, so that what is printed is what holds.
fn settings(config: &mut BuilderConfig, request: &Request) -> Vec<(&'static str, String)> {
    let workspace = config.memory_pool_limit(MemoryPoolType::kWORKSPACE);
    // Bytes, or a number beyond any GPU's for all there are.
    let workspace = match workspace as u64 {
        bytes if bytes < 1 << 50 => format!("{:.1} GB at most", bytes as f64 / 1e9),
        _ => "all of the GPU's memory".to_owned(),
    };
    let target = request.target.map_or_else(|| "the GPU in this machine".to_owned(), |arch| arch.to_string());
    vec![
        ("built for", target),
        ("types", "as the model has them (strongly typed)".to_owned()),
        ("TF32", if config.flag(BuilderFlag::kTF32) { "on" } else { "off" }.to_owned()),
        ("optimization level", config.builder_optimization_level().to_string()),
        ("workspace", workspace),
        ("profiles", config.nb_optimization_profiles().to_string()),
        ("layer information", word(config.profiling_verbosity())),
    ]
}

fn word(verbosity: ProfilingVerbosity) -> String {
    format!("{verbosity:?}").trim_start_matches('k').to_lowercase()
}
