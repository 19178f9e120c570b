//! When and how `picture.cu` runs: pictures as bytes in front of a network.

use crate::catalog::Kernel;
use crate::launch::{Arg, Candidate, CandidateCost, CompileUnit, Launch, Role, Tactic, cuda_type};
use crate::site::{Image, PictureSite, Scale, Site, vector_width};
use crate::target::{Arch, Target};
use bytemuck::{Pod, Zeroable};
use limpid_graph::ops::Cost;
use limpid_graph::ops::picture::{Channels, Normalization, reach};
use limpid_graph::tensor::DType;

/// One block for a tile of 32 columns of the network's input.
pub struct Picture;

/// `PictureParams` of picture.cu; axes are along a row, along a column.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Params {
    scale: [f64; 2],
    support: [f64; 2],
    y_pitch: i64,
    source: [i32; 2],
    target: [i32; 2],
    corner: [i32; 2],
    taps: [i32; 2],
    pixel_scale: f32,
    mean: [f32; 3],
    std: [f32; 3],
    inverse: f32,
    order: i32,
    block_rows: i32,
    pictures: i32,
    reserved: i32,
}

/// Threads of a block.
const THREADS: u32 = 256;
/// Columns of a tile.
const COLUMNS: u32 = 32;
/// Rows of a tile, the customary first; few where many source rows lie under each.
const BLOCK_ROWS: [u32; 5] = [8, 16, 4, 2, 1];
/// What every GPU gives a block without being asked.
const SHARED_BYTES: u64 = 48 << 10;
/// Blocks the third dim of a grid may have.
const MAX_GRID_Z: u32 = 65_535;
const TYPES: [DType; 3] = [DType::F32, DType::F16, DType::I8];

fn unit(y: DType, channels: usize) -> CompileUnit {
    let defines = [("Y_TYPE", cuda_type(y).to_owned()), ("CHANNELS", channels.to_string())];
    let threads = ("THREADS", THREADS.to_string());
    CompileUnit::new("resize/picture.cu", "picture", defines.into_iter().chain([threads]))
}

fn params(site: &PictureSite, block_rows: u32) -> Params {
    let axes = [(site.x.w, site.resized[1]), (site.x.h, site.resized[0])];
    let reach = axes.map(|(source, target)| reach(source as usize, target as usize));
    let numbers = &site.numbers;
    let of = |values: &[f32]| std::array::from_fn(|channel| Normalization::of(values, channel));
    Params {
        scale: reach.map(|(scale, _)| scale),
        support: reach.map(|(_, support)| support),
        y_pitch: i64::from(site.y.pitch),
        source: [site.x.w as i32, site.x.h as i32],
        target: [site.y.w as i32, site.y.h as i32],
        corner: [site.corner[1] as i32, site.corner[0] as i32],
        taps: reach.map(|(_, support)| (2.0 * support).ceil() as i32 + 1),
        pixel_scale: numbers.scale,
        mean: of(&numbers.mean),
        std: of(&numbers.std),
        inverse: site.y.scale.inverse(),
        order: site.channels as i32,
        block_rows: block_rows as i32,
        pictures: site.y.n as i32,
        reserved: 0,
    }
}

/// Weights and what they are made from, and the source rows under a tile, which take the place of the latter.
fn shared_bytes(params: &Params, channels: usize) -> u64 {
    let rows = params.block_rows as u64;
    let positions = u64::from(COLUMNS) + rows;
    let weights = u64::from(COLUMNS) * params.taps[0] as u64 + rows * params.taps[1] as u64;
    let lines = ((rows - 1) as f64 * params.scale[1] + 2.0 * params.support[1]).ceil() as u64 + 2;
    let lines = lines * u64::from(COLUMNS) * channels as u64;
    16 * positions + 4 * weights.next_multiple_of(2) + lines.max(8 * weights)
}

fn check(site: &PictureSite) -> Result<(), String> {
    let (x, y) = (&site.x, &site.y);
    if (x.dtype, x.c, x.pitch) != (DType::U8, 3, 3) || !TYPES.contains(&y.dtype) {
        return Err(format!("needs x of 3 bytes a pixel and y of f32, f16 or i8, got {} and {}", x.dtype, y.dtype));
    }
    if x.n != y.n || y.c as usize != site.channels.count() {
        return Err(format!("needs y of {} pictures and {} channels, got {y:?}", x.n, site.channels.count()));
    }
    if x.pixels() == 0 || y.pixels() == 0 || x.h.max(x.w) >= 1 << 24 {
        return Err(format!("takes extents of 1 to {}, got {x:?} and {y:?}", (1 << 24) - 1));
    }
    if [0, 1].into_iter().any(|axis| site.corner[axis] + [y.h, y.w][axis] > site.resized[axis]) {
        return Err(format!("needs y inside of {:?}, got {y:?} from {:?} on", site.resized, site.corner));
    }
    Ok(())
}

impl Kernel for Picture {
    fn name(&self) -> &'static str {
        "resize/picture"
    }

    fn candidates(&self, site: &Site, _target: &Target) -> Result<Vec<Candidate>, String> {
        let Site::Picture(site) = site else { return Err("is for pictures of bytes".to_owned()) };
        check(site)?;
        let (y, channels) = (&site.y, site.channels.count());
        let candidate = |block_rows: u32| {
            let params = params(site, block_rows);
            let shared = shared_bytes(&params, channels);
            let grid = [y.w.div_ceil(COLUMNS), y.h.div_ceil(block_rows), y.n.min(MAX_GRID_Z)];
            if shared > SHARED_BYTES || grid[1] > MAX_GRID_Z {
                return None;
            }
            let args = vec![Arg::Pointer(Role::Input(0)), Arg::Pointer(Role::Output(0)), Arg::params(&params)];
            let (unit, block) = (unit(y.dtype, channels), [THREADS, 1, 1]);
            let (cluster, shared_bytes) = (Launch::ALONE, shared as u32);
            let launch = Launch { unit, grid, block, cluster, shared_bytes, args, dependent: false };
            let along = |axis: usize| params.taps[axis] as u64 * channels as u64;
            let flops = 2 * (u64::from(site.x.n * site.x.h * y.w) * along(0) + y.pixels() * along(1));
            let cost = Cost { flops, bytes: site.x.bytes() + y.bytes() };
            let cost = CandidateCost {
                blocks_per_multiprocessor: ((200 << 10) / shared.max(1)).clamp(1, 8) as u32,
                ..CandidateCost::of(cost, launch.blocks(), 0.4)
            };
            Some(Candidate::plain(Tactic::new("resize/picture", &[("block_rows", block_rows)]), launch, cost))
        };
        let candidates: Vec<Candidate> = BLOCK_ROWS.into_iter().filter_map(candidate).take(3).collect();
        match candidates.is_empty() {
            true => {
                Err(format!("takes no picture so much larger than y: {:?} pixels become {:?}", site.x, site.resized))
            }
            false => Ok(candidates),
        }
    }

    fn edge_sites(&self) -> Vec<Site> {
        let mut sites = Vec::new();
        // Extents of x, what it is resized to, where y begins in that, and y's own extents.
        let geometries = [
            ([1, 1], [1, 1], [0, 0], [1, 1]),
            ([5, 7], [8, 12], [1, 1], [6, 10]),
            // As large as it comes along one axis, and then along the other.
            ([9, 33], [18, 33], [0, 0], [18, 33]),
            ([17, 20], [17, 9], [0, 1], [16, 8]),
            // Many source pixels to one, and tiles that stick out.
            ([37, 131], [9, 34], [0, 1], [9, 33]),
            ([64, 40], [3, 2], [0, 0], [3, 2]),
        ];
        let orders = [Channels::Rgb, Channels::Bgr, Channels::Gray];
        for (from, resized, corner, [h, w]) in geometries {
            for (dtype, channels) in TYPES.into_iter().flat_map(|dtype| orders.map(|channels| (dtype, channels))) {
                let x = Image { pitch: 3, ..Image::dense(2, from[0], from[1], 3, DType::U8) };
                let scale = if dtype == DType::I8 { Scale::new(0.02) } else { Scale::ONE };
                let y = Image { scale, ..Image::dense(2, h, w, channels.count() as u32, dtype) };
                let numbers = Normalization { scale: 1.0 / 255.0, mean: vec![0.485, 0.456, 0.406], std: vec![0.226] };
                let site = PictureSite { x, y, channels, resized, corner, numbers };
                // Dense pixels, for networks that have their channels last.
                let pitch = if y.pitch == vector_width(dtype) { y.c } else { y.pitch };
                let dense = PictureSite { y: Image { pitch, ..y }, ..site.clone() };
                sites.extend([Site::Picture(site), Site::Picture(dense)]);
            }
        }
        sites
    }

    fn units(&self, _arch: Arch) -> Vec<CompileUnit> {
        TYPES.into_iter().flat_map(|y| [1, 3].map(|channels| unit(y, channels))).collect()
    }
}
