//! What both implicit-GEMM convolutions share: the host's side of `implicit.cuh`.

use crate::epilogue::{COLUMNS_PER_THREAD, EpilogueParams, bias_len, check_terms, epilogue_args, scales_len};
use crate::gemm::split_k::{self, SplitKParams};
use crate::index::Divisor;
use crate::launch::{Arg, Candidate, CompileUnit, Role};
use crate::site::{ConvSite, VECTOR_BYTES};
use crate::target::Target;
use crate::tile::{Build, Problem, Tile, TileGrid, Tiling};
use crate::weights::Packing;
use bytemuck::{Pod, Zeroable};

/// One of the kernels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Implicit {
    pub name: &'static str,
    pub source: &'static str,
    pub entry: &'static str,
}

/// `ConvParams` of implicit.cuh.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
struct ConvParams {
    grid: TileGrid,
    height: i32,
    width: i32,
    pixel_vectors: i32,
    out_height: i32,
    out_width: i32,
    kernel: [i32; 2],
    stride: [i32; 2],
    dilation: [i32; 2],
    pad: [i32; 2],
    pixels: i32,
    filters: i32,
    filters_padded: i32,
    channel_vectors: i32,
    depth_vectors: i32,
    step_r: i32,
    step_s: i32,
    step_c: i32,
    by_out: [Divisor; 2],
    by_depth: [Divisor; 2],
}

impl Implicit {
    /// Everything the menu may ask to compile.
    pub fn units(self, build: Build, menu: &[Tile]) -> Vec<CompileUnit> {
        menu.iter().flat_map(|tile| tile.units(self.source, self.entry, build)).collect()
    }

    /// Every tile that suits the site, or what the site would have to be.
    pub fn candidates(
        self,
        site: &ConvSite,
        build: Build,
        menu: &[Tile],
        target: &Target,
    ) -> Result<Vec<Candidate>, String> {
        check(site, build)?;
        let (channels, filters) = (site.x.c / site.groups, site.y.c / site.groups);
        let channel_vectors = channels.div_ceil(build.math.width());
        let filters_padded = filters.next_multiple_of(COLUMNS_PER_THREAD);
        let depth_vectors = site.kernel[0] * site.kernel[1] * channel_vectors;
        let weight_bytes = u64::from(site.groups * filters_padded) * u64::from(depth_vectors * VECTOR_BYTES);
        let problem = Problem {
            rows: site.y.pixels(),
            columns: filters.into(),
            depth_vectors: depth_vectors.into(),
            batches: site.groups.into(),
            bytes: [site.x.bytes(), weight_bytes, site.y.bytes() + site.epilogue.residual.map_or(0, |r| r.bytes())],
        };
        let params = |tiling: &Tiling| {
            let taps = tiling.tile.vectors / channel_vectors;
            ConvParams {
                grid: tiling.grid_params(),
                height: site.x.h as i32,
                width: site.x.w as i32,
                pixel_vectors: (site.x.pitch / build.math.width()) as i32,
                out_height: site.y.h as i32,
                out_width: site.y.w as i32,
                kernel: site.kernel.map(|k| k as i32),
                stride: site.stride.map(|s| s as i32),
                dilation: site.dilation.map(|d| d as i32),
                pad: site.pad.map(|p| p as i32),
                pixels: site.y.pixels() as i32,
                filters: filters as i32,
                filters_padded: filters_padded as i32,
                channel_vectors: channel_vectors as i32,
                depth_vectors: depth_vectors as i32,
                step_r: (taps / site.kernel[1]) as i32,
                step_s: (taps % site.kernel[1]) as i32,
                step_c: (tiling.tile.vectors % channel_vectors) as i32,
                by_out: [site.y.w, site.y.h].map(Divisor::new),
                by_depth: [channel_vectors, site.kernel[1]].map(Divisor::new),
            }
        };
        let epilogue = EpilogueParams::image(&site.epilogue, &site.y);
        let candidate = |tiling: Tiling| {
            let split = tiling.splits > 1;
            let mut args = vec![Arg::Pointer(Role::Input(0)), Arg::Pointer(Role::Weights)];
            args.extend(epilogue_args(&site.epilogue, site.precision));
            args.push(Arg::optional(Role::Workspace, split));
            args.push(Arg::params(&params(&tiling)));
            args.push(Arg::params(&epilogue));
            args.push(Arg::NOTHING_AHEAD);
            let mut launches = vec![tiling.launch(self.source, self.entry, args)];
            if split {
                let sums = SplitKParams::groups(tiling.splits, site.groups, site.y.pixels() as u32, filters);
                launches.push(split_k::launch(&sums, &site.epilogue, site.precision, &epilogue));
            }
            Candidate {
                tactic: tiling.tactic(self.name),
                launches,
                workspace: tiling.workspace() as usize,
                weights: Some(Packing::Krsc {
                    groups: site.groups,
                    k_pad: filters_padded,
                    c_pad: channel_vectors * build.math.width(),
                    dtype: build.math.dtype(),
                }),
                bias_len: bias_len(&site.epilogue, site.y.c),
                scales_len: scales_len(site.precision, site.y.c),
                cost: tiling.cost(target),
            }
        };
        Ok(Tiling::all(menu, build, problem, target)?.into_iter().map(candidate).collect())
    }
}

fn check(site: &ConvSite, build: Build) -> Result<(), String> {
    let (dtype, width) = (build.math.dtype(), build.math.width());
    if site.x.dtype != dtype {
        return Err(format!("needs {dtype} input for {}, got {}", site.precision, site.x.dtype));
    }
    EpilogueParams::check(&site.epilogue, site.y.dtype, site.y.scale)?;
    if site.groups == 0 || !site.x.c.is_multiple_of(site.groups) || !site.y.c.is_multiple_of(site.groups) {
        return Err(format!("needs channels divisible by {} groups, got {} and {}", site.groups, site.x.c, site.y.c));
    }
    let (channels, filters) = (site.x.c / site.groups, site.y.c / site.groups);
    if site.groups > 1 && !channels.is_multiple_of(width) {
        return Err(format!("needs input channels per group divisible by {width}, got {channels}"));
    }
    if site.groups > 1 && !filters.is_multiple_of(COLUMNS_PER_THREAD) {
        return Err(format!("needs filters per group divisible by {COLUMNS_PER_THREAD}, got {filters}"));
    }
    check_terms(site.precision, u64::from(site.kernel[0]) * u64::from(site.kernel[1]) * u64::from(channels))?;
    if !site.x.pitch.is_multiple_of(width) || site.x.pitch < site.x.padded_channels() {
        return Err(format!("needs pixels of whole 16-byte vectors, got a pitch of {} elements", site.x.pitch));
    }
    // Positions in x are counted in vectors, in 31 bits and a sign.
    if site.x.bytes() >= 1 << 35 {
        return Err(format!("takes inputs below 32 GiB, got {} bytes", site.x.bytes()));
    }
    if site.x.h >= 1 << 28 {
        return Err(format!("takes pictures less than 2^28 high, got {}", site.x.h));
    }
    if site.y.pixels() >= 1 << 30 {
        return Err(format!("takes fewer than 2^30 output pixels, got {}", site.y.pixels()));
    }
    Ok(())
}
