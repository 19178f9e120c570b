//! A network that takes pictures as bytes: resizing, cropping and normalisation as its first node.
//!
//! ```text
//! x f32(N,3,224,224) -> Cast f16 -> Conv   =>   x u8(N,H,W,3) -> Picture -> Conv        Picture stores f16
//! ```

use crate::input::{Preprocessing, PreprocessingError};
use limpid_graph::ir::{Fact, Graph, GraphError, NodeId, ValueId};
use limpid_graph::ops::{self, Op};
use limpid_graph::tensor::{DType, Dim, Shape, Symbol};
use std::fmt;
use std::str::FromStr;

/// Extents of the pictures that an engine takes as bytes, red, green, blue: (N,H,W,3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PictureInput {
    /// Any, the same for all of a batch: the extents `picture_height` and `picture_width` stay open.
    Any,
    /// These.
    Fixed {
        /// Rows.
        height: usize,
        /// Columns.
        width: usize,
    },
}

impl PictureInput {
    /// The open extents of pictures of any size, by the names a caller gives them values by.
    pub const SYMBOLS: [&'static str; 2] = ["picture_height", "picture_width"];
}

/// The text is no size of pictures.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no size of pictures; use any, or HEIGHTxWIDTH such as 480x640")]
pub struct UnknownSize(String);

impl FromStr for PictureInput {
    type Err = UnknownSize;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let extent = |text: &str| text.parse().ok().filter(|extent| *extent > 0);
        let size = text.split_once('x').and_then(|(height, width)| Some((extent(height)?, extent(width)?)));
        match size {
            Some((height, width)) => Ok(Self::Fixed { height, width }),
            None if text == "any" => Ok(Self::Any),
            None => Err(UnknownSize(text.to_owned())),
        }
    }
}

impl fmt::Display for PictureInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.pad("any"),
            Self::Fixed { height, width } => f.pad(&format!("{height}x{width}")),
        }
    }
}

/// Why a network cannot take pictures as bytes.
#[derive(Debug, thiserror::Error)]
pub enum PictureError {
    /// Which of its inputs would be the picture?
    #[error("the network has {0} inputs; only one with a single input can take pictures as bytes")]
    Inputs(usize),
    /// Its input is none for pictures, or of integers.
    #[error("`{input}` cannot be made of pictures: {source}")]
    Input {
        /// The input.
        input: String,
        /// Why.
        source: PreprocessingError,
    },
    /// The rewrite left a graph that does not hold together.
    #[error(transparent)]
    Graph(#[from] GraphError),
}

/// Puts the steps of `preprocessing` in front of a network's only input.
pub(super) fn apply(graph: &mut Graph, size: PictureInput, preprocessing: &Preprocessing) -> Result<(), PictureError> {
    let [inner] = *graph.inputs.as_slice() else { return Err(PictureError::Inputs(graph.inputs.len())) };
    let (name, fact) = (graph.value(inner).name.clone(), graph.fact(inner).clone());
    let refused = |source| PictureError::Input { input: name.clone(), source };
    if !fact.dtype.is_float() {
        return Err(refused(PreprocessingError::NotAPicture(fact.to_string())));
    }
    let op = preprocessing.stage(&fact).map_err(refused)?;
    let [height, width] = match size {
        PictureInput::Any => PictureInput::SYMBOLS.map(|name| Dim::symbol(Symbol::new(name))),
        PictureInput::Fixed { height, width } => [height.into(), width.into()],
    };
    let batch = fact.shape.first().cloned().unwrap_or(Dim::from(1));
    let shape = Shape::new([batch, height, width, ops::Picture::BYTES.into()]);
    let made = converted(graph, inner);
    let stored = graph.fact(made).clone();
    graph.value_mut(inner).name = format!("{name}/{}", fact.dtype);
    let port = graph.add_value(&name, Fact::new(DType::U8, shape));
    graph.inputs[0] = port;
    graph.add_node_making(&format!("{name}/picture"), op.into(), &[port], &[made])?;
    graph.value_mut(made).fact = stored;
    graph.drop_unused_values();
    Ok(graph.verify()?)
}

/// What the network makes of its input at once, in halves or integers, if that is all it does with it: the stage stores
/// that itself. The conversion is taken out.
fn converted(graph: &mut Graph, input: ValueId) -> ValueId {
    let only: Option<NodeId> = graph.only_reader(input);
    let converts = |id: &NodeId| match &graph.node(*id).op {
        Op::Cast(cast) => cast.to == DType::F16,
        Op::Quantize(op) => op.params.exact_scale().is_some(),
        _ => false,
    };
    match only.filter(converts).and_then(|id| graph.remove_node(id)) {
        Some(node) => node.outputs[0],
        None => input,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_they_are_written() {
        for size in [PictureInput::Any, PictureInput::Fixed { height: 480, width: 640 }] {
            assert_eq!(size.to_string().parse(), Ok(size));
        }
        for text in ["", "480", "480x", "0x4", "x", "480x640x3"] {
            assert!(text.parse::<PictureInput>().is_err(), "{text}");
        }
    }
}
