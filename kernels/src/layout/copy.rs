//! When and how `copy.cu` runs: y's rows are dense and aligned, so that whole vectors are written.

use super::conversion::{CASTS, Conversion, SCALED, Types};
use super::strided::{StridedPair, cost, image, planes, scaled, walk};
use crate::catalog::Kernel;
use crate::index::Walk;
use crate::launch::{Arg, Candidate, CandidateCost, CompileUnit, Launch, Role, Tactic};
use crate::site::{CopySite, Site, View};
use crate::target::{Arch, Target};
use limpid_graph::tensor::DType;

/// Copies in vectors of 16 bytes, casting between the common pairs.
pub struct Copy;

/// Blocks offered.
const THREADS: [u32; 2] = [128, 256];

/// Elements a thread may move, most first: 16 bytes' worth, or 8 if the type changes. To i8 as many as one store of 16
/// bytes takes, which is a whole pixel of few channels, and fewer for parts of a concatenation that are cut finer.
const fn vectors(types: Types) -> &'static [u32] {
    match (types.x.size(), types.y.size()) {
        (1, 1) => &[16, 8, 4],
        (_, 1) => &[16, 8],
        (2, 2) => &[8],
        (4, 4) => &[4],
        (8, 8) => &[2],
        _ => &[8],
    }
}

/// Those worth trying: the most that y's rows allow, and, where x's rows do not allow as many or would move in more
/// than 32 bytes a thread, the most without that fault.
fn offered(site: &CopySite, walk: &Walk, types: Types) -> Vec<u32> {
    let size = site.x.dtype.size();
    let fits = |&vector: &u32| walk.rows_are_whole(1, site.y_offset, site.y.dtype.size(), vector);
    let even = |&vector: &u32| walk.rows_are_whole(0, site.x_offset, size, vector) && size * vector as usize <= 32;
    let fitting: Vec<u32> = vectors(types).iter().copied().filter(fits).collect();
    let mut offered: Vec<u32> = fitting.iter().copied().take(1).collect();
    offered.extend(fitting.iter().copied().find(even).filter(|vector| !offered.contains(vector)));
    offered
}

fn unit(types: Types, vector: u32) -> CompileUnit {
    types.unit("layout/copy.cu", "copy", &[("VECTOR", vector)])
}

/// One way to copy: `vector` elements a thread, `threads` a block.
fn candidate(
    site: &CopySite,
    (walk, conversion): (&Walk, Conversion),
    vector: u32,
    threads: u32,
) -> Result<Candidate, String> {
    let (count, pair) = StridedPair::new(site, walk, conversion, vector);
    let args = vec![Arg::Pointer(Role::Input(0)), Arg::Pointer(Role::Output(0)), Arg::params(&pair)];
    let launch = Launch::linear(unit(conversion.types(site), vector), count, threads, args)?;
    // Gathered lanes are full accesses only while a row of y has few of them.
    let bytes = [site.x.dtype, site.y.dtype].map(|dtype| dtype.size() * vector as usize);
    let efficiency = match pair.x_whole {
        1 if bytes[0] > 32 || bytes[1] < 16 => 0.8,
        1 => 0.9,
        _ if walk.inner() <= vector => 0.7,
        _ => 0.15,
    };
    let cost = CandidateCost { blocks_per_multiprocessor: 1536 / threads, ..cost(site, launch.blocks(), efficiency) };
    let tactic = Tactic::new("layout/copy", &[("vector", vector), ("threads", threads)]);
    Ok(Candidate::plain(tactic, launch, cost))
}

impl Kernel for Copy {
    fn name(&self) -> &'static str {
        "layout/copy"
    }

    fn candidates(&self, site: &Site, _target: &Target) -> Result<Vec<Candidate>, String> {
        let Site::Copy(site) = site else { return Err("is for copies".to_owned()) };
        let conversion = Conversion::of(site)?;
        let types = conversion.types(site).vectored()?;
        let walk = walk(site)?;
        let offered = offered(site, &walk, types);
        if offered.is_empty() {
            return Err(format!(
                "needs dense rows of y that are multiples of {} elements apart, got strides {:?} from element {}",
                vectors(types).last().unwrap_or(&1),
                site.y.strides,
                site.y_offset
            ));
        }
        let ways = offered.iter().flat_map(|&vector| THREADS.map(|threads| (vector, threads)));
        ways.map(|(vector, threads)| candidate(site, (&walk, conversion), vector, threads)).collect()
    }

    fn edge_sites(&self) -> Vec<Site> {
        let mut sites = Vec::new();
        let mut push = |x: View, x_offset: i64, y: View, y_offset: i64| {
            sites.push(Site::Copy(CopySite { x, x_offset, y, y_offset }));
        };
        for dtype in [DType::F32, DType::F16, DType::I8, DType::U8, DType::I32, DType::I64, DType::Bool] {
            for length in [1, 15, 16, 1025] {
                push(View::dense(&[length], dtype), 0, View::dense(&[length], dtype), 0);
            }
        }
        for (x, y) in CASTS {
            push(View::dense(&[3, 37], x), 0, View::dense(&[3, 37], y), 0);
            // Interleaved pictures become images, as input preparation does.
            push(View::dense(&[2, 3, 5, 3], x), 0, image(2, 3, 5, 3, 8, y), 0);
        }
        // Planes become channels, with and without padding lanes.
        for (c, pitch) in [(1, 8), (3, 8), (8, 8), (11, 16)] {
            push(planes(2, 3, 5, c, DType::F32), 0, image(2, 3, 5, c, pitch, DType::F16), 0);
            push(planes(2, 3, 5, c, DType::F16), 0, image(2, 3, 5, c, pitch, DType::F16), 0);
        }
        // Quantized, dequantized, moved to another scale; at and around a vector, and from planes with saturation.
        for (x, y) in SCALED {
            let quantized = |view: View, scale: f32| if view.dtype == DType::I8 { scaled(&view, scale) } else { view };
            let mut push = |x: View, y: View| push(quantized(x, 0.02), 0, quantized(y, 0.006), 0);
            for length in [1, 15, 16, 17, 1025] {
                push(View::dense(&[length], x), View::dense(&[length], y));
            }
            push(image(2, 3, 5, 19, 48, x), image(2, 3, 5, 19, 32, y));
            push(image(2, 3, 5, 8, 16, x), image(2, 3, 5, 8, 32, y));
            for (c, pitch) in [(1, 16), (3, 16), (16, 16), (19, 32)] {
                push(planes(2, 3, 5, c, x), image(2, 3, 5, c, pitch, y));
            }
        }
        // Parts of a concatenation that are cut finer than a vector.
        for (c, from, to) in [(8, 8, 8), (12, 20, 20), (5, 7, 8)] {
            let part = View { zero_lanes: 0, ..image(2, 3, 3, c, 32, DType::I8) };
            let alone = image(2, 3, 3, c, 16, DType::I8);
            push(View { zero_lanes: 0, ..alone.clone() }, 0, part.clone(), to);
            push(scaled(&part, 0.02), from, scaled(&alone, 0.015), 0);
            let reals = image(2, 3, 3, c, 16, DType::F32);
            push(View { zero_lanes: 0, ..reals }, 0, scaled(&part, 0.006), 8);
        }
        // Into the second part of a concatenation, and out of it again.
        let (alone, within) = (image(2, 3, 3, 16, 16, DType::F16), image(2, 3, 3, 16, 40, DType::F16));
        push(alone.clone(), 0, within.clone(), 24);
        push(within, 24, alone, 0);
        // A slice with steps, and one that starts unaligned.
        let y = View::dense(&[2, 3, 8], DType::F32);
        push(View { strides: vec![80, -20, 2], ..y.clone() }, 41, y.clone(), 0);
        push(View { strides: vec![27, 9, 1], ..y.clone() }, 1, y, 0);
        sites
    }

    fn units(&self, _arch: Arch) -> Vec<CompileUnit> {
        let ways = |types: Types| vectors(types).iter().map(move |&vector| unit(types, vector));
        Types::all_vectored().into_iter().flat_map(ways).collect()
    }
}
