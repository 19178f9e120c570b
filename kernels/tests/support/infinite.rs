//! A number that is not finite stays in its channel: kernels that multiply several channels at once, by zeros, must not
//! let 0·∞ into the others.

use super::executor::Executor;
use super::layout::{Layout, encode};
use super::problem::Problem;
use limpid_graph::ir::Precision;
use limpid_graph::ops::Epilogue;
use limpid_graph::tensor::DType;
use limpid_kernels::catalog::{self, KERNELS};
use limpid_kernels::emulator::Buffer;
use limpid_kernels::launch::Role;
use limpid_kernels::site::{ConvSite, EpilogueSite, Image, Site};
use limpid_kernels::target::{Arch, Target};

/// Height and width of the picture, its channels, and where the number is.
const EXTENT: u32 = 11;
const CHANNELS: u32 = 24;
const PLACE: [usize; 3] = [4, 9, 13];

/// A depthwise convolution of 3x3 that nothing follows.
fn site() -> ConvSite {
    let image = Image::dense(1, EXTENT, EXTENT, CHANNELS, DType::F16);
    ConvSite {
        x: image,
        y: image,
        kernel: [3, 3],
        stride: [1, 1],
        dilation: [1, 1],
        pad: [1, 1],
        groups: CHANNELS,
        precision: Precision::Fp16,
        epilogue: EpilogueSite { steps: Epilogue::default(), residual: None },
    }
}

/// Whether an output's window holds the number.
fn is_met(index: usize) -> bool {
    let (width, channels) = (EXTENT as usize, CHANNELS as usize);
    let [h, w, c] = [index / (width * channels), index / channels % width, index % channels];
    c == PLACE[2] && h.abs_diff(PLACE[0]) <= 1 && w.abs_diff(PLACE[1]) <= 1
}

/// True if every depthwise kernel leaves all other channels and pixels as they would be without it.
pub fn stays_in_its_channel(executor: &dyn Executor, arch: Arch) -> bool {
    let (site, target) = (site(), Target::typical(arch));
    let mut problem = Problem::new(&Site::Conv(site));
    let layout = Layout::image(&site.x);
    let at = (PLACE[0] * EXTENT as usize + PLACE[1]) * site.x.pitch as usize + PLACE[2];
    if let Some(x) = problem.memory.get_mut(&Role::Input(0)) {
        x.bytes[layout.range(at)].copy_from_slice(&encode(DType::F16, f64::INFINITY));
    }
    let tolerance = problem.tolerance.expect("reals are held to one");
    let kernels = KERNELS.iter().filter(|kernel| kernel.name().starts_with("depthwise/"));
    let candidates = kernels.filter_map(|kernel| catalog::candidates(*kernel, &Site::Conv(site), &target).ok());
    let (mut tactics, mut failures) = (0, Vec::new());
    for candidate in candidates.flatten() {
        tactics += 1;
        let mut memory = problem.memory.clone();
        let weights = problem.weights.as_ref().zip(candidate.weights.as_ref());
        let packed = weights.map(|(weights, packing)| packing.pack(weights).expect("fits its own site"));
        memory.insert(Role::Weights, Buffer::input(packed.unwrap_or_default()));
        memory.insert(Role::Output(0), Buffer::output(problem.output.bytes()));
        if let Err(what) = executor.run(&candidate.launches, arch, &mut memory) {
            failures.push(format!("{}: {what}", candidate.tactic));
            continue;
        }
        let got = problem.output.values(&memory[&Role::Output(0)]);
        let wrong = |&i: &usize| match is_met(i) {
            true => got[i].is_finite(),
            false => tolerance.check(&[got[i] as f32], &[problem.want[i] as f32]).is_err(),
        };
        if let Some(i) = (0..got.len()).find(wrong) {
            let (got, want) = (got[i], problem.want[i]);
            failures.push(format!("{}: element {i} is {got}, without the infinite number {want}", candidate.tactic));
        }
    }
    let word = if failures.is_empty() && tactics > 0 { "ok" } else { "FAILED" };
    println!("{:24} {tactics:3} tactics                     {word}", "one infinite number");
    failures.iter().for_each(|failure| println!("  {failure}"));
    failures.is_empty() && tactics > 0
}
