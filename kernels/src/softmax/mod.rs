//! Softmax and its logarithm along one axis.

mod block;
mod columns;
mod rows;

pub use block::Block;
pub use columns::Columns;
pub use rows::Rows;

use crate::launch::cuda_type;
use crate::site::{AxisOp, AxisSite, Scale, Site, View};
use limpid_graph::tensor::DType;

/// The pairs of types it is compiled for.
const TYPES: [(DType, DType); 4] =
    [(DType::F16, DType::F16), (DType::F16, DType::F32), (DType::F32, DType::F16), (DType::F32, DType::F32)];

/// Operations an element: a subtraction, an exponential counted as eight, a sum, a division.
const OPERATIONS: u64 = 11;

/// A softmax site, or why it is none.
fn site_of(site: &Site) -> Result<&AxisSite, String> {
    let Site::Axis(site) = site else { return Err("is for work along an axis".to_owned()) };
    if !matches!(site.op, AxisOp::Softmax | AxisOp::LogSoftmax) {
        return Err(format!("is for Softmax and LogSoftmax, got {:?}", site.op));
    }
    if !TYPES.contains(&(site.x.dtype, site.y.dtype)) {
        return Err(format!("needs f16 or f32, got {} and {}", site.x.dtype, site.y.dtype));
    }
    if site.x.dims != site.y.dims {
        return Err(format!("needs the same dims in x and y, got {:?} and {:?}", site.x.dims, site.y.dims));
    }
    Ok(site)
}

fn type_defines(x: DType, y: DType) -> [(&'static str, String); 2] {
    [("X_TYPE", cuda_type(x).to_owned()), ("Y_TYPE", cuda_type(y).to_owned())]
}

/// Both operations on these views.
fn edge_sites(views: impl IntoIterator<Item = (View, View)>) -> Vec<Site> {
    let both = |(x, y): (View, View)| {
        [AxisOp::Softmax, AxisOp::LogSoftmax].map(|op| Site::Axis(AxisSite { op, x: x.clone(), y: y.clone() }))
    };
    views.into_iter().flat_map(both).collect()
}

/// Pixels of `channels` channels, `pitch` apart.
fn pixels(count: u32, channels: u32, pitch: u32, dtype: DType) -> View {
    let width = crate::site::vector_width(dtype);
    let zero_lanes = (channels.next_multiple_of(width) - channels).min(pitch - channels);
    View { dims: vec![count, channels], strides: vec![i64::from(pitch), 1], dtype, zero_lanes, scale: Scale::ONE }
}
