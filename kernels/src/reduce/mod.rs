//! One number a line: a sum, a product, the largest, or where that lies.

mod columns;
mod rows;

pub use columns::Columns;
pub use rows::Rows;

use crate::launch::cuda_type;
use crate::site::{AxisOp, AxisSite, Site};
use limpid_graph::tensor::DType;

/// FOLD of each operation.
const fn fold_of(op: AxisOp) -> Option<&'static str> {
    Some(match op {
        AxisOp::Mean => "MeanFold",
        AxisOp::Sum => "SumFold",
        AxisOp::L1 => "L1Fold",
        AxisOp::L2 => "L2Fold",
        AxisOp::SumSquare => "SumSquareFold",
        AxisOp::Prod => "ProdFold",
        AxisOp::Max => "MaxFold",
        AxisOp::Min => "MinFold",
        AxisOp::LogSumExp => "LogSumExpFold",
        AxisOp::ArgMax | AxisOp::ArgMaxLast => "ArgMaxFold",
        AxisOp::Softmax | AxisOp::LogSoftmax => return None,
    })
}

/// The operations, one for each FOLD.
const OPS: [AxisOp; 10] = [
    AxisOp::Mean,
    AxisOp::Sum,
    AxisOp::L1,
    AxisOp::L2,
    AxisOp::SumSquare,
    AxisOp::Prod,
    AxisOp::Max,
    AxisOp::Min,
    AxisOp::LogSumExp,
    AxisOp::ArgMax,
];

/// The types of x and y that an operation is compiled for: places are i64, means may be stored in another type.
const fn types_of(op: AxisOp) -> &'static [(DType, DType)] {
    const F16: DType = DType::F16;
    const F32: DType = DType::F32;
    match op {
        AxisOp::Mean => &[(F16, F16), (F16, F32), (F32, F16), (F32, F32)],
        AxisOp::ArgMax | AxisOp::ArgMaxLast => &[(F16, DType::I64), (F32, DType::I64)],
        _ => &[(F16, F16), (F32, F32)],
    }
}

/// FOLD and the types it is compiled for.
fn folds() -> Vec<(&'static str, DType, DType)> {
    let of = |op: AxisOp| types_of(op).iter().filter_map(move |&(x, y)| Some((fold_of(op)?, x, y)));
    OPS.into_iter().flat_map(of).collect()
}

/// Operations an element: a term and its sum, or two comparisons.
const OPERATIONS: u64 = 2;

/// A reduction and its FOLD, or why it is none.
fn site_of(site: &Site) -> Result<(&AxisSite, &'static str), String> {
    let Site::Axis(site) = site else { return Err("is for work along an axis".to_owned()) };
    let Some(fold) = fold_of(site.op) else { return Err(format!("is for reductions, got {:?}", site.op)) };
    if !types_of(site.op).contains(&(site.x.dtype, site.y.dtype)) {
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
    for op in OPS.into_iter().chain([AxisOp::ArgMaxLast]) {
        for &(x, y) in types_of(op) {
            sites.extend(views(x, y).into_iter().map(|(x, y)| Site::Axis(AxisSite { op, x, y })));
        }
    }
    sites
}
