//! When and how `columns.cu` runs: the axis is strided.

use super::{OPERATIONS, TYPES, edge_sites, site_of, type_defines};
use crate::axis::{Lines, Padding, cost};
use crate::catalog::Kernel;
use crate::launch::{Arg, Candidate, CandidateCost, CompileUnit, Launch, Role, Tactic};
use crate::site::{AxisOp, Scale, Site, View};
use crate::target::{Arch, Target};
use limpid_graph::tensor::DType;

/// A slab of columns a block, the axis in slices.
pub struct Columns;

/// COLUMNS and SLICES offered: many columns for a short axis, many slices for a long one.
const SHAPES: [(u32, u32); 2] = [(64, 4), (32, 16)];
/// Blocks the second dim of a grid may have.
const MAX_GRID_Y: u32 = 65_535;

fn unit(x: DType, y: DType, (columns, slices): (u32, u32)) -> CompileUnit {
    let [x, y] = type_defines(x, y);
    let defines = [x, y, ("COLUMNS", columns.to_string()), ("SLICES", slices.to_string())];
    CompileUnit::new("softmax/columns.cu", "softmax_columns", defines)
}

impl Kernel for Columns {
    fn name(&self) -> &'static str {
        "softmax/columns"
    }

    fn candidates(&self, site: &Site, _target: &Target) -> Result<Vec<Candidate>, String> {
        let site = site_of(site)?;
        let lines = Lines::new(site)?;
        if lines.padding == Padding::Axis || (lines.padding == Padding::None && lines.x_axis == 1) {
            return Err("is for a strided axis, this one is contiguous".to_owned());
        }
        if lines.count() >= 1 << 31 {
            return Err(format!("takes fewer than 2^31 lines, got {}", lines.count()));
        }
        let params = lines.column_params(site, site.op == AxisOp::LogSoftmax);
        let candidate = |shape: (u32, u32)| {
            let launch = Launch {
                unit: unit(site.x.dtype, site.y.dtype, shape),
                grid: [lines.padded_columns().div_ceil(shape.0), lines.groups().min(MAX_GRID_Y), 1],
                block: [shape.0 * shape.1, 1, 1],
                cluster: Launch::ALONE,
                shared_bytes: 0,
                args: vec![Arg::Pointer(Role::Input(0)), Arg::Pointer(Role::Output(0)), Arg::params(&params)],
                dependent: false,
            };
            let adjacent = lines.outer.inner_stride(0) == 1;
            let cost = CandidateCost {
                blocks_per_multiprocessor: 2048 / (shape.0 * shape.1),
                ..cost(site, 2 * OPERATIONS, launch.blocks(), if adjacent { 0.4 } else { 0.08 })
            };
            let tactic = Tactic::new("softmax/columns", &[("columns", shape.0), ("slices", shape.1)]);
            Candidate::plain(tactic, launch, cost)
        };
        Ok(SHAPES.map(candidate).to_vec())
    }

    fn edge_sites(&self) -> Vec<Site> {
        let (half, single) = (DType::F16, DType::F32);
        let view = |dims: &[u32], strides: &[i64], dtype, zero_lanes| View {
            dims: dims.to_vec(),
            strides: strides.to_vec(),
            dtype,
            zero_lanes,
            scale: Scale::ONE,
        };
        edge_sites([
            // Planes: N, H·W, then C as the axis.
            (view(&[2, 65, 5], &[325, 1, 65], half, 0), view(&[2, 65, 5], &[325, 1, 65], half, 0)),
            (view(&[1, 7, 33], &[231, 1, 7], single, 0), view(&[1, 7, 33], &[231, 1, 7], single, 0)),
            // Rows of an image: N, W, C, then H as the axis.
            (view(&[2, 3, 9, 5], &[240, 16, 1, 48], half, 0), view(&[2, 3, 9, 5], &[240, 16, 1, 48], half, 7)),
            (view(&[2, 3, 6, 4], &[96, 8, 1, 24], single, 0), view(&[2, 3, 6, 4], &[96, 8, 1, 24], half, 2)),
            // No dim is contiguous.
            (view(&[3, 4], &[40, 10], single, 0), view(&[3, 4], &[4, 1], single, 0)),
        ])
    }

    fn units(&self, _arch: Arch) -> Vec<CompileUnit> {
        TYPES.iter().flat_map(|&(x, y)| SHAPES.map(|shape| unit(x, y, shape))).collect()
    }
}
