//! The checks are themselves checked: candidates spoilt on purpose must be found out, and for what they are.

use crate::support::problem::Problem;
use crate::verdict::check_site;
use limpid_graph::ir::Precision;
use limpid_graph::ops::{Activation, Epilogue};
use limpid_graph::tensor::DType;
use limpid_kernels::catalog::Kernel;
use limpid_kernels::conv;
use limpid_kernels::emulator::Emulator;
use limpid_kernels::launch::{Arg, Candidate, CompileUnit, Role};
use limpid_kernels::site::{ConvSite, EpilogueSite, Image, Site};
use limpid_kernels::target::{Arch, Target};

/// The f32 convolution with something wrong in each of its candidates.
struct Spoilt(fn(&mut Candidate));

impl Kernel for Spoilt {
    fn name(&self) -> &'static str {
        "spoilt"
    }

    fn candidates(&self, site: &Site, target: &Target) -> Result<Vec<Candidate>, String> {
        let mut candidates = conv::Simt.candidates(site, target)?;
        candidates.iter_mut().for_each(self.0);
        Ok(candidates)
    }

    fn edge_sites(&self) -> Vec<Site> {
        vec![site()]
    }

    fn units(&self, arch: Arch) -> Vec<CompileUnit> {
        conv::Simt.units(arch)
    }
}

/// 3x3 on 7 channels, with bias: padding lanes on both sides, and more pixels than any tile has rows.
fn site() -> Site {
    let image = |c| Image::dense(1, 17, 17, c, DType::F32);
    let steps = Epilogue { bias: true, post: Activation::Relu, ..Default::default() };
    Site::Conv(ConvSite {
        x: image(7),
        y: image(13),
        kernel: [3, 3],
        stride: [1, 1],
        dilation: [1, 1],
        pad: [1, 1],
        groups: 1,
        precision: Precision::Fp32,
        epilogue: EpilogueSite { steps, residual: None },
    })
}

/// The bias where the weights are expected: far too short.
fn bias_for_weights(candidate: &mut Candidate) {
    for arg in candidate.launches.iter_mut().flat_map(|launch| &mut launch.args) {
        if *arg == Arg::Pointer(Role::Weights) {
            *arg = Arg::Pointer(Role::Bias);
        }
    }
}

/// What spoils a candidate, and words of which the verdict must hold one.
type Case = (fn(&mut Candidate), &'static [&'static str]);

/// What is done to a candidate, and what each failure must say, one of these. Without its last launch a split-K convolution lacks its
/// reduction, another one everything.
const CASES: [Case; 5] = [
    (|candidate| drop(candidate.launches.pop()), &["was not written"]),
    (|candidate| candidate.launches[0].grid[0] -= 1, &["was not written", "of Workspace, which nobody wrote"]),
    (|candidate| candidate.launches[0].shared_bytes /= 2, &["dynamic shared memory"]),
    (|candidate| candidate.bias_len = 3, &["bias_len is 3"]),
    (bias_for_weights, &["behind the end of Bias"]),
];

/// True if every spoilt candidate is found out and every unspoilt one passes.
pub fn are_found(emulator: &Emulator) -> bool {
    let site = site();
    let problem = Problem::new(&site);
    let judge = |spoil| check_site(emulator, &Spoilt(spoil), &site, &problem, &Target::typical(Arch(80)));
    let mut right = judge(|_| ()).failures.is_empty();
    for (index, (spoil, signs)) in CASES.into_iter().enumerate() {
        let verdict = judge(spoil);
        let told = verdict.failures.iter().filter(|failure| signs.iter().any(|sign| failure.contains(sign))).count();
        if verdict.candidates == 0 || told < verdict.candidates {
            println!("spoilt candidates, case {index}: {told} of {} are said to: {signs:?}", verdict.candidates);
            verdict.failures.iter().for_each(|failure| println!("  {failure}"));
            right = false;
        }
    }
    println!("{:24} {:3} cases                       {}", "spoilt", CASES.len(), if right { "ok" } else { "FAILED" });
    right
}
