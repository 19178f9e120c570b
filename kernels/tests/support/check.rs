//! Runs candidates of a site and compares.

use super::executor::Executor;
use super::problem::Problem;
use limpid_kernels::emulator::{Buffer, Memory};
use limpid_kernels::launch::{Candidate, Role};
use limpid_kernels::target::Target;
use rayon::prelude::*;

/// Holds candidates for a problem's site against the reference; returns what was wrong, each with the tactic's name.
pub fn check_candidates(
    executor: &dyn Executor,
    candidates: &[Candidate],
    problem: &Problem,
    target: &Target,
) -> Vec<String> {
    let check = |candidate: &Candidate| {
        let outcome = check_candidate(executor, candidate, problem, target);
        outcome.err().map(|what| format!("{} on {}: {what}", candidate.tactic, target.arch))
    };
    candidates.par_iter().filter_map(check).collect()
}

/// Runs one candidate with its output and workspace poisoned, and judges what it leaves.
fn check_candidate(
    executor: &dyn Executor,
    candidate: &Candidate,
    problem: &Problem,
    target: &Target,
) -> Result<(), String> {
    let mut memory = memory_for(candidate, problem)?;
    executor.run(&candidate.launches, target.arch, &mut memory)?;
    let output = &memory[&Role::Output(0)];
    check_values(problem, output, executor.knows_written())?;
    check_surroundings(problem, output, executor.knows_written())
}

fn memory_for(candidate: &Candidate, problem: &Problem) -> Result<Memory, String> {
    let mut memory = problem.memory.clone();
    if let Some(packing) = &candidate.weights {
        let weights = problem.weights.as_ref().ok_or("packs weights where the site has none")?;
        memory.insert(Role::Weights, Buffer::input(packing.pack(weights).map_err(|e| e.to_string())?));
    }
    if !problem.bias.is_empty() {
        if candidate.bias_len < problem.bias.len() {
            return Err(format!("bias_len is {}, the site has {} channels", candidate.bias_len, problem.bias.len()));
        }
        memory.insert(Role::Bias, Buffer::input(Problem::padded(&problem.bias, candidate.bias_len)));
    }
    if !problem.scales.is_empty() {
        let (len, channels) = (candidate.scales_len, problem.scales.len());
        if len < channels {
            return Err(format!("scales_len is {len}, the site has {channels} channels"));
        }
        memory.insert(Role::Scales, Buffer::input(Problem::padded(&problem.scales, len)));
    }
    if candidate.workspace > 0 {
        memory.insert(Role::Workspace, Buffer::output(candidate.workspace));
    }
    memory.insert(Role::Output(0), Buffer::output(problem.output.bytes()));
    Ok(memory)
}

/// Every element is there and right; the lanes behind each line are zero.
fn check_values(problem: &Problem, output: &Buffer, knows_written: bool) -> Result<(), String> {
    let layout = &problem.output;
    let offsets = layout.offsets();
    let describe = |index: usize| {
        let mut rest = index;
        let mut coordinates: Vec<usize> = Vec::new();
        for &extent in layout.view.dims.iter().rev() {
            coordinates.insert(0, rest % extent.max(1) as usize);
            rest /= extent.max(1) as usize;
        }
        format!("y{coordinates:?} of {:?}", layout.view.dims)
    };
    let written = |at: usize| output.written[layout.range(at)].iter().all(|&byte| byte != 0);
    if let Some(index) = offsets.iter().position(|&at| knows_written && !written(at)) {
        let count = offsets.iter().filter(|&&at| !written(at)).count();
        return Err(format!("{} was not written, nor were {} others", describe(index), count - 1));
    }
    let got = layout.values(output);
    match problem.tolerance {
        Some(tolerance) => {
            let floats = |values: &[f64]| values.iter().map(|&v| v as f32).collect::<Vec<_>>();
            let check = tolerance.check(&floats(&got), &floats(&problem.want));
            check.map_err(|mismatch| format!("{}: {mismatch}", describe(mismatch.index)))?;
        }
        None => {
            let same = |a: f64, b: f64| a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan());
            let wrong = |i: usize| !same(got[i], problem.want[i]);
            if let Some(index) = (0..got.len()).find(|&i| wrong(i)) {
                let count = (0..got.len()).filter(|&i| wrong(i)).count();
                return Err(format!(
                    "{}: got {}, want exactly {} ({count} elements differ)",
                    describe(index),
                    got[index],
                    problem.want[index]
                ));
            }
        }
    }
    let not_zero = |&at: &usize| output.bytes[layout.range(at)].iter().any(|&byte| byte != 0);
    match layout.zero_lanes().into_iter().find(not_zero) {
        Some(at) => Err(format!("the padding lane at element {at} of the output is not zero")),
        None => Ok(()),
    }
}

/// Nothing around the output was touched.
fn check_surroundings(problem: &Problem, output: &Buffer, knows_written: bool) -> Result<(), String> {
    let layout = &problem.output;
    let mut outside = vec![true; output.bytes.len()];
    for at in layout.offsets().into_iter().chain(layout.zero_lanes()) {
        outside[layout.range(at)].fill(false);
    }
    let touched = |i: usize| if knows_written { output.written[i] != 0 } else { output.bytes[i] != 0xff };
    match (0..outside.len()).find(|&i| outside[i] && touched(i)) {
        Some(i) => Err(format!("byte {i} of the output lies outside of the view but was written")),
        None => Ok(()),
    }
}
