//! When and how `rows.cu` runs: along a contiguous axis.

use super::{OPERATIONS, edge_sites, fold_defines, folds, site_of};
use crate::axis::{Lines, Padding, cost};
use crate::catalog::Kernel;
use crate::launch::{Arg, Candidate, CandidateCost, CompileUnit, Launch, Role, Tactic};
use crate::site::{AxisOp, Scale, Site, View};
use crate::target::{Arch, Target};
use limpid_graph::tensor::DType;

/// A few lanes, a warp or a block a line.
pub struct Rows;

/// Threads of a block.
const THREADS: u32 = 256;
/// Threads of a line offered.
const LANES: [u32; 3] = [4, 32, THREADS];

fn unit(fold: &str, x: DType, y: DType, lanes: u32) -> CompileUnit {
    let [fold, x, y] = fold_defines(fold, x, y);
    let defines = [fold, x, y, ("LANES", lanes.to_string()), ("THREADS", THREADS.to_string())];
    CompileUnit::new("reduce/rows.cu", "reduce_rows", defines)
}

impl Kernel for Rows {
    fn name(&self) -> &'static str {
        "reduce/rows"
    }

    fn candidates(&self, site: &Site, _target: &Target) -> Result<Vec<Candidate>, String> {
        let (site, fold) = site_of(site)?;
        let lines = Lines::new(site)?;
        if lines.padding == Padding::Columns || (lines.padding == Padding::None && lines.x_axis != 1) {
            return Err(format!("needs a contiguous axis, got stride {}", lines.x_axis));
        }
        let params = lines.params(site, true, site.op == AxisOp::ArgMaxLast);
        let width = crate::site::vector_width(site.x.dtype);
        let candidate = |lanes: u32| {
            let args = vec![Arg::Pointer(Role::Input(0)), Arg::Pointer(Role::Output(0)), Arg::params(&params)];
            let threads = lines.count() * u64::from(lanes);
            let launch = Launch::linear(unit(fold, site.x.dtype, site.y.dtype, lanes), threads, THREADS, args)?;
            let busy = (f64::from(lines.length) / f64::from(lanes * width)).min(1.0);
            // Four lanes on a long line read it slowly, a block on a short one idles.
            let crowded = 1.0 / (1.0 + f64::from(lines.length) / f64::from(lanes * width * 32));
            let whole = if lines.x_is_whole(site) { 0.9 } else { 0.4 };
            let cost = CandidateCost {
                blocks_per_multiprocessor: 2048 / THREADS,
                ..cost(site, OPERATIONS, launch.blocks(), (whole * busy * crowded).max(0.02) as f32)
            };
            let tactic = Tactic::new("reduce/rows", &[("lanes", lanes)]);
            Ok(Candidate::plain(tactic, launch, cost))
        };
        LANES.map(candidate).into_iter().collect()
    }

    fn edge_sites(&self) -> Vec<Site> {
        edge_sites(&|x, y| {
            let line = |length: u32| (View::dense(&[3, length], x), View::dense(&[3, 1], y));
            let mut views = [1, 7, 32, 33, 1025].map(line).to_vec();
            // Classes of an image's pixels; the one number a pixel stands in a padded image again.
            let classes = View {
                dims: vec![2, 35, 21],
                strides: vec![35 * 24, 24, 1],
                dtype: x,
                zero_lanes: 0,
                scale: Scale::ONE,
            };
            let width = 16 / y.size() as u32;
            let pitch = i64::from(width);
            let one = View {
                dims: vec![2, 35, 1],
                strides: vec![35 * pitch, pitch, 1],
                dtype: y,
                zero_lanes: width - 1,
                scale: Scale::ONE,
            };
            views.push((classes, one));
            views
        })
    }

    fn units(&self, _arch: Arch) -> Vec<CompileUnit> {
        folds().into_iter().flat_map(|(fold, x, y)| LANES.map(|lanes| unit(fold, x, y, lanes))).collect()
    }
}
