use super::{ExportError, json, oneline};
use crate::duel::Layer;
use serde_json::Value;

/// An engine's layers, as the inspector tells them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LayerInfo {
    /// In the order they run.
    pub layers: Vec<Layer>,
    /// The names of inputs and outputs.
    pub bindings: Vec<String>,
}

impl LayerInfo {
    /// Of what the engine inspector returns, in its format ONELINE or JSON, names alone or in detail.
    ///
    /// # Errors
    /// It is neither.
    pub fn parse(text: &str) -> Result<Self, ExportError> {
        match oneline::is(text) {
            true => Ok(oneline::parse(text)),
            false => Self::of(&json::parse(text)?),
        }
    }

    pub(super) fn of(value: &Value) -> Result<Self, ExportError> {
        let list = |key: &str| value.get(key).and_then(Value::as_array);
        let layers = list("Layers").ok_or(ExportError::Kind { what: "a JSON object without a list `Layers`" })?;
        let layers =
            layers.iter().enumerate().map(|(entry, layer)| layer_of(entry, layer)).collect::<Result<_, _>>()?;
        Ok(Self { layers, bindings: list("Bindings").map(|list| texts(list)).unwrap_or_default() })
    }
}

/// A layer is its name, or an object.
fn layer_of(entry: usize, value: &Value) -> Result<Layer, ExportError> {
    if let Some(name) = value.as_str() {
        return Ok(Layer::named(name));
    }
    let text = |key: &str| value.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    let name = value.get("Name").and_then(Value::as_str);
    let name = name.ok_or(ExportError::Field { entry, expected: "text", key: "Name" })?;
    let ports = value.get("Outputs").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    Ok(Layer {
        name: name.to_owned(),
        onnx: text("Metadata").map(nodes).unwrap_or_default(),
        kind: text("LayerType").map(str::to_owned),
        tactic: text("TacticName").map(str::to_owned),
        outputs: ports.iter().filter_map(|port| port.get("Name")?.as_str()).map(str::to_owned).collect(),
        time: None,
    })
}

fn texts(list: &[Value]) -> Vec<String> {
    list.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// The ONNX nodes of a layer's metadata: `[ONNX Layer: a]` and so on, with a control character between them, or nothing.
pub(super) fn nodes(metadata: &str) -> Vec<String> {
    let entries = metadata.split("[ONNX Layer: ").skip(1);
    // Behind an entry's bracket there is at most a separator; a name may hold brackets itself.
    entries.map(|entry| entry.rsplit_once(']').map_or(entry, |(name, _)| name).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_lists_nodes_whatever_is_between_them() {
        for between in ["", "\u{1e}", "\u{1f}", "+", ", "] {
            let metadata = format!("[ONNX Layer: /conv1/Conv]{between}[ONNX Layer: a[0] + b]{between}[ONNX Layer: c]");
            assert_eq!(nodes(&metadata), ["/conv1/Conv", "a[0] + b", "c"], "{between:?}");
        }
        assert_eq!((nodes(""), nodes("[TRT: x]"), nodes("[ONNX Layer: cut")), (vec![], vec![], vec!["cut".to_owned()]));
    }

    #[test]
    fn layers_are_names_or_objects() {
        let text = r#"{"Layers": ["a + b", {"Name": "c", "LayerType": "kgen", "Outputs": [{"Name": "t"}], "TacticName": "k",
            "Metadata": "[ONNX Layer: /c]"}], "Bindings": ["x", "y"]}"#;
        let info = LayerInfo::parse(text).expect("layers");
        assert_eq!(info.layers[0], Layer::named("a + b"));
        let detailed = Layer {
            name: "c".to_owned(),
            onnx: vec!["/c".to_owned()],
            kind: Some("kgen".to_owned()),
            tactic: Some("k".to_owned()),
            outputs: vec!["t".to_owned()],
            time: None,
        };
        assert_eq!((&info.layers[1], info.bindings.len()), (&detailed, 2));
        let nameless = LayerInfo::parse(r#"{"Layers": ["a", {"LayerType": "kgen"}]}"#);
        assert!(matches!(nameless, Err(ExportError::Field { entry: 1, key: "Name", .. })), "{nameless:?}");
        assert!(matches!(LayerInfo::parse("{}"), Err(ExportError::Kind { .. })));
    }
}
