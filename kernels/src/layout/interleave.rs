//! When and how `interleave.cu` runs: few planes become whole pixels of 16 bytes.

use super::conversion::{Conversion, SCALED, Types};
use super::strided::{cost, image, planes, scaled, walk};
use crate::catalog::Kernel;
use crate::index::Divisor;
use crate::launch::{Arg, Candidate, CandidateCost, CompileUnit, Launch, Role, Tactic};
use crate::site::{CopySite, Site, View};
use crate::target::{Arch, Target};
use bytemuck::{Pod, Zeroable};
use limpid_graph::tensor::DType;

/// Planes to channels, several pixels a thread.
pub struct Interleave;

/// `InterleaveParams` of interleave.cu.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Params {
    x_offset: i64,
    x_picture: i64,
    x_plane: i64,
    y_offset: i64,
    y_picture: i64,
    y_pixel: i64,
    pixels: u32,
    planes: u32,
    blocks: Divisor,
    factor: f32,
}

/// Planes there may be.
const PLANES: u32 = 4;
/// Pixels of a thread.
const PIXELS: u32 = 4;
/// Threads of a block.
const THREADS: u32 = 128;

fn unit(types: Types) -> CompileUnit {
    types.unit("layout/interleave.cu", "interleave", &[("PIXELS", PIXELS), ("THREADS", THREADS)])
}

impl Kernel for Interleave {
    fn name(&self) -> &'static str {
        "layout/interleave"
    }

    fn candidates(&self, site: &Site, _target: &Target) -> Result<Vec<Candidate>, String> {
        let Site::Copy(site) = site else { return Err("is for copies".to_owned()) };
        let conversion = Conversion::of(site)?;
        let types = conversion.types(site).vectored()?;
        if types.x.size() > 4 || types.y.size() > 4 {
            return Err("takes elements of up to 4 bytes, got i64".to_owned());
        }
        if site.y.is_empty() {
            return Err("nothing to do: an extent is 0".to_owned());
        }
        let walk = walk(site)?;
        let rank = walk.rank();
        let (channels, lanes) = (walk.inner(), walk.inner() + site.y.zero_lanes);
        let size = types.y.size();
        if channels > PLANES || lanes as usize * size != 16 || !walk.rows_are_whole(1, site.y_offset, size, lanes) {
            return Err(format!(
                "makes aligned pixels of 16 bytes from up to {PLANES} planes, got {channels} channels in {lanes} lanes"
            ));
        }
        if !(2..=3).contains(&rank) || walk.strides[0][rank - 2] != 1 {
            return Err(format!("needs pictures of pixels side by side in x, got strides {:?}", walk.strides[0]));
        }
        let pixels = walk.dims[rank - 2];
        // The pictures, where there is more than one.
        let pictures = if rank == 3 { walk.dims[0] } else { 1 };
        let stride = |view: usize| if rank == 3 { walk.strides[view][0] } else { 0 };
        let blocks = pixels.div_ceil(THREADS * PIXELS);
        let params = Params {
            x_offset: site.x_offset,
            x_picture: stride(0),
            x_plane: walk.inner_stride(0),
            y_offset: site.y_offset,
            y_picture: stride(1),
            y_pixel: walk.strides[1][rank - 2],
            pixels,
            planes: channels,
            blocks: Divisor::new(blocks),
            factor: conversion.factor(),
        };
        let args = vec![Arg::Pointer(Role::Input(0)), Arg::Pointer(Role::Output(0)), Arg::params(&params)];
        let threads = u64::from(blocks) * u64::from(pictures) * u64::from(THREADS);
        let launch = Launch::linear(unit(types), threads, THREADS, args)?;
        let cost = CandidateCost { blocks_per_multiprocessor: 16, ..cost(site, launch.blocks(), 0.9) };
        let tactic = Tactic::new(self.name(), &[("pixels", PIXELS)]);
        Ok(vec![Candidate::plain(tactic, launch, cost)])
    }

    fn edge_sites(&self) -> Vec<Site> {
        let mut sites = Vec::new();
        let mut push = |x: View, y: View, [x_offset, y_offset]: [i64; 2]| {
            sites.push(Site::Copy(CopySite { x, x_offset, y, y_offset }));
        };
        let unscaled = [
            (DType::F32, DType::F16),
            (DType::F16, DType::F16),
            (DType::F32, DType::F32),
            (DType::U8, DType::F16),
            (DType::I8, DType::I8),
        ];
        let pairs = unscaled.map(|pair| (pair, false)).into_iter().chain(SCALED.map(|pair| (pair, true)));
        for ((x, y), quantized) in pairs {
            let with = |scale: f32, view: View| {
                if quantized && view.dtype == DType::I8 { scaled(&view, scale) } else { view }
            };
            let pitch = 16 / y.size() as u32;
            // Parts of a block, and several with a part; one to four planes that begin anywhere.
            for (n, h, w, c) in [(1, 1, 2, 3), (2, 3, 5, 1), (1, 23, 27, 3), (3, 25, 41, 4)] {
                push(with(0.02, planes(n, h, w, c, x)), with(0.006, image(n, h, w, c, pitch, y)), [0, 0]);
            }
            push(with(0.02, planes(2, 3, 5, 2, x)), with(0.006, image(2, 3, 5, 2, pitch, y)), [3, i64::from(pitch)]);
        }
        sites
    }

    fn units(&self, _arch: Arch) -> Vec<CompileUnit> {
        Types::all_vectored().into_iter().filter(|types| types.x.size() <= 4 && types.y.size() <= 4).map(unit).collect()
    }
}
