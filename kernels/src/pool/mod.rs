//! Pooling over h and w: any window, and the whole picture.

mod global;
mod window;

pub use global::Global;
pub use window::Window;

use crate::launch::CandidateCost;
use crate::picture::{self, type_defines};
use crate::site::{PoolKind, PoolSite};
use bytemuck::{Pod, Zeroable};
use limpid_graph::ops::{Cost, exact};
use limpid_graph::tensor::DType;

/// `PoolScales` of fold.cuh.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Scales {
    factor: f32,
    inverse_y: f32,
}

impl Scales {
    fn of(site: &PoolSite) -> Self {
        let (x, y) = (site.x.scale, site.y.scale);
        let factor = if average(site.kind) == 1 { x.get() } else { exact::rescale(x.get(), y.get()) };
        Self { factor, inverse_y: y.inverse() }
    }
}

fn defines(x: DType, y: DType, average: u32) -> impl Iterator<Item = (&'static str, String)> {
    type_defines(x, y).into_iter().chain([("AVERAGE", average.to_string())])
}

/// Elements of a window of i8, whose sum and count are exact: 2^24 · 128 = 2^31.
const MAX_WINDOW: u64 = 1 << 24;

/// What both kernels ask of a site.
fn check(site: &PoolSite) -> Result<(), String> {
    picture::check(&site.x, &site.y)?;
    let window = u64::from(site.kernel[0]) * u64::from(site.kernel[1]);
    if site.x.dtype == DType::I8 && window >= MAX_WINDOW {
        return Err(format!("sums up to 2^24 integers in i32, got windows of {window}"));
    }
    Ok(())
}

/// x and y once, an operation per element of each window.
fn cost(site: &PoolSite, blocks: u64, efficiency: f32) -> CandidateCost {
    let window = u64::from(site.kernel[0]) * u64::from(site.kernel[1]);
    let flops = site.y.pixels() * u64::from(site.y.c) * window;
    CandidateCost::of(Cost { flops, bytes: picture::bytes(&site.x, &site.y) }, blocks, efficiency)
}

/// 1 for a mean, 0 for the largest: the kernels' AVERAGE.
const fn average(kind: PoolKind) -> u32 {
    !matches!(kind, PoolKind::Max) as u32
}
