//! When and how `columns.cu` runs: along a strided axis.

use super::{OPERATIONS, edge_sites, fold_defines, folds, site_of};
use crate::axis::{Lines, Padding, cost};
use crate::catalog::Kernel;
use crate::launch::{Arg, Candidate, CandidateCost, CompileUnit, Launch, Role, Tactic};
use crate::site::{AxisOp, Scale, Site, View, vector_width};
use crate::target::{Arch, Target};
use limpid_graph::tensor::DType;

/// A slab of columns a block, the axis in slices.
pub struct Columns;

/// COLUMNS and SLICES of a block: vectors of 16 bytes, eight of them a line of 128 bytes, or single elements.
const WHOLE: [(u32, u32); 2] = [(8, 32), (2, 64)];
const SINGLE: [(u32, u32); 1] = [(32, 8)];
/// Blocks the second dim of a grid may have.
const MAX_GRID_Y: u32 = 65_535;

fn unit(fold: &str, x: DType, y: DType, vector: u32, (columns, slices): (u32, u32)) -> CompileUnit {
    let [fold, x, y] = fold_defines(fold, x, y);
    let defines =
        [fold, x, y, ("VECTOR", vector.to_string()), ("COLUMNS", columns.to_string()), ("SLICES", slices.to_string())];
    CompileUnit::new("reduce/columns.cu", "reduce_columns", defines)
}

impl Kernel for Columns {
    fn name(&self) -> &'static str {
        "reduce/columns"
    }

    fn candidates(&self, site: &Site, _target: &Target) -> Result<Vec<Candidate>, String> {
        let (site, fold) = site_of(site)?;
        let lines = Lines::new(site)?;
        if lines.padding == Padding::Axis || (lines.padding == Padding::None && lines.x_axis == 1) {
            return Err("is for a strided axis, this one is contiguous".to_owned());
        }
        if lines.count() >= 1 << 31 {
            return Err(format!("takes fewer than 2^31 lines, got {}", lines.count()));
        }
        let whole = lines.columns_are_whole(&site.x);
        let (vector, shapes): (u32, &[(u32, u32)]) =
            if whole { (vector_width(site.x.dtype), &WHOLE) } else { (1, &SINGLE) };
        let params = lines.column_params(site, site.op == AxisOp::ArgMaxLast);
        let candidate = |&shape: &(u32, u32)| {
            let launch = Launch {
                unit: unit(fold, site.x.dtype, site.y.dtype, vector, shape),
                grid: [lines.padded_columns().div_ceil(shape.0 * vector), lines.groups().min(MAX_GRID_Y), 1],
                block: [shape.0 * shape.1, 1, 1],
                cluster: Launch::ALONE,
                shared_bytes: 0,
                args: vec![Arg::Pointer(Role::Input(0)), Arg::Pointer(Role::Output(0)), Arg::params(&params)],
                dependent: false,
            };
            let efficiency = match (whole, lines.outer.inner_stride(0)) {
                (true, _) => {
                    if shape.0 >= 8 {
                        0.85
                    } else {
                        0.6
                    }
                }
                (false, 1) => 0.4,
                (false, _) => 0.08,
            };
            let cost =
                CandidateCost { blocks_per_multiprocessor: 4, ..cost(site, OPERATIONS, launch.blocks(), efficiency) };
            let tactic =
                Tactic::new("reduce/columns", &[("columns", shape.0), ("slices", shape.1), ("vector", vector)]);
            Candidate::plain(tactic, launch, cost)
        };
        Ok(shapes.iter().map(candidate).collect())
    }

    fn edge_sites(&self) -> Vec<Site> {
        edge_sites(&|x, y| {
            let view = |dims: &[u32], strides: &[i64], dtype, zero_lanes| View {
                dims: dims.to_vec(),
                strides: strides.to_vec(),
                dtype,
                zero_lanes,
                scale: Scale::ONE,
            };
            let padding = |c: u32| c.next_multiple_of(16 / y.size() as u32) - c;
            vec![
                // Pixels of an image, aligned with padding: N, C, H·W.
                (view(&[2, 13, 35], &[560, 1, 16], x, 3), view(&[2, 13, 1], &[16, 1, 1], y, padding(13))),
                (view(&[1, 72, 67], &[4824, 1, 72], x, 0), view(&[1, 72, 1], &[72, 1, 1], y, 0)),
                // Unaligned: C is no multiple of a vector and there is no padding.
                (view(&[2, 5, 9], &[45, 1, 5], x, 0), view(&[2, 5, 1], &[5, 1, 1], y, 0)),
                // Planes: N, H·W, then C as the axis.
                (view(&[2, 33, 21], &[693, 1, 33], x, 0), view(&[2, 33, 1], &[33, 1, 1], y, 0)),
                // No dim is contiguous.
                (view(&[3, 4, 5], &[400, 100, 10], x, 0), view(&[3, 4, 1], &[4, 1, 1], y, 0)),
            ]
        })
    }

    fn units(&self, _arch: Arch) -> Vec<CompileUnit> {
        let mut units = Vec::new();
        for (fold, x, y) in folds() {
            units.extend(WHOLE.map(|shape| unit(fold, x, y, vector_width(x), shape)));
            units.extend(SINGLE.map(|shape| unit(fold, x, y, 1, shape)));
        }
        units
    }
}
