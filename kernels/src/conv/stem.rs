//! `conv/stem`: convolutions of few channels on tensor cores, INT8, f16 or TF32.

mod patch;

use super::edges::{self, EdgeKind};
use crate::catalog::Kernel;
use crate::epilogue::{EpilogueParams, bias_len, check_terms, epilogue_args, scales_len};
use crate::index::Divisor;
use crate::launch::{Arg, Candidate, CandidateCost, CompileUnit, Launch, Role, Tactic};
use crate::site::{ConvSite, Image, Site, StemSite, Strided, vector_width};
use crate::target::{Arch, Target};
use crate::tile::Math;
use crate::weights::Packing;
use bytemuck::{Pod, Zeroable};
use limpid_graph::tensor::DType;
use patch::{Depth, Patch};

/// See `conv/stem.cu`.
#[derive(Debug)]
pub struct Stem;

const NAME: &str = "conv/stem";

/// Channels of x at most: with more, whole vectors of them waste less.
const CHANNELS: u32 = 4;

/// Pixels that a window may reach, and a stride: far beyond what fits in shared memory.
const MAX_REACH: u64 = 1 << 15;

/// `StemParams` of stem.cu.
#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
struct StemParams {
    picture: i64,
    x: [i32; 2],
    down: i32,
    along: i32,
    plane: i32,
    planes: i32,
    given: i32,
    factor: f32,
    out: [i32; 2],
    stride: [i32; 2],
    dilation: [i32; 2],
    pad: [i32; 2],
    channels: i32,
    line: i32,
    line_words: i32,
    words: i32,
    steps: i32,
    patch_height: i32,
    patch_pitch: i32,
    patch_width: Divisor,
    tile_shift: i32,
    tiles_across: i32,
    tiles_down: i32,
    tiles: i32,
}

/// How warps share a tile.
#[derive(Clone, Copy, Debug)]
struct Block {
    warp_m: u32,
    warps: u32,
    block_n: u32,
    /// Blocks per multiprocessor that registers are limited for.
    min_blocks: u32,
}

impl Block {
    const fn new(warp_m: u32, warps: u32, block_n: u32, min_blocks: u32) -> Self {
        Self { warp_m, warps, block_n, min_blocks }
    }

    /// Pixels of a tile.
    const fn pixels(&self) -> u32 {
        self.warp_m * self.warps
    }

    const fn threads(&self) -> u32 {
        32 * self.warps
    }

    fn unit(&self, math: Math) -> CompileUnit {
        let defines = [
            ("WARP_M", self.warp_m.to_string()),
            ("WARPS", self.warps.to_string()),
            ("BLOCK_N", self.block_n.to_string()),
            ("MIN_BLOCKS", self.min_blocks.to_string()),
            ("PRECISION", math.name().to_owned()),
        ];
        CompileUnit::new("conv/stem.cu", "conv_stem", defines)
    }
}

/// The large first: small ones are for few pixels.
const BLOCKS: [Block; 7] = [
    Block::new(64, 4, 64, 2),
    Block::new(32, 8, 64, 2),
    Block::new(32, 4, 64, 4),
    Block::new(16, 4, 64, 5),
    Block::new(32, 8, 32, 2),
    Block::new(32, 4, 32, 5),
    Block::new(16, 4, 32, 7),
];

impl Kernel for Stem {
    fn name(&self) -> &'static str {
        NAME
    }

    fn candidates(&self, site: &Site, target: &Target) -> Result<Vec<Candidate>, String> {
        let (site, given) = match site {
            Site::Conv(site) => (site, Given::pixels(&site.x)),
            Site::Stem(StemSite { conv, source }) => (conv, Given::strided(source, &conv.x)?),
            _ => return Err("computes convolutions only".to_owned()),
        };
        let math = Math::tensor_cores(site.precision, target.arch)?;
        check(site, math)?;
        given.check(&site.x)?;
        let depth = Depth::new(site, math);
        let laid: Vec<_> = BLOCKS.iter().filter_map(|block| Tiling::new(site, depth, *block, target)).collect();
        let least = laid.iter().map(Tiling::sums).min();
        let least =
            least.ok_or_else(|| format!("needs filters and patches that fit in shared memory, got {depth:?}"))?;
        let suits = |tiling: &&Tiling| tiling.sums() <= 3 * least;
        Ok(laid.iter().filter(suits).map(|tiling| tiling.candidate(site, given, target)).collect())
    }

    fn edge_sites(&self) -> Vec<Site> {
        let kinds = [EdgeKind::FP16, EdgeKind::TF32, EdgeKind::INT8].into_iter();
        kinds.flat_map(|kind| [edges::stem(kind), edges::given(kind)].concat()).collect()
    }

    fn units(&self, arch: Arch) -> Vec<CompileUnit> {
        let maths = Math::all_tensor_cores(arch);
        maths.into_iter().flat_map(|math| BLOCKS.iter().map(move |block| block.unit(math))).collect()
    }
}

fn check(site: &ConvSite, math: Math) -> Result<(), String> {
    let dtype = math.dtype();
    if site.x.dtype != dtype {
        return Err(format!("needs {dtype} input for {}, got {}", site.precision, site.x.dtype));
    }
    EpilogueParams::check(&site.epilogue, site.y.dtype, site.y.scale)?;
    if site.groups != 1 || !(1..=CHANNELS).contains(&site.x.c) {
        return Err(format!("takes up to {CHANNELS} channels in one group, got {} in {}", site.x.c, site.groups));
    }
    let reach = [0, 1].map(|axis: usize| {
        u64::from(site.dilation[axis]) * u64::from(site.kernel[axis].max(1) - 1) + u64::from(site.kernel[axis])
    });
    if reach.iter().chain(&site.stride.map(u64::from)).any(|&n| n >= MAX_REACH) {
        return Err(format!("takes windows and strides below {MAX_REACH} pixels, got {reach:?} and {:?}", site.stride));
    }
    let taps = u64::from(site.kernel[0]) * u64::from(site.kernel[1]);
    check_terms(site.precision, taps * u64::from(site.x.c))?;
    if site.y.pixels() * u64::from(site.y.c) * taps == 0 || site.stride.contains(&0) {
        return Err("nothing to do: an extent is 0".to_owned());
    }
    if site.y.pixels() >= 1 << 30 || site.pad.iter().any(|&pad| pad >= 1 << 28) {
        return Err(format!("takes fewer than 2^30 output pixels, got {}", site.y.pixels()));
    }
    Ok(())
}

/// How x lies, in numbers of it.
#[derive(Clone, Copy, Debug)]
struct Given {
    /// `Given` of stem.cu.
    kind: i32,
    picture: i64,
    down: i64,
    along: i64,
    plane: i64,
    bytes: u64,
}

impl Given {
    /// As images do.
    fn pixels(x: &Image) -> Self {
        let [down, along] = [i64::from(x.w) * i64::from(x.pitch), i64::from(x.pitch)];
        Self { kind: 0, picture: i64::from(x.h) * down, down, along, plane: 0, bytes: x.bytes() }
    }

    /// As a network's caller has it.
    fn strided(source: &Strided, x: &Image) -> Result<Self, String> {
        let kind = match source.dtype {
            DType::F32 => 1,
            DType::F16 => 2,
            other => return Err(format!("converts f32 and f16, got {other}")),
        };
        if (x.dtype == DType::I8) != x.scale.is_quantized() {
            return Err(format!("needs a scale for i8 and none for others, got {} with {:?}", x.dtype, x.scale));
        }
        let [picture, plane, down, along] = source.strides;
        let bytes = x.pixels() * u64::from(x.c) * source.dtype.size() as u64;
        Ok(Self { kind, picture, down, along, plane, bytes })
    }

    fn check(&self, x: &Image) -> Result<(), String> {
        if self.kind == 0 && (!x.pitch.is_multiple_of(vector_width(x.dtype)) || x.pitch < x.padded_channels()) {
            return Err(format!("needs pixels of whole 16-byte vectors, got a pitch of {} elements", x.pitch));
        }
        let extents = [(x.h, self.down), (x.w, self.along), (x.c, self.plane)];
        if extents.iter().any(|(_, stride)| *stride < 0) {
            return Err(format!("walks forwards, got strides {extents:?}"));
        }
        // An element's place in its picture is counted in 31 bits.
        let last = extents.map(|(extent, stride)| u128::from(extent) * stride.unsigned_abs() as u128);
        if last.iter().sum::<u128>() >= 1 << 31 {
            return Err(format!("takes pictures below 2^31 elements, got {}x{}x{}", x.h, x.w, x.c));
        }
        Ok(())
    }
}

/// Tiles of a block laid over a site.
struct Tiling {
    block: Block,
    depth: Depth,
    patch: Patch,
    /// Tiles of all pictures.
    tiles: u32,
    columns: u32,
    shared_bytes: u32,
    resident: u32,
}

impl Tiling {
    /// `None` if it does not fit in shared memory.
    fn new(site: &ConvSite, depth: Depth, block: Block, target: &Target) -> Option<Self> {
        let other = block.block_n * (32 * depth.steps + 16) + 64 * depth.steps;
        let room = target.shared_per_block.checked_sub(other)?;
        let patch = Patch::best(site, depth, block.pixels(), room)?;
        let shared_bytes = other + patch.bytes();
        // A block takes 1 KiB for the driver besides its own.
        let by_shared = target.shared_per_multiprocessor / (shared_bytes + 1024);
        let resident = by_shared.min(block.min_blocks).max(1);
        let tiles = u32::try_from(u64::from(patch.tiles[0]) * u64::from(patch.tiles[1]) * u64::from(site.x.n)).ok()?;
        let columns = site.y.c.div_ceil(block.block_n);
        (tiles < 1 << 30 && columns < 1 << 16).then_some(Self {
            block,
            depth,
            patch,
            tiles,
            columns,
            shared_bytes,
            resident,
        })
    }

    /// Sums that are computed, those outside of y too.
    fn sums(&self) -> u64 {
        u64::from(self.tiles) * u64::from(self.columns) * u64::from(self.block.pixels() * self.block.block_n)
    }

    fn candidate(&self, site: &ConvSite, given: Given, target: &Target) -> Candidate {
        let Self { block, depth, patch, .. } = self;
        let params = StemParams {
            picture: given.picture,
            x: [site.x.h, site.x.w].map(|n| n as i32),
            down: given.down as i32,
            along: given.along as i32,
            plane: given.plane as i32,
            planes: site.x.c as i32,
            given: given.kind,
            factor: site.x.scale.inverse(),
            out: [site.y.h, site.y.w].map(|n| n as i32),
            stride: site.stride.map(|n| n as i32),
            dilation: site.dilation.map(|n| n as i32),
            pad: site.pad.map(|n| n as i32),
            channels: depth.channels as i32,
            line: depth.line as i32,
            line_words: depth.line_words as i32,
            words: depth.words as i32,
            steps: depth.steps as i32,
            patch_height: patch.height as i32,
            patch_pitch: patch.pitch as i32,
            patch_width: Divisor::new(patch.width),
            tile_shift: patch.tile_width.trailing_zeros() as i32,
            tiles_across: patch.tiles[1] as i32,
            tiles_down: patch.tiles[0] as i32,
            tiles: self.tiles as i32,
        };
        let mut args = vec![Arg::Pointer(Role::Input(0)), Arg::Pointer(Role::Weights)];
        args.extend(epilogue_args(&site.epilogue, site.precision));
        args.push(Arg::params(&params));
        args.push(Arg::params(&EpilogueParams::image(&site.epilogue, &site.y)));
        // As many blocks as the chip holds, and no more than share the tiles evenly.
        let slots = (target.multiprocessors * self.resident / self.columns).max(1);
        let blocks = self.tiles.div_ceil(self.tiles.div_ceil(slots));
        let word = depth.word;
        Candidate {
            tactic: Tactic::new(
                NAME,
                &[
                    ("block_m", block.pixels()),
                    ("block_n", block.block_n),
                    ("warp_m", block.warp_m),
                    ("tile_w", patch.tile_width),
                ],
            ),
            launches: vec![Launch {
                unit: block.unit(depth.math),
                grid: [blocks, self.columns, 1],
                block: [block.threads(), 1, 1],
                cluster: Launch::ALONE,
                shared_bytes: self.shared_bytes,
                args,
                dependent: false,
            }],
            workspace: 0,
            weights: Some(Packing::Lines {
                k_pad: self.columns * block.block_n,
                c_pad: depth.channels,
                taps: site.kernel[1],
                line: depth.line_words * word,
                row: (8 * depth.steps + 4) * word,
                dtype: depth.math.dtype(),
                tf32: depth.math == Math::Tf32,
            }),
            bias_len: bias_len(&site.epilogue, site.y.c),
            scales_len: scales_len(site.precision, site.y.c),
            cost: self.cost(site, given.bytes, target),
        }
    }

    /// Whole tiles; x once, since what patches share lies in L2. An estimate: nobody fitted it to measured times.
    fn cost(&self, site: &ConvSite, input: u64, target: &Target) -> CandidateCost {
        let (m, n) = (self.block.warp_m as f32, self.block.block_n as f32);
        // As of other tiles of mma.sync, fewer products a number read; see `Tile::efficiency`. The patch comes in between.
        let reuse = m * n / (m + n);
        let ceiling = if (90..120).contains(&target.arch.0) { 0.62 } else { 0.9 };
        let steps = self.depth.steps as f32;
        let residual = site.epilogue.residual.map_or(0, |r| r.bytes());
        CandidateCost {
            flops: 2 * self.sums() * u64::from(8 * self.depth.steps * self.depth.word),
            bytes: input + site.y.bytes() + residual,
            blocks: u64::from(self.tiles) * u64::from(self.columns),
            blocks_per_multiprocessor: self.resident,
            efficiency: ceiling * reuse / (reuse + 10.0) * steps / (steps + 2.0),
            tensor_cores: true,
        }
    }
}
