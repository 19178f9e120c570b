//! When and how `cast.cu` runs: always; it is the last resort of every copy.

use super::conversion::Conversion;
use super::strided::{StridedPair, cost, scaled, walk};
use crate::catalog::Kernel;
use crate::launch::{Arg, Candidate, CandidateCost, CompileUnit, Launch, Role, Tactic, cuda_type};
use crate::site::{CopySite, Scale, Site, View};
use crate::target::{Arch, Target};
use limpid_graph::tensor::DType;

/// Copies and casts one element a thread.
pub struct Cast;

/// Threads of a block.
const THREADS: u32 = 256;

/// Every element type, in the order of `DType` in cast.cu.
const TYPES: [DType; 7] = [DType::F32, DType::F16, DType::I8, DType::U8, DType::I32, DType::I64, DType::Bool];

/// Types that numbers are scaled to.
const SCALED_TO: [DType; 3] = [DType::F32, DType::F16, DType::I8];

fn unit(y: DType, scaled: bool) -> CompileUnit {
    let scaled = if scaled { "1" } else { "0" };
    CompileUnit::new("layout/cast.cu", "cast", [("Y_TYPE", cuda_type(y)), ("SCALED", scaled)])
}

impl Kernel for Cast {
    fn name(&self) -> &'static str {
        "layout/cast"
    }

    fn candidates(&self, site: &Site, _target: &Target) -> Result<Vec<Candidate>, String> {
        let Site::Copy(site) = site else { return Err("is for copies".to_owned()) };
        let conversion = Conversion::of(site)?;
        let walk = walk(site)?;
        let (count, pair) = StridedPair::new(site, &walk, conversion, 1);
        let x_type = TYPES.iter().position(|&t| t == site.x.dtype).unwrap_or(0) as u32;
        let args =
            vec![Arg::Pointer(Role::Input(0)), Arg::Pointer(Role::Output(0)), Arg::params(&pair), Arg::params(&x_type)];
        let launch =
            Launch::linear(unit(site.y.dtype, matches!(conversion, Conversion::Scale(_))), count, THREADS, args)?;
        let efficiency = if pair.x_whole == 1 { 0.4 } else { 0.1 };
        let cost =
            CandidateCost { blocks_per_multiprocessor: 2048 / THREADS, ..cost(site, launch.blocks(), efficiency) };
        let tactic = Tactic::new("layout/cast", &[("threads", THREADS)]);
        Ok(vec![Candidate::plain(tactic, launch, cost)])
    }

    fn edge_sites(&self) -> Vec<Site> {
        let mut sites = Vec::new();
        for x in TYPES {
            for y in TYPES {
                let view = View::dense(&[3, 43], y);
                sites.push(Site::Copy(CopySite {
                    x: View { dtype: x, strides: vec![1, 3], ..view.clone() },
                    x_offset: 0,
                    y: view,
                    y_offset: 0,
                }));
            }
        }
        // Every type that stands for a real, quantized, dequantized, requantized; 0.004 saturates.
        for x in TYPES {
            for y in SCALED_TO {
                let view = View::dense(&[3, 43], y);
                let y = if y == DType::I8 { scaled(&view, 0.004) } else { view.clone() };
                let x = View { dtype: x, strides: vec![1, 3], scale: Scale::ONE, ..view };
                let x = if x.dtype.is_float() { x } else { scaled(&x, 0.013) };
                sites.push(Site::Copy(CopySite { x, x_offset: 0, y, y_offset: 0 }));
            }
        }
        // Padding lanes, offsets, six dims that do not merge, a reversed one among them.
        let y = View { dims: vec![7, 3], strides: vec![5, 1], dtype: DType::F32, zero_lanes: 1, scale: Scale::ONE };
        let x = View { dims: vec![7, 3], strides: vec![1, 7], dtype: DType::F32, zero_lanes: 0, scale: Scale::ONE };
        sites.push(Site::Copy(CopySite { x, x_offset: 2, y, y_offset: 3 }));
        let y = View::dense(&[2, 3, 2, 3, 2, 3], DType::F16);
        let x = View { strides: vec![1, 2, 6, 12, 36, -72], dtype: DType::F32, ..y.clone() };
        sites.push(Site::Copy(CopySite { x, x_offset: 144, y, y_offset: 0 }));
        sites
    }

    fn units(&self, _arch: Arch) -> Vec<CompileUnit> {
        let casts = TYPES.map(|y| unit(y, false));
        casts.into_iter().chain(SCALED_TO.map(|y| unit(y, true))).collect()
    }
}
