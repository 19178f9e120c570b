//! When and how `copy.cu` runs: y's rows are dense and aligned, so that whole vectors are written.

use super::strided::{StridedPair, cost, image, planes, walk};
use crate::catalog::Kernel;
use crate::launch::{Arg, Candidate, CandidateCost, CompileUnit, Launch, Role, Tactic, cuda_type};
use crate::site::{CopySite, Site, View};
use crate::target::{Arch, Target};
use limpid_graph::tensor::DType;

/// Copies in vectors of 16 bytes, casting between the common pairs.
pub struct Copy;

/// Blocks offered.
const THREADS: [u32; 2] = [128, 256];

/// The casts it has vectors for; layout/cast has all others.
const CASTS: [(DType, DType); 6] = [
    (DType::F32, DType::F16),
    (DType::F16, DType::F32),
    (DType::U8, DType::F16),
    (DType::U8, DType::F32),
    (DType::I8, DType::F16),
    (DType::I8, DType::F32),
];

/// One type for all of a size: a copy moves bits.
pub(super) const fn of_size(dtype: DType) -> DType {
    match dtype.size() {
        1 => DType::I8,
        2 => DType::F16,
        4 => DType::I32,
        _ => DType::I64,
    }
}

/// Elements a thread moves: 16 bytes' worth, or 8 if the type changes.
const fn vector(x: DType, y: DType) -> u32 {
    if x.size() == y.size() { 16 / x.size() as u32 } else { 8 }
}

fn unit(x: DType, y: DType) -> CompileUnit {
    let defines = [
        ("X_TYPE", cuda_type(x).to_owned()),
        ("Y_TYPE", cuda_type(y).to_owned()),
        ("VECTOR", vector(x, y).to_string()),
    ];
    CompileUnit::new("layout/copy.cu", "copy", defines)
}

/// The types it is compiled for, or why it is not.
pub(super) fn types(site: &CopySite) -> Result<(DType, DType), String> {
    let pair = (site.x.dtype, site.y.dtype);
    if pair.0 == pair.1 {
        Ok((of_size(pair.0), of_size(pair.1)))
    } else if CASTS.contains(&pair) {
        Ok(pair)
    } else {
        Err(format!("has no vectors for a cast from {} to {}", pair.0, pair.1))
    }
}

impl Kernel for Copy {
    fn name(&self) -> &'static str {
        "layout/copy"
    }

    fn candidates(&self, site: &Site, _target: &Target) -> Result<Vec<Candidate>, String> {
        let Site::Copy(site) = site else { return Err("is for copies".to_owned()) };
        let (x, y) = types(site)?;
        let walk = walk(site)?;
        let vector = vector(x, y);
        let (count, pair) = StridedPair::new(site, &walk, vector);
        if pair.y_whole == 0 {
            return Err(format!(
                "needs dense rows of y that are multiples of {vector} elements apart, got strides {:?}",
                site.y.strides
            ));
        }
        let args = vec![Arg::Pointer(Role::Input(0)), Arg::Pointer(Role::Output(0)), Arg::params(&pair)];
        // Gathered lanes are full accesses only while a row of y has few of them.
        let efficiency = match pair.x_whole {
            1 => 0.9,
            _ if walk.inner() <= vector => 0.7,
            _ => 0.15,
        };
        let candidate = |threads: u32| {
            let launch = Launch::linear(unit(x, y), count, threads, args.clone())?;
            let cost =
                CandidateCost { blocks_per_multiprocessor: 1536 / threads, ..cost(site, launch.blocks(), efficiency) };
            let tactic = Tactic::new("layout/copy", &[("vector", vector), ("threads", threads)]);
            Ok(Candidate::plain(tactic, launch, cost))
        };
        THREADS.map(candidate).into_iter().collect()
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
        let same = [DType::I8, DType::F16, DType::I32, DType::I64].map(|d| (d, d));
        same.iter().chain(&CASTS).map(|&(x, y)| unit(x, y)).collect()
    }
}
