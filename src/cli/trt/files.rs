//! What TensorRT gets, as files: for another machine, and for versions that this binary cannot load.

use super::network::{Network, NetworkArgs};
use crate::cli::CommandError;
use crate::cli::console::{Console, pairs};
use crate::engine::EngineError;
use crate::output_file::write_whole;
use crate::trt::{InputRange, Model};
use limpid_quant::{Cache, TensorRtVersion};
use serde_json::json;
use std::path::{Path, PathBuf};

/// Writes the stated network and the scales, and says how trtexec takes them.
pub(super) fn write(
    args: &NetworkArgs,
    network: &Network,
    folder: &Path,
    console: &mut Console,
) -> Result<(), CommandError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| CommandError::from(EngineError::Write { path, source })
    };
    std::fs::create_dir_all(folder).map_err(failed(folder))?;
    let stem = format!("{}.{}", args.stem(), args.precision);
    let model = match network.stated.model() {
        Model::File(path) => path.to_owned(),
        Model::Bytes(bytes) => {
            let path = folder.join(format!("{stem}.onnx"));
            write_whole(&path, |out| out.write_all(bytes)).map_err(failed(&path))?;
            path
        }
    };
    let cache = match network.scales() {
        Some(calibration) => {
            let path = folder.join(format!("{stem}.cache"));
            Cache::new(calibration, TensorRtVersion::default())
                .write(&path)
                .map_err(crate::builder::BuildError::from)?;
            Some(path)
        }
        None => None,
    };
    let shapes = shapes(network.stated.profiles());
    let command = |model: &Path, rest: &str| format!("trtexec --onnx={}{shapes}{rest}", model.display());
    let now = command(&model, "");
    let before = older(args, cache.as_deref()).map(|flags| command(&args.model, &flags));
    console.json(|| json!({ "model": model, "cache": cache, "trtexec": now, "trtexec_to_10": before }))?;
    let mut rows = vec![("model", model.display().to_string())];
    rows.extend(cache.map(|path| ("scales", path.display().to_string())));
    rows.push(("RTX, 11 on", now));
    rows.extend(before.map(|command| ("up to 10", command)));
    Ok(console.print(pairs(rows))?)
}

/// The flags by which versions up to 10 choose types themselves.
fn older(args: &NetworkArgs, cache: Option<&Path>) -> Option<String> {
    use limpid_graph::ir::Precision;
    match (args.precision, cache) {
        (Precision::Fp32, _) => Some(" --noTF32".to_owned()),
        (Precision::Tf32, _) => Some(String::new()),
        (Precision::Fp16, _) => Some(" --fp16 --noTF32".to_owned()),
        (Precision::Int8, Some(cache)) => Some(format!(" --int8 --fp16 --noTF32 --calib={}", cache.display())),
        // A model with Q/DQ pairs of its own, or scales from a cache that its owner has.
        (Precision::Int8, None) => None,
    }
}

/// trtexec takes one profile on its command line; further ones follow `--profile=N`.
fn shapes(profiles: &[Vec<InputRange>]) -> String {
    let mut flags = String::new();
    for (number, inputs) in profiles.iter().enumerate().filter(|(_, inputs)| !inputs.is_empty()) {
        if number > 0 {
            flags.push_str(&format!(" --profile={number}"));
        }
        let all = |shape: fn(&InputRange) -> &Vec<usize>| {
            let one = |input: &InputRange| {
                let extents: Vec<String> = shape(input).iter().map(usize::to_string).collect();
                format!("{}:{}", input.name, extents.join("x"))
            };
            inputs.iter().map(one).collect::<Vec<_>>().join(",")
        };
        let (min, opt, max) = (all(|i| &i.min), all(|i| &i.opt), all(|i| &i.max));
        flags.push_str(&format!(" --minShapes={min} --optShapes={opt} --maxShapes={max}"));
    }
    flags
}

/// A file in the current directory, named after the network and its precision.
pub(super) fn plan_name(args: &NetworkArgs) -> PathBuf {
    format!("{}.{}.plan", args.stem(), args.precision).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_trtexecs() {
        let input = |name: &str, batches: [usize; 3]| {
            let [min, opt, max] = batches.map(|batch| vec![batch, 3]);
            InputRange { name: name.to_owned(), min, opt, max }
        };
        let profiles = [vec![input("a", [1, 2, 4]), input("b", [1, 1, 1])], vec![], vec![input("a", [8, 8, 8])]];
        let first = " --minShapes=a:1x3,b:1x3 --optShapes=a:2x3,b:1x3 --maxShapes=a:4x3,b:1x3";
        let third = " --profile=2 --minShapes=a:8x3 --optShapes=a:8x3 --maxShapes=a:8x3";
        assert_eq!(shapes(&profiles), format!("{first}{third}"));
        assert_eq!(shapes(&[vec![]]), "");
    }
}
