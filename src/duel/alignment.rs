use super::{Group, Layer, Timing};
use serde::{Deserialize, Serialize};

/// What says that a layer belongs to a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Evidence {
    /// TensorRT names the ONNX nodes that are in it.
    Metadata,
    /// Its name is made of theirs.
    Name,
    /// Its name gives the first and the last of a stretch of nodes (`ForeignNode[a...b]`); those between them that no other
    /// layer names are taken to be in it.
    Range,
    /// It writes what a node writes that no layer names.
    Output,
    /// It computes no node: it copies or converts what a node reads or writes.
    Beside,
}

impl Evidence {
    /// In a word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Metadata => "metadata",
            Self::Name => "name",
            Self::Range => "range",
            Self::Output => "output",
            Self::Beside => "beside",
        }
    }
}

/// A layer of TensorRT's in its place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlacedLayer {
    /// The layer.
    #[serde(flatten)]
    pub layer: Layer,
    /// Why it is there.
    pub by: Evidence,
}

/// Work that both did: the fewest groups and layers that hold the same ONNX nodes.
///
/// Mostly that is one group and one layer. Where one of the two fused more than the other there are several on a side.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The ONNX nodes that both have here, in the model's order.
    pub nodes: Vec<String>,
    /// limpid's groups, in the order they run.
    pub groups: Vec<Group>,
    /// TensorRT's layers, in the order they run.
    pub layers: Vec<PlacedLayer>,
    /// What the groups take together; `None` where nobody measured.
    pub limpid: Option<Timing>,
    /// What the layers take together; `None` where nobody measured.
    pub tensorrt: Option<Timing>,
}

impl Row {
    /// TensorRT's time over limpid's: above 1 limpid is faster. `None` unless both were measured and limpid's takes any.
    pub fn ratio(&self) -> Option<f64> {
        let (limpid, tensorrt) = self.limpid.zip(self.tensorrt)?;
        (limpid.median_us > 0.0).then(|| tensorrt.median_us / limpid.median_us)
    }
}

/// An ONNX node that one side, or neither, has in anything that runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LooseNode {
    /// Its name.
    pub name: String,
    /// Its operator.
    pub op_type: String,
    /// Where limpid has it: the group it is in, or what became of it.
    pub limpid: String,
    /// The layer of TensorRT's it is in, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tensorrt: Option<String>,
}

/// A name in a layer's name or metadata that stands for nothing in the model: a node that TensorRT's side got and limpid's
/// did not, or a weight.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Stranger {
    /// The name.
    pub name: String,
    /// The layer that has it.
    pub layer: String,
}

/// limpid's groups and TensorRT's layers side by side.
///
/// Every ONNX node is told exactly once: among a row's nodes, in `limpid_only`, in `tensorrt_only` or in `neither`. Every
/// group and every layer is told exactly once: in a row, or alone.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Alignment {
    /// What both did, in the order in which limpid runs it.
    pub rows: Vec<Row>,
    /// Groups that share no node with any layer.
    pub groups_alone: Vec<Group>,
    /// Layers that share no node with any group.
    pub layers_alone: Vec<Layer>,
    /// ONNX nodes in a group that no layer names: TensorRT folded them, or does not say where they are.
    pub limpid_only: Vec<LooseNode>,
    /// ONNX nodes in a layer that limpid folded or removed.
    pub tensorrt_only: Vec<LooseNode>,
    /// ONNX nodes that run on neither side.
    pub neither: Vec<LooseNode>,
    /// Names of TensorRT's that stand for no node of the model.
    pub strangers: Vec<Stranger>,
}

impl Alignment {
    /// ONNX nodes that both sides have in the same row.
    pub fn aligned_nodes(&self) -> usize {
        self.rows.iter().map(|row| row.nodes.len()).sum()
    }

    /// All ONNX nodes.
    pub fn nodes(&self) -> usize {
        self.aligned_nodes() + self.limpid_only.len() + self.tensorrt_only.len() + self.neither.len()
    }

    /// All groups' medians together, those of `groups_alone` included.
    pub fn limpid(&self) -> Option<Timing> {
        let alone = self.groups_alone.iter().filter_map(|group| group.time);
        Timing::sum(self.rows.iter().filter_map(|row| row.limpid).chain(alone))
    }

    /// All layers' medians together, those of `layers_alone` included.
    pub fn tensorrt(&self) -> Option<Timing> {
        let alone = self.layers_alone.iter().filter_map(|layer| layer.time);
        Timing::sum(self.rows.iter().filter_map(|row| row.tensorrt).chain(alone))
    }
}
