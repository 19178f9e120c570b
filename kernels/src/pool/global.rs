//! When and how `global.cu` runs: the window is the whole picture and meets no padding.

use super::{Scales, average, check, cost, defines};
use crate::catalog::Kernel;
use crate::launch::{Arg, Candidate, CandidateCost, CompileUnit, Launch, Role, Tactic};
use crate::picture::{TYPES, edge_image, pair_width};
use crate::site::{Image, PoolKind, PoolSite, Scale, Site};
use crate::target::{Arch, Target};
use bytemuck::{Pod, Zeroable};
use limpid_graph::tensor::DType;

/// A block reduces a slab of channels of one picture.
pub struct Global;

/// `GlobalPoolParams` of global.cu.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Params {
    x_pitch: i64,
    y_pitch: i64,
    pixels: i32,
    channels: i32,
    channel_vectors: i32,
    pictures: i32,
    scales: Scales,
}

/// Threads of a block.
const THREADS: u32 = 256;
/// Vectors of channels of a block: 32 leave eight slices of the pixels to be joined, fewer make more blocks; 8 read
/// whole lines of 128 bytes.
const SLABS: [u32; 3] = [32, 8, 2];
/// Blocks the second dim of a grid may have.
const MAX_GRID_Y: u32 = 65_535;

fn unit(x: DType, y: DType, average: u32, slab: u32) -> CompileUnit {
    let shape = [("SLAB", slab.to_string()), ("THREADS", THREADS.to_string())];
    CompileUnit::new("pool/global.cu", "global_pool", defines(x, y, average).chain(shape))
}

impl Kernel for Global {
    fn name(&self) -> &'static str {
        "pool/global"
    }

    fn candidates(&self, site: &Site, _target: &Target) -> Result<Vec<Candidate>, String> {
        let Site::Pool(site) = site else { return Err("is for pools".to_owned()) };
        check(site)?;
        let (x, y) = (&site.x, &site.y);
        if site.kernel != [x.h, x.w] || site.dilation != [1, 1] || [y.h, y.w] != [1, 1] {
            return Err(format!(
                "needs one window over the whole {}x{} picture, got {}x{} windows of {}x{}",
                x.h, x.w, y.h, y.w, site.kernel[0], site.kernel[1]
            ));
        }
        if site.pad != [0, 0] || site.pad_end != [0, 0] {
            return Err(format!("takes no padding, got {:?} before and {:?} after", site.pad, site.pad_end));
        }
        let pixels =
            i32::try_from(u64::from(x.h) * u64::from(x.w)).map_err(|_| "takes fewer than 2^31 pixels a picture")?;
        let vectors = y.padded_channels() / pair_width(x, y);
        let params = Params {
            x_pitch: i64::from(x.pitch),
            y_pitch: i64::from(y.pitch),
            pixels,
            channels: y.c as i32,
            channel_vectors: vectors as i32,
            pictures: x.n as i32,
            scales: Scales::of(site),
        };
        let candidate = |slab: u32| {
            let launch = Launch {
                unit: unit(x.dtype, y.dtype, average(site.kind), slab),
                grid: [vectors.div_ceil(slab), x.n.min(MAX_GRID_Y), 1],
                block: [THREADS, 1, 1],
                cluster: Launch::ALONE,
                shared_bytes: 0,
                args: vec![Arg::Pointer(Role::Input(0)), Arg::Pointer(Role::Output(0)), Arg::params(&params)],
                dependent: false,
            };
            let cost = CandidateCost {
                blocks_per_multiprocessor: 4,
                ..cost(site, launch.blocks(), if slab > 2 { 0.85 } else { 0.6 })
            };
            let tactic = Tactic::new("pool/global", &[("slab", slab)]);
            Candidate::plain(tactic, launch, cost)
        };
        Ok(SLABS.map(candidate).to_vec())
    }

    fn edge_sites(&self) -> Vec<Site> {
        let mut sites = Vec::new();
        for (n, h, w, c, pitch) in
            [(1, 1, 1, 1, 8), (2, 7, 7, 64, 64), (3, 3, 43, 13, 24), (1, 16, 17, 72, 72), (1, 9, 9, 520, 528)]
        {
            for kind in [PoolKind::Max, PoolKind::Average, PoolKind::AverageIncludePad] {
                for (from, to) in TYPES {
                    sites.push(Site::Pool(PoolSite {
                        kind,
                        x: edge_image(Image { n, h, w, c, pitch, dtype: from, scale: Scale::ONE }, 0.02),
                        y: edge_image(Image::dense(n, 1, 1, c, to), 0.015),
                        kernel: [h, w],
                        stride: [1, 1],
                        dilation: [1, 1],
                        pad: [0, 0],
                        pad_end: [0, 0],
                    }));
                }
            }
        }
        sites
    }

    fn units(&self, _arch: Arch) -> Vec<CompileUnit> {
        let mut units = Vec::new();
        for (x, y) in TYPES {
            for average in [0, 1] {
                units.extend(SLABS.map(|slab| unit(x, y, average, slab)));
            }
        }
        units
    }
}
