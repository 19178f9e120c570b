//! Models handed to ONNX Runtime, and what it makes of them.

use limpid::input::npy;
use limpid_graph::ir::Graph;
use limpid_graph::onnx::{ExportError, ModelWriter, export, export_typed};
use limpid_graph::tensor::Tensor;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A Python that has ONNX Runtime.
pub struct Python(PathBuf);

/// Exported graphs in a folder of their own.
pub struct Models {
    folder: tempfile::TempDir,
    names: Vec<String>,
}

/// What ONNX Runtime made of one model.
#[derive(Debug)]
pub struct Answer {
    /// Outputs with each operator as it stands in the file.
    pub plain: Vec<Tensor>,
    /// Outputs with all graph optimizations.
    pub fused: Vec<Tensor>,
    operators: Value,
}

impl Python {
    /// The interpreter `LIMPID_PYTHON` names, else `python3`; `None` with a visible word where it has no ONNX
    /// Runtime. With `LIMPID_REQUIRE_ONNXRUNTIME` set, as continuous integration sets it, it must have.
    pub fn find() -> Option<Self> {
        let python = std::env::var_os("LIMPID_PYTHON").map_or_else(|| PathBuf::from("python3"), PathBuf::from);
        let imported = Command::new(&python)
            .args(["-c", "import numpy, onnx, onnxruntime"])
            .stdin(Stdio::null())
            .output()
            .map_err(|e| e.to_string())
            .and_then(
                |o| if o.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&o.stderr).into_owned()) },
            );
        let Err(reason) = imported else { return Some(Self(python)) };
        let reason = format!("`{}` cannot import numpy, onnx and onnxruntime: {reason}", python.display());
        assert!(std::env::var_os("LIMPID_REQUIRE_ONNXRUNTIME").is_none(), "{reason}");
        eprintln!("SKIPPED: {reason}");
        None
    }
}

impl Models {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder"), names: Vec::new() }
    }

    /// Exports a graph, to be run on these inputs.
    pub fn add(&mut self, name: &str, graph: &Graph, inputs: &[Tensor]) {
        self.write(name, export(graph), graph, inputs);
    }

    /// As [`Models::add`], with FP16 where the graph has it.
    pub fn add_typed(&mut self, name: &str, graph: &Graph, inputs: &[Tensor]) {
        self.write(name, export_typed(graph), graph, inputs);
    }

    fn write(&mut self, name: &str, model: Result<ModelWriter, ExportError>, graph: &Graph, inputs: &[Tensor]) {
        let model = model.unwrap_or_else(|e| panic!("{name}: {e}"));
        let bytes = model.to_bytes().unwrap_or_else(|e| panic!("{name}: {e}"));
        std::fs::write(self.path(name, "onnx"), bytes).expect("it can be written");
        let named = graph.inputs.iter().zip(inputs).map(|(&v, tensor)| (graph.value(v).name.as_str(), tensor));
        npy::write(&self.path(name, "npz"), &named.collect::<Vec<_>>()).expect("it can be written");
        self.names.push(name.to_owned());
    }

    /// Checks and runs all of them, in the order they were added; every refusal is named.
    pub fn run(&self, python: &Python) -> Vec<Answer> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/onnxruntime/check.py");
        let output = Command::new(&python.0).arg(script).arg(self.folder.path()).output().expect("Python was there");
        let report: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&output.stderr)));
        let error = |name: &String| report[name]["error"].as_str().map(|error| format!("{name}: {error}"));
        let errors: Vec<String> = self.names.iter().filter_map(error).collect();
        assert!(errors.is_empty(), "{} of {}:\n{}", errors.len(), self.names.len(), errors.join("\n"));
        let answer = |name: &String| Answer {
            plain: self.outputs(name, "plain"),
            fused: self.outputs(name, "fused"),
            operators: report[name]["operators"].clone(),
        };
        self.names.iter().map(answer).collect()
    }

    fn outputs(&self, name: &str, level: &str) -> Vec<Tensor> {
        let mut arrays = npy::read(&self.path(name, &format!("{level}.npz"))).expect("the script wrote it");
        arrays.sort_by_key(|array| array.name.as_deref().and_then(|name| name.parse::<usize>().ok()));
        arrays.into_iter().map(|array| array.tensor).collect()
    }

    fn path(&self, name: &str, extension: &str) -> PathBuf {
        self.folder.path().join(format!("{name}.{extension}"))
    }
}

impl Answer {
    /// How often an operator is left once ONNX Runtime has fused what it can.
    pub fn count(&self, operator: &str) -> u64 {
        self.operators[operator].as_u64().unwrap_or(0)
    }
}
