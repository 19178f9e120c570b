//! When and how `block.cu` runs: along a contiguous axis of any length.

use super::{OPERATIONS, TYPES, edge_sites, pixels, site_of, type_defines};
use crate::axis::{Lines, Padding, cost};
use crate::catalog::Kernel;
use crate::launch::{Arg, Candidate, CandidateCost, CompileUnit, Launch, Role, Tactic};
use crate::site::{AxisOp, Scale, Site, View};
use crate::target::{Arch, Target};
use limpid_graph::tensor::DType;

/// One block a line.
pub struct Block;

/// Threads offered.
const THREADS: [u32; 2] = [128, 512];

fn unit(x: DType, y: DType, threads: u32) -> CompileUnit {
    let [x, y] = type_defines(x, y);
    CompileUnit::new("softmax/block.cu", "softmax_block", [x, y, ("THREADS", threads.to_string())])
}

impl Kernel for Block {
    fn name(&self) -> &'static str {
        "softmax/block"
    }

    fn candidates(&self, site: &Site, _target: &Target) -> Result<Vec<Candidate>, String> {
        let site = site_of(site)?;
        let lines = Lines::new(site)?;
        if lines.padding == Padding::Columns || (lines.padding == Padding::None && lines.x_axis != 1) {
            return Err(format!("needs a contiguous axis, got stride {}", lines.x_axis));
        }
        let params = lines.params(site, false, site.op == AxisOp::LogSoftmax);
        let candidate = |threads: u32| {
            let args = vec![Arg::Pointer(Role::Input(0)), Arg::Pointer(Role::Output(0)), Arg::params(&params)];
            let all = lines.count() * u64::from(threads);
            let launch = Launch::linear(unit(site.x.dtype, site.y.dtype, threads), all, threads, args)?;
            let used = (f64::from(lines.length) / f64::from(threads * 4)).min(1.0);
            let cost = CandidateCost {
                blocks_per_multiprocessor: 2048 / threads,
                ..cost(site, 2 * OPERATIONS, launch.blocks(), (0.05 + 0.4 * used) as f32)
            };
            let tactic = Tactic::new("softmax/block", &[("threads", threads)]);
            Ok(Candidate::plain(tactic, launch, cost))
        };
        THREADS.map(candidate).into_iter().collect()
    }

    fn edge_sites(&self) -> Vec<Site> {
        let (half, single) = (DType::F16, DType::F32);
        let strided =
            View { dims: vec![2, 130], strides: vec![300, 2], dtype: single, zero_lanes: 0, scale: Scale::ONE };
        edge_sites([
            (View::dense(&[2, 1], half), View::dense(&[2, 1], half)),
            (View::dense(&[3, 127], half), View::dense(&[3, 127], half)),
            (View::dense(&[2, 2049], single), View::dense(&[2, 2049], single)),
            (pixels(3, 513, 520, half), pixels(3, 513, 520, half)),
            (pixels(2, 600, 600, half), View::dense(&[2, 600], single)),
            (strided, pixels(2, 130, 136, half)),
        ])
    }

    fn units(&self, _arch: Arch) -> Vec<CompileUnit> {
        TYPES.iter().flat_map(|&(x, y)| THREADS.map(|threads| unit(x, y, threads))).collect()
    }
}
