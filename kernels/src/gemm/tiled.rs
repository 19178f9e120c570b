//! What both tiled products share: the host's side of `gemm.cuh`.

use super::split_k::{self, SplitKParams};
use super::{check, converts, epilogue};
use crate::epilogue::{COLUMNS_PER_THREAD, bias_len, epilogue_args, scales_len};
use crate::launch::{Arg, Candidate, CompileUnit, Role};
use crate::site::{GemmOperand, GemmSite, vector_width};
use crate::target::{Arch, Target};
use crate::tile::{Build, Math, Problem, Tile, TileGrid, Tiling};
use crate::weights::Packing;
use bytemuck::{Pod, Zeroable};
use limpid_graph::ir::Precision;
use limpid_graph::tensor::DType;

/// One of the kernels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tiled {
    pub name: &'static str,
    pub source: &'static str,
    pub entry: &'static str,
    pub menu: &'static [Tile],
    /// The menu where the left operand is f32 that is converted.
    pub real_menu: &'static [Tile],
}

/// `GemmParams` of gemm.cuh.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
struct GemmParams {
    stride_a: i64,
    stride_b: i64,
    stride_y: i64,
    grid: TileGrid,
    m: i32,
    n: i32,
    k: i32,
    pitch_a: i32,
    pitch_b: i32,
    columns_b: i32,
    inv_scale_a: f32,
    /// CUDA's struct ends at a multiple of 8 bytes as well.
    end: i32,
}

impl Tiled {
    /// The tiles for a build. Operands that cannot be copied in vectors are offered few: the time goes into copying.
    fn menu(self, build: Build) -> impl Iterator<Item = &'static Tile> {
        let menu = if build.real_a { self.real_menu } else { self.menu };
        menu.iter().filter(move |tile| build.aligned || (tile.block_m == tile.block_n && tile.block_m <= 64))
    }

    /// Everything it may ask to compile.
    pub fn units(self, arch: Arch, maths: &[Math]) -> Vec<CompileUnit> {
        let mut units = vec![split_k::unit(Precision::Fp32)];
        if maths.contains(&Math::Int8) {
            units.push(split_k::unit(Precision::Int8));
        }
        for &math in maths {
            let ways = [(true, false), (true, true), (false, false), (false, true)];
            for (aligned, k_by_n) in ways.into_iter().filter(|(_, k_by_n)| math.takes_k_by_n() || !k_by_n) {
                let build = Build { arch, math, aligned, k_by_n, real_a: false };
                units.extend(self.menu(build).flat_map(|tile| tile.units(self.source, self.entry, build)));
            }
            for aligned in [true, false].into_iter().filter(|_| math.dtype() != DType::F32) {
                let build = Build { arch, math, aligned, k_by_n: false, real_a: true };
                units.extend(self.menu(build).flat_map(|tile| tile.units(self.source, self.entry, build)));
            }
        }
        units
    }

    /// Every tile that suits the site, or what the site would have to be.
    pub fn candidates(self, site: &GemmSite, math: Math, target: &Target) -> Result<Vec<Candidate>, String> {
        check(site)?;
        let (dtype, width) = (math.dtype(), math.width());
        let k_by_n = site.b != GemmOperand::Weights;
        let real_a = site.dtype_a != dtype && converts(site, dtype);
        if site.dtype_a != dtype && !real_a {
            return Err(format!("needs {dtype} operands for {}, got {}", site.precision, site.dtype_a));
        }
        if k_by_n && !math.takes_k_by_n() {
            return Err(format!("needs constant weights for {}, got activations", site.precision));
        }
        let aligned = aligned(site, width, if real_a { vector_width(DType::F32) } else { width });
        let build = Build { arch: target.arch, math, aligned, k_by_n, real_a };
        let (n_pad, k_pad) = (site.n.next_multiple_of(COLUMNS_PER_THREAD), site.k.next_multiple_of(width));
        let (b, pitch_b, stride_b, columns_b, weights) = match site.b {
            GemmOperand::Weights => (Role::Weights, k_pad, 0, k_pad, Some(Packing::Rows { n_pad, k_pad, dtype })),
            GemmOperand::Activations { pitch, stride } => (Role::Input(1), pitch, stride, site.n, None),
        };
        let elements =
            |rows: u32, columns: u32, batches: u32| u64::from(rows) * u64::from(columns) * u64::from(batches);
        let residual = site.epilogue.residual.map_or(0, |r| r.bytes() * u64::from(site.batch));
        let problem = Problem {
            rows: site.m.into(),
            columns: site.n.into(),
            depth_vectors: site.k.div_ceil(width).into(),
            batches: site.batch.into(),
            bytes: [
                elements(site.m, site.k, site.batch) * site.dtype_a.size() as u64,
                elements(site.n, site.k, if stride_b == 0 { 1 } else { site.batch }) * dtype.size() as u64,
                elements(site.m, site.n, site.batch) * site.dtype_y.size() as u64 + residual,
            ],
        };
        let params = |tiling: &Tiling| GemmParams {
            stride_a: site.stride_a as i64,
            stride_b: stride_b as i64,
            stride_y: site.stride_y as i64,
            grid: tiling.grid_params(),
            m: site.m as i32,
            n: site.n as i32,
            k: site.k as i32,
            pitch_a: site.pitch_a as i32,
            pitch_b: pitch_b as i32,
            columns_b: columns_b as i32,
            inv_scale_a: site.scale_a.inverse(),
            end: 0,
        };
        let epilogue = epilogue(site);
        let candidate = |tiling: Tiling| {
            let split = tiling.splits > 1;
            let mut args = vec![Arg::Pointer(Role::Input(0)), Arg::Pointer(b)];
            args.extend(epilogue_args(&site.epilogue, site.precision));
            args.push(Arg::optional(Role::Workspace, split));
            args.push(Arg::params(&params(&tiling)));
            args.push(Arg::params(&epilogue));
            args.push(Arg::NOTHING_AHEAD);
            let mut launches = vec![tiling.launch(self.source, self.entry, args)];
            if split {
                let sums = SplitKParams::batches(tiling.splits, site.batch, site.m, site.n, site.stride_y);
                launches.push(split_k::launch(&sums, &site.epilogue, site.precision, &epilogue));
            }
            Candidate {
                tactic: tiling.tactic(self.name),
                launches,
                workspace: tiling.workspace() as usize,
                weights,
                bias_len: bias_len(&site.epilogue, site.n),
                scales_len: scales_len(site.precision, site.n),
                cost: tiling.cost(target),
            }
        };
        let menu: Vec<_> = self.menu(build).copied().collect();
        Ok(Tiling::all(&menu, build, problem, target)?.into_iter().map(candidate).collect())
    }
}

/// True if every operand can be copied in whole vectors, and none of them holds anything but its own numbers.
fn aligned(site: &GemmSite, width: u32, width_a: u32) -> bool {
    let whole = |value: u32| value.is_multiple_of(width);
    let batches_whole = |stride: u64| site.batch == 1 || stride.is_multiple_of(width.into());
    let b = match site.b {
        GemmOperand::Weights => true,
        GemmOperand::Activations { pitch, stride } => whole(site.n) && whole(pitch) && batches_whole(stride),
    };
    let whole_a = |value: u64| value.is_multiple_of(width_a.into());
    b && whole_a(site.k.into()) && whole_a(site.pitch_a.into()) && (site.batch == 1 || whole_a(site.stride_a))
}
