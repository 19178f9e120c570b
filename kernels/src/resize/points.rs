//! What resizes of NHWC pictures share: the host's side of `points.cuh`.

use crate::index::Divisor;
use crate::site::ResizeSite;
use bytemuck::{Pod, Zeroable};

/// `Points` of points.cuh.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
pub(super) struct Points {
    x_pitch: i64,
    y_pitch: i64,
    x_extent: [i32; 2],
    a: [f32; 2],
    b: [f32; 2],
    extrapolate: i32,
    extrapolation: f32,
    channels: i32,
    threads: u32,
    channel_vectors: Divisor,
    columns: Divisor,
    rows: Divisor,
    reserved: u32,
}

impl Points {
    /// Of threads that have `width` channels each, and how many threads that are; points outside of x get
    /// `extrapolation`, y's number, where the site has them extrapolated.
    pub fn new(site: &ResizeSite, width: u32, extrapolation: f32) -> (Self, u64) {
        let (x, y) = (&site.x, &site.y);
        let vectors = y.padded_channels() / width;
        let count = y.pixels() * u64::from(vectors);
        let points = Self {
            x_pitch: i64::from(x.pitch),
            y_pitch: i64::from(y.pitch),
            x_extent: [x.h as i32, x.w as i32],
            a: site.a,
            b: site.b,
            extrapolate: i32::from(site.extrapolation.is_some()),
            extrapolation,
            channels: y.c as i32,
            threads: count as u32,
            channel_vectors: Divisor::new(vectors),
            columns: Divisor::new(y.w),
            rows: Divisor::new(y.h),
            reserved: 0,
        };
        (points, count)
    }
}
