//! What both tiled kernels share: the host's side of `phase.cuh`.

use super::geometry::{channels, filters, site_of};
use crate::epilogue::{EpilogueParams, bias_len, epilogue_args, scales_len};
use crate::launch::{Arg, Candidate, CompileUnit, Role};
use crate::site::{ConvTransposeSite, Site, VECTOR_BYTES};
use crate::target::Target;
use crate::tile::{Build, Problem, Tile, TileGrid, Tiling};
use crate::weights::Packing;
use bytemuck::{Pod, Zeroable};

/// One of the kernels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Phased {
    pub name: &'static str,
    pub source: &'static str,
    pub entry: &'static str,
}

/// `PhaseParams` of phase.cuh.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
struct PhaseParams {
    grid: TileGrid,
    pictures: i32,
    extent: [i32; 2],
    pixel_vectors: i32,
    out_extent: [i32; 2],
    kernel: [i32; 2],
    stride: [i32; 2],
    dilation: [i32; 2],
    pad: [i32; 2],
    groups: i32,
    filters: i32,
    channel_vectors: i32,
}

/// The most taps of an axis that one phase has: every stride/gcd(stride, dilation)-th divides.
fn taps(kernel: u32, stride: u32, dilation: u32) -> u32 {
    let every = (1..=stride).find(|n| (n * dilation).is_multiple_of(stride)).unwrap_or(1);
    kernel.div_ceil(every)
}

fn check(site: &ConvTransposeSite, build: Build) -> Result<(), String> {
    let (dtype, width) = (build.math.dtype(), build.math.width());
    if site.x.dtype != dtype {
        return Err(format!("needs {dtype} input for {}, got {}", site.precision, site.x.dtype));
    }
    let (channels, filters) = (channels(site), filters(site));
    if site.groups > 1 && (channels % width != 0 || filters % 8 != 0) {
        return Err(format!(
            "needs groups of a multiple of {width} channels and of 8 filters, got {channels} and {filters}"
        ));
    }
    if site.x.pixels() * u64::from(site.x.pitch / width) >= 1 << 31 {
        return Err(format!("takes inputs of fewer than 2^31 vectors, got {} bytes", site.x.bytes()));
    }
    Ok(())
}

impl Phased {
    /// Everything the menu may ask to compile.
    pub fn units(self, build: Build, menu: &[Tile]) -> Vec<CompileUnit> {
        let menu = menu.iter().filter(|tile| tile.fits_registers(build));
        menu.map(|tile| tile.unit(self.source, self.entry, build, false)).collect()
    }

    /// Every tile that suits the site, or what the site would have to be. K is not split: phases and groups make
    /// blocks enough.
    pub fn candidates(
        self,
        site: &Site,
        build: Build,
        menu: &[Tile],
        target: &Target,
    ) -> Result<Vec<Candidate>, String> {
        let site = site_of(site)?;
        check(site, build)?;
        let (x, y) = (&site.x, &site.y);
        let filters = filters(site);
        let channel_vectors = channels(site).div_ceil(build.math.width());
        let most = |axis: usize| taps(site.kernel[axis], site.stride[axis], site.dilation[axis]);
        let weights = u64::from(site.kernel[0] * site.kernel[1]) * u64::from(site.y.c * channel_vectors * VECTOR_BYTES);
        let problem = Problem {
            rows: u64::from(y.n) * u64::from(y.h.div_ceil(site.stride[0])) * u64::from(y.w.div_ceil(site.stride[1])),
            columns: filters.into(),
            depth_vectors: u64::from(most(0) * most(1)) * u64::from(channel_vectors),
            batches: u64::from(site.stride[0] * site.stride[1]) * u64::from(site.groups),
            bytes: [x.bytes(), weights, y.bytes() + site.epilogue.residual.map_or(0, |r| r.bytes())],
        };
        let signed = |pair: [u32; 2]| pair.map(|v| v as i32);
        let candidate = |tiling: Tiling| {
            let params = PhaseParams {
                grid: tiling.grid_params(),
                pictures: x.n as i32,
                extent: signed([x.h, x.w]),
                pixel_vectors: (x.pitch / build.math.width()) as i32,
                out_extent: signed([y.h, y.w]),
                kernel: signed(site.kernel),
                stride: signed(site.stride),
                dilation: signed(site.dilation),
                pad: signed(site.pad),
                groups: site.groups as i32,
                filters: filters as i32,
                channel_vectors: channel_vectors as i32,
            };
            let mut args = vec![Arg::Pointer(Role::Input(0)), Arg::Pointer(Role::Weights)];
            args.extend(epilogue_args(&site.epilogue, site.precision));
            args.extend([Arg::params(&params), Arg::params(&EpilogueParams::image(&site.epilogue, y))]);
            Candidate {
                tactic: tiling.tactic(self.name),
                launches: vec![tiling.launch(self.source, self.entry, args)],
                workspace: 0,
                weights: Some(Packing::TransposedRskc {
                    groups: site.groups,
                    k_pad: filters,
                    c_pad: channel_vectors * build.math.width(),
                    dtype: build.math.dtype(),
                }),
                bias_len: bias_len(&site.epilogue, y.c),
                scales_len: scales_len(site.precision, y.c),
                cost: tiling.cost(target),
            }
        };
        let tilings = Tiling::all(menu, build, problem, target)?;
        Ok(tilings.into_iter().filter(|tiling| tiling.splits == 1 && tiling.cluster == 1).map(candidate).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::taps;

    #[test]
    fn phases_share_the_taps_out() {
        assert_eq!(taps(2, 2, 1), 1, "kernel = stride: one tap a phase");
        assert_eq!(taps(3, 2, 1), 2, "taps 0 and 2, or tap 1");
        assert_eq!(taps(3, 2, 2), 3, "all taps fall into the same phase");
        assert_eq!(taps(1, 3, 1), 1);
    }
}
