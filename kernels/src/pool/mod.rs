//! Pooling over h and w: any window, and the whole picture.

mod global;
mod window;

pub use global::Global;
pub use window::Window;

use crate::launch::CandidateCost;
use crate::site::{PoolKind, PoolSite};
use limpid_graph::ops::Cost;

/// What both kernels ask of a site.
fn check(site: &PoolSite) -> Result<(), String> {
    let (x, y) = (&site.x, &site.y);
    if !x.dtype.is_float() || x.dtype != y.dtype {
        return Err(format!("needs x and y both f16 or both f32, got {} and {}", x.dtype, y.dtype));
    }
    if x.n != y.n || x.c != y.c {
        return Err(format!(
            "needs as many pictures and channels in y as in x, got {}x{} and {}x{}",
            y.n, y.c, x.n, x.c
        ));
    }
    let width = crate::site::vector_width(x.dtype);
    if x.pitch % width != 0 || y.pitch % width != 0 {
        return Err(format!("needs pitches divisible by {width}, got {} and {}", x.pitch, y.pitch));
    }
    Ok(())
}

/// x and y once, an operation per element of each window.
fn cost(site: &PoolSite, blocks: u64, efficiency: f32) -> CandidateCost {
    let size = site.x.dtype.size() as u64;
    let channels = u64::from(site.y.padded_channels());
    let window = u64::from(site.kernel[0]) * u64::from(site.kernel[1]);
    let flops = site.y.pixels() * u64::from(site.y.c) * window;
    let bytes = (site.x.pixels() + site.y.pixels()) * channels * size;
    CandidateCost::of(Cost { flops, bytes }, blocks, efficiency)
}

/// 1 for a mean, 0 for the largest: the kernels' AVERAGE.
const fn average(kind: PoolKind) -> u32 {
    !matches!(kind, PoolKind::Max) as u32
}
