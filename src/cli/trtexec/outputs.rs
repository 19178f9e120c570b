//! `--dumpOutput`, `--exportOutput` and `--dumpRawBindingsToFile`: what the last query gave.

use super::echo::extents;
use super::json;
use super::log::{Log, number};
use super::options::ReportingOptions;
use crate::cli::CommandError;
use crate::input::InputError;
use crate::output_file::write_whole;
use limpid_graph::tensor::{DType, Tensor};
use serde::Serialize;
use serde_json::Value;
use std::path::Path;

/// An input or output of a query.
pub(super) struct Port<'a> {
    pub name: &'a str,
    /// As it lies in memory.
    pub stored: &'a Tensor,
    /// In logical order.
    pub logical: Tensor,
}

/// An output in trtexec's schema (tests/schemas/trtexec/output.json).
#[derive(Serialize)]
struct Output {
    name: String,
    /// `1x1000`.
    dimensions: String,
    values: Vec<Value>,
}

/// Prints and writes all that was asked for.
pub(super) fn tell(
    inputs: &[Port<'_>],
    outputs: &[Port<'_>],
    reporting: &ReportingOptions,
    log: &Log,
) -> Result<(), CommandError> {
    if reporting.dump_output {
        log.info("Output Tensors:")?;
        for Port { name, logical, .. } in outputs {
            log.info(format_args!("{name}: ({})", extents(logical.shape())))?;
            log.info(values(logical).iter().map(text).collect::<Vec<_>>().join(" "))?;
        }
    }
    if reporting.dump_raw_bindings {
        log.info("Dumping I/O Bindings to RAW Files:")?;
        for (kind, ports) in [("input", inputs), ("output", outputs)] {
            ports.iter().try_for_each(|port| raw(port, kind, log))?;
        }
    }
    if let Some(path) = &reporting.export_output {
        let output = |port: &Port<'_>| Output {
            name: port.name.to_owned(),
            dimensions: extents(port.logical.shape()),
            values: values(&port.logical),
        };
        json::write(path, &outputs.iter().map(output).collect::<Vec<_>>())?;
    }
    Ok(())
}

/// The elements, row-major; what is no number is null, since JSON has no word for it.
fn values(tensor: &Tensor) -> Vec<Value> {
    match tensor.dtype() {
        DType::F32 | DType::F16 => tensor.to_f32().into_iter().map(Value::from).collect(),
        DType::Bool => tensor.to_i64().into_iter().map(|bit| Value::from(bit != 0)).collect(),
        _ => tensor.to_i64().into_iter().map(Value::from).collect(),
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::Number(n) if n.is_f64() => number(n.as_f64().unwrap_or(f64::NAN)),
        Value::Null => "nan".to_owned(),
        Value::Bool(bit) => u8::from(*bit).to_string(),
        other => other.to_string(),
    }
}

/// One tensor's bytes, in a file that is called as trtexec calls it.
fn raw(port: &Port<'_>, kind: &str, log: &Log) -> Result<(), CommandError> {
    let name = port.name;
    let dtype = match port.stored.dtype() {
        DType::F32 => "FP32",
        DType::F16 => "FP16",
        DType::I8 => "INT8",
        DType::U8 => "UINT8",
        DType::I32 => "INT32",
        DType::I64 => "INT64",
        DType::Bool => "BOOL",
    };
    let dims: Vec<String> = port.logical.shape().iter().map(ToString::to_string).collect();
    let dims = dims.join(".");
    let file = safe(&format!("{name}.{kind}.{dims}.{dtype}.raw"));
    log.info(format_args!(
        "Writing file for {kind} binding {name} (with datatype {dtype} and dimensions {dims}) to {file}"
    ))?;
    let written = write_whole(Path::new(&file), |out| out.write_all(port.stored.bytes()));
    Ok(written.map_err(|source| InputError::Write { path: file.into(), source })?)
}

/// Characters that a file's name cannot have become underlines.
fn safe(name: &str) -> String {
    let kept = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    name.chars().map(|c| if kept(c) { c } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_numbers_of_their_type() {
        let reals = Tensor::new(&[3], vec![0.5f32, f32::NAN, -2.0]).expect("a tensor");
        assert_eq!(values(&reals), [Value::from(0.5), Value::Null, Value::from(-2.0)]);
        assert_eq!(values(&reals).iter().map(text).collect::<Vec<_>>(), ["0.5", "nan", "-2"]);
        let large = Tensor::new(&[1], vec![i64::MAX]).expect("a tensor");
        assert_eq!(values(&large), [Value::from(i64::MAX)]);
        let bits = Tensor::from_bools(&[2], vec![true, false]).expect("a tensor");
        assert_eq!(values(&bits), [Value::from(true), Value::from(false)]);
    }

    #[test]
    fn file_names_hold_no_slashes() {
        assert_eq!(safe("/fc/out:0.output.1.10.FP32.raw"), "_fc_out_0.output.1.10.FP32.raw");
    }
}
