//! `conv/wgmma`: implicit GEMM by Hopper's means, INT8, f16 or TF32.

use super::NOT_A_CONVOLUTION;
use super::edges::{self, EdgeKind};
use crate::catalog;
use crate::epilogue::{EpilogueParams, bias_len, check_terms, scales_len};
use crate::launch::{Arg, Candidate, CompileUnit, Role};
use crate::site::{ConvSite, Site};
use crate::target::{Arch, Target};
use crate::tensor_map::{TensorAccess, TensorMap};
use crate::tile::warpgroup::{self, Build, FILTERS, Kernel, Output, Tiling};
use crate::tile::{Math, Problem};
use crate::weights::Packing;
use bytemuck::{Pod, Zeroable};

/// See `conv/wgmma.cu`.
#[derive(Debug)]
pub struct Wgmma;

const NAME: &str = "conv/wgmma";
const SOURCE: &str = "conv/wgmma.cu";
const ENTRY: &str = "conv_wgmma";

impl catalog::Kernel for Wgmma {
    fn name(&self) -> &'static str {
        NAME
    }

    fn candidates(&self, site: &Site, target: &Target) -> Result<Vec<Candidate>, String> {
        let Site::Conv(site) = site else { return Err(NOT_A_CONVOLUTION.to_owned()) };
        candidates(site, target)
    }

    fn edge_sites(&self) -> Vec<Site> {
        [EdgeKind::FP16, EdgeKind::TF32, EdgeKind::INT8].into_iter().flat_map(edges::windows).collect()
    }

    fn units(&self, arch: Arch) -> Vec<CompileUnit> {
        warpgroup::units(SOURCE, ENTRY, arch)
    }
}

/// `WindowParams` of wgmma.cu.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
struct WindowParams {
    im2col: i32,
    channel_steps: i32,
    kernel_width: i32,
    out: [i32; 2],
    stride: [i32; 2],
    pad: [i32; 2],
    dilation: [i32; 2],
}

fn candidates(site: &ConvSite, target: &Target) -> Result<Vec<Candidate>, String> {
    let build = Build::new(site.precision, site.x.c, target)?;
    check(site, build)?;
    let width = build.math.width();
    let (k_pad, c_pad) = (site.y.c.next_multiple_of(FILTERS), site.x.c.next_multiple_of(width));
    let packing = Packing::Warpgroup { k_pad, c_pad, dtype: build.math.dtype(), tf32: build.math == Math::Tf32 };
    let taps = site.kernel[0] * site.kernel[1];
    let channel_steps = site.x.c.div_ceil(build.numbers());
    let weight_bytes = u64::from(k_pad) * u64::from(taps) * u64::from(c_pad) * build.math.dtype().size() as u64;
    let problem = Problem {
        rows: site.y.pixels(),
        columns: site.y.c.into(),
        depth_vectors: u64::from(taps) * u64::from(c_pad / width),
        batches: 1,
        bytes: [site.x.bytes(), weight_bytes, site.y.bytes() + site.epilogue.residual.map_or(0, |r| r.bytes())],
    };
    let [out, stride, pad, dilation] = [[site.y.h, site.y.w], site.stride, site.pad, site.dilation];
    let window = WindowParams {
        im2col: i32::from(!is_matrix(site)),
        channel_steps: channel_steps as i32,
        kernel_width: site.kernel[1] as i32,
        out: out.map(|n| n as i32),
        stride: stride.map(|n| n as i32),
        pad: pad.map(|n| n as i32),
        dilation: dilation.map(|n| n as i32),
    };
    let kernel = Kernel {
        source: SOURCE,
        entry: ENTRY,
        target,
        precision: site.precision,
        site: &site.epilogue,
        epilogue: EpilogueParams::image(&site.epilogue, &site.y),
        output: Output {
            dtype: site.y.dtype,
            rows: site.y.pixels(),
            columns: site.y.padded_channels(),
            pitch: site.y.pitch,
            batches: 1,
            stride: 0,
        },
    };
    let candidate = |tiling: Tiling| {
        let operands = [activations(site, &tiling), filters(taps, k_pad, c_pad, &tiling)];
        for (what, map) in ["input", "weights"].into_iter().zip(&operands) {
            map.check().map_err(|reason| format!("tensor copies do not take the {what}: {reason}"))?;
        }
        Ok(Candidate {
            tactic: tiling.tactic(NAME),
            launches: tiling.launches(&kernel, operands, Some(Arg::params(&window))),
            workspace: tiling.workspace() as usize,
            weights: Some(packing),
            bias_len: bias_len(&site.epilogue, tiling.columns()),
            scales_len: scales_len(site.precision, tiling.columns()),
            cost: tiling.cost(target),
        })
    };
    let steps = u64::from(taps) * u64::from(channel_steps);
    Tiling::all(build, problem, steps, target)?.into_iter().map(candidate).collect()
}

/// True if every output pixel is made of the input pixel with the same number alone.
fn is_matrix(site: &ConvSite) -> bool {
    site.kernel == [1, 1] && site.stride == [1, 1] && site.pad == [0, 0] && [site.x.h, site.x.w] == [site.y.h, site.y.w]
}

/// x as tiles of pixels see it.
fn activations(site: &ConvSite, tiling: &Tiling) -> TensorMap {
    let (role, x, dtype) = (Role::Input(0), &site.x, site.x.dtype);
    let (numbers, swizzle) = (tiling.build.numbers(), tiling.build.swizzle());
    let pixel = u64::from(x.pitch) * dtype.size() as u64;
    if is_matrix(site) {
        let dims = [x.c.into(), x.pixels()];
        return TensorMap::tiled(role, dtype, &dims, &[pixel], &[numbers, tiling.tile.block_m], swizzle);
    }
    // The corner of the first window, and of the last one relative to the last pixel: between them there are just as
    // many steps of the stride as y has pixels.
    let corners = |axis: usize, input: u32, output: u32| {
        let (pad, stride) = (site.pad[axis] as i32, site.stride[axis] as i32);
        (-pad, (output as i32 - 1) * stride - pad - (input as i32 - 1))
    };
    let [(left, right), (top, bottom)] = [corners(1, x.w, site.y.w), corners(0, x.h, site.y.h)];
    let line = pixel * u64::from(x.w);
    TensorMap {
        role,
        offset: 0,
        dtype,
        dims: [x.c, x.w, x.h, x.n].map(u64::from).to_vec(),
        strides: vec![pixel, line, line * u64::from(x.h)],
        access: TensorAccess::Im2col {
            lower: vec![left, top],
            upper: vec![right, bottom],
            channels: numbers,
            pixels: tiling.tile.block_m,
        },
        element_strides: vec![1, site.stride[1], site.stride[0], 1],
        swizzle,
    }
}

/// The packed filters, one tap at a time.
fn filters(taps: u32, k_pad: u32, c_pad: u32, tiling: &Tiling) -> TensorMap {
    let dtype = tiling.build.math.dtype();
    let tap = u64::from(c_pad) * dtype.size() as u64;
    let dims = [c_pad, taps, k_pad].map(u64::from);
    let extents = [tiling.build.numbers(), 1, tiling.tile.block_n];
    let strides = [tap, tap * u64::from(taps)];
    TensorMap::tiled(Role::Weights, dtype, &dims, &strides, &extents, tiling.build.swizzle())
}

fn check(site: &ConvSite, build: Build) -> Result<(), String> {
    let (dtype, width) = (build.math.dtype(), build.math.width());
    if site.x.dtype != dtype {
        return Err(format!("needs {dtype} input for {}, got {}", site.precision, site.x.dtype));
    }
    EpilogueParams::check(&site.epilogue, site.y.dtype, site.y.scale)?;
    if site.groups != 1 {
        return Err(format!("needs one group, got {}", site.groups));
    }
    let taps = u64::from(site.kernel[0]) * u64::from(site.kernel[1]);
    check_terms(site.precision, taps * u64::from(site.x.c))?;
    if taps > 1 && site.x.c < width {
        return Err(format!("takes whole vectors of channels from each tap, {width} at least, got {}", site.x.c));
    }
    if !site.x.pitch.is_multiple_of(width) || site.x.pitch < site.x.padded_channels() {
        return Err(format!("needs pixels of whole 16-byte vectors, got a pitch of {} elements", site.x.pitch));
    }
    if site.stride.iter().any(|stride| !(1..=8).contains(stride)) || site.pad.iter().any(|&pad| pad > 128) {
        return Err(format!("takes strides to 8 and padding to 128, got {:?} and {:?}", site.stride, site.pad));
    }
    // The offset of a tap has 8 bits; what else a tensor copy takes is `TensorMap::check`'s to say.
    let reach = [0, 1].map(|axis: usize| u64::from(site.dilation[axis]) * u64::from(site.kernel[axis].max(1) - 1));
    if reach.iter().any(|&reach| reach > 255) {
        return Err(format!("takes windows that reach at most 255 pixels, got {reach:?}"));
    }
    if [site.x.h, site.x.w, site.y.h, site.y.w].iter().any(|&extent| extent >= 1 << 24) {
        return Err(format!("takes pictures below 2^24 pixels on a side, got {}x{}", site.x.h, site.x.w));
    }
    if site.y.pixels() >= 1 << 30 {
        return Err(format!("takes fewer than 2^30 output pixels, got {}", site.y.pixels()));
    }
    Ok(())
}
