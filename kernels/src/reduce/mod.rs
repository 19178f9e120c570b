//! One number a line: the mean, or where the largest lies.

mod columns;
mod rows;

pub use columns::Columns;
pub use rows::Rows;

use crate::launch::cuda_type;
use crate::site::{AxisOp, AxisSite, Site};
use limpid_graph::tensor::DType;

/// FOLD and the types it is compiled for.
const FOLDS: [(&str, DType, DType); 6] = [
    ("MeanFold", DType::F16, DType::F16),
    ("MeanFold", DType::F16, DType::F32),
    ("MeanFold", DType::F32, DType::F16),
    ("MeanFold", DType::F32, DType::F32),
    ("ArgMaxFold", DType::F16, DType::I64),
    ("ArgMaxFold", DType::F32, DType::I64),
];

/// Operations an element: a sum, or two comparisons.
const OPERATIONS: u64 = 2;

/// A reduction and its FOLD, or why it is none.
fn site_of(site: &Site) -> Result<(&AxisSite, &'static str), String> {
    let Site::Axis(site) = site else { return Err("is for work along an axis".to_owned()) };
    let fold = match site.op {
        AxisOp::Mean => "MeanFold",
        AxisOp::ArgMax | AxisOp::ArgMaxLast => "ArgMaxFold",
        other => return Err(format!("is for Mean and ArgMax, got {other:?}")),
    };
    if !FOLDS.contains(&(fold, site.x.dtype, site.y.dtype)) {
        return Err(format!("has no {:?} from {} to {}", site.op, site.x.dtype, site.y.dtype));
    }
    if site.y.dims.last() != Some(&1) {
        return Err(format!("needs y with one element along the axis, got {:?}", site.y.dims));
    }
    Ok((site, fold))
}

fn fold_defines(fold: &str, x: DType, y: DType) -> [(&'static str, String); 3] {
    [("FOLD", fold.to_owned()), ("X_TYPE", cuda_type(x).to_owned()), ("Y_TYPE", cuda_type(y).to_owned())]
}

/// Every operation and pair of types on views made for it; `views` gets the types of x and y.
fn edge_sites(views: &dyn Fn(DType, DType) -> Vec<(crate::site::View, crate::site::View)>) -> Vec<Site> {
    let mut sites = Vec::new();
    for (fold, x, y) in FOLDS {
        let ops: &[AxisOp] = if fold == "MeanFold" { &[AxisOp::Mean] } else { &[AxisOp::ArgMax, AxisOp::ArgMaxLast] };
        for &op in ops {
            sites.extend(views(x, y).into_iter().map(|(x, y)| Site::Axis(AxisSite { op, x, y })));
        }
    }
    sites
}
