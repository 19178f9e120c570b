//! When and how `rows.cu` runs: the axis is contiguous and a line fits into the registers of a warp.

use super::{OPERATIONS, TYPES, edge_sites, pixels, site_of, type_defines};
use crate::axis::{Lines, Padding, cost};
use crate::catalog::Kernel;
use crate::launch::{Arg, Candidate, CandidateCost, CompileUnit, Launch, Role, Tactic};
use crate::site::{Site, View, vector_width};
use crate::target::{Arch, Target};
use limpid_graph::tensor::DType;

/// A few lanes a line, the line in registers.
pub struct Rows;

/// Threads of a block.
const THREADS: u32 = 128;
/// Elements a thread holds at most.
const MAX_ELEMENTS: u32 = 32;

/// LANES and VECTORS for whole lines, fewest threads first: a thread holds one vector until a warp is full.
fn shapes(vector: u32) -> Vec<(u32, u32)> {
    if vector == 1 {
        return vec![(8, 1), (32, 1), (32, 4), (32, 16), (32, MAX_ELEMENTS)];
    }
    let mut shapes: Vec<(u32, u32)> = [1, 4, 16, 32].map(|lanes| (lanes, 1)).to_vec();
    shapes.extend([2, 4, 8].map(|vectors| (32, vectors)).into_iter().filter(|(_, v)| v * vector <= MAX_ELEMENTS));
    shapes
}

fn unit(x: DType, y: DType, vector: u32, (lanes, vectors): (u32, u32)) -> CompileUnit {
    let [x, y] = type_defines(x, y);
    let defines =
        [x, y, ("VECTOR", vector.to_string()), ("LANES", lanes.to_string()), ("VECTORS", vectors.to_string())];
    CompileUnit::new("softmax/rows.cu", "softmax_rows", defines)
}

impl Kernel for Rows {
    fn name(&self) -> &'static str {
        "softmax/rows"
    }

    fn candidates(&self, site: &Site, _target: &Target) -> Result<Vec<Candidate>, String> {
        let site = site_of(site)?;
        let lines = Lines::new(site)?;
        if lines.x_axis != 1 || lines.y_axis != 1 || lines.padding == Padding::Columns {
            return Err(format!("needs a contiguous axis, got strides {} and {}", lines.x_axis, lines.y_axis));
        }
        let vector = if lines.x_is_whole(site) { vector_width(site.x.dtype) } else { 1 };
        let params = lines.params(site, false, site.op == crate::site::AxisOp::LogSoftmax);
        let padded = site.y.zero_lanes + lines.length;
        let fitting = |&(lanes, vectors): &(u32, u32)| lanes * vectors * vector >= padded;
        let shapes = shapes(vector);
        let Some(first) = shapes.iter().position(fitting) else {
            let most = shapes.last().map_or(0, |(lanes, vectors)| lanes * vectors * vector);
            return Err(format!("takes lines of up to {most} elements, got {padded}"));
        };
        // The fewest threads that hold a line, and the next more: fewer elements each, more idle ones.
        let candidate = |&shape: &(u32, u32)| {
            let args = vec![Arg::Pointer(Role::Input(0)), Arg::Pointer(Role::Output(0)), Arg::params(&params)];
            let threads = lines.count() * u64::from(shape.0);
            let launch = Launch::linear(unit(site.x.dtype, site.y.dtype, vector, shape), threads, THREADS, args)?;
            let used = f64::from(padded) / f64::from(shape.0 * shape.1 * vector);
            let efficiency = if vector > 1 { 0.5 + 0.35 * used } else { 0.2 + 0.3 * used };
            let cost = CandidateCost {
                blocks_per_multiprocessor: if shape.1 * vector > 16 { 5 } else { 10 },
                ..cost(site, OPERATIONS, launch.blocks(), efficiency as f32)
            };
            let tactic = Tactic::new("softmax/rows", &[("lanes", shape.0), ("vectors", shape.1), ("vector", vector)]);
            Ok(Candidate::plain(tactic, launch, cost))
        };
        shapes[first..].iter().take(2).map(candidate).collect()
    }

    fn edge_sites(&self) -> Vec<Site> {
        let (half, single) = (DType::F16, DType::F32);
        let mut views = Vec::new();
        for length in [1, 7, 8, 9, 32, 100, 255, 257, 1000, 1024] {
            views.push((View::dense(&[3, length], half), View::dense(&[3, length], half)));
            views.push((
                pixels(5, length, length.next_multiple_of(8) + 8, half),
                pixels(5, length, length.next_multiple_of(8), half),
            ));
        }
        for length in [3, 4, 33, 512] {
            views.push((
                pixels(67, length, length.next_multiple_of(4), single),
                pixels(67, length, length.next_multiple_of(4), single),
            ));
            views.push((pixels(2, length, length.next_multiple_of(8), half), View::dense(&[2, length], single)));
            views.push((View::dense(&[2, length], single), pixels(2, length, length.next_multiple_of(8), half)));
        }
        edge_sites(views)
    }

    fn units(&self, _arch: Arch) -> Vec<CompileUnit> {
        let mut units = Vec::new();
        for (x, y) in TYPES {
            for vector in [vector_width(x), 1] {
                units.extend(shapes(vector).into_iter().map(|shape| unit(x, y, vector, shape)));
            }
        }
        units
    }
}
