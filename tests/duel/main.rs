//! limpid beside TensorRT: layers as TensorRT 8.6, 10 and 11 name them, aligned to limpid's groups.
//!
//! The oracle is the test's own: it makes up which ONNX nodes are in which layer, names the layers by each version's rules,
//! and works out by plain search what belongs together.

mod fixtures;
mod imitation;
mod oracle;
mod properties;
mod report;
mod zoo;

#[path = "../workplace/mod.rs"]
mod workplace;

use jsonschema::Validator;
use serde_json::Value;
use std::path::{Path, PathBuf};

fn tests(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(name)
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn schema(name: &str) -> Validator {
    let schema: Value = serde_json::from_str(&read(&tests(&format!("schemas/{name}.json")))).expect("JSON");
    jsonschema::validator_for(&schema).expect("a schema")
}

/// Fails with everything that a document has against its schema.
fn holds(schema: &Validator, document: &Value) {
    let errors: Vec<String> = schema.iter_errors(document).map(|e| format!("{}: {e}", e.instance_path())).collect();
    assert!(errors.is_empty(), "{}\n{document:#}", errors.join("\n"));
}
