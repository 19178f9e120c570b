use super::Timing;
use serde::{Deserialize, Serialize};

/// A layer of TensorRT's engine, as its inspector or its profiler tells.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Layer {
    /// Its name: often the names of the ONNX nodes in it, joined.
    pub name: String,
    /// The ONNX nodes that TensorRT itself says it is made of (`Metadata`); empty where it does not say.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub onnx: Vec<String>,
    /// What it is (`LayerType`): `CaskConvolution`, `Reformat`, `kgen`, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The kernel (`TacticName`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tactic: Option<String>,
    /// Tensors it writes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outputs: Vec<String>,
    /// How long it takes; `None` where nobody measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<Timing>,
}

impl Layer {
    /// A layer of which only the name is known.
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// Whether it only moves or converts what others compute: a copy between layouts, types or streams.
    pub fn moves(&self) -> bool {
        let kinds = ["Reformat", "NoOp", "signal", "wait", "Copy"];
        self.kind.as_deref().is_some_and(|kind| kinds.contains(&kind))
            || self.name.starts_with("Reformatting CopyNode ")
            || self.name.ends_with(" copy")
            || [" input reformatter ", " output reformatter "].iter().any(|word| self.name.contains(word))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_are_told_by_kind_or_by_name() {
        let of = |name: &str, kind: Option<&str>| Layer { kind: kind.map(str::to_owned), ..Layer::named(name) }.moves();
        assert!(
            of("/Transpose", Some("Reformat")) && of("x", Some("signal")) && of("Conv_0 input reformatter 0", None)
        );
        assert!(
            of("Reformatting CopyNode for Input Tensor 0 to /conv1/Conv", None) && of("/Concat_output_0 copy", None)
        );
        assert!(
            !of("/conv1/Conv", None)
                && !of("/conv1/Conv", Some("CaskConvolution"))
                && !of("__myl_Move_myl1_0", Some("kgen"))
        );
    }
}
