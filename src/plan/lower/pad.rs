//! Padding: what lies inside is copied, and so are the strips around it that repeat or mirror it.

use super::forms::Form;
use super::strided::Step;
use super::{LowerError, Lowering};
use limpid_graph::ir::Node;
use limpid_graph::ops::{Cost, Pad, PadMode};
use limpid_kernels::launch::Role;
use limpid_kernels::site::{FillSite, Site};

/// Copies that one padding may take; more come of borders many times as long as what they repeat.
const MOST_COPIES: usize = 256;

/// Neighbours along one axis of the output whose sources lie a fixed step apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    /// The first one's index in the output.
    to: usize,
    /// Its index in the input.
    from: usize,
    /// How many there are.
    length: usize,
    /// From one to the next in the input: 1, -1 in a mirror image, 0 along an edge.
    step: i64,
}

/// The runs that one axis is made of. What a constant fills is in none.
fn runs(mode: PadMode, begin: i64, extent: usize, padded: usize) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    let mut open = false;
    for to in 0..padded {
        let Some(from) = mode.source(to as i64 - begin, extent as i64) else {
            open = false;
            continue;
        };
        if open && let Some(run) = runs.last_mut() {
            let step = from - (run.from as i64 + (run.length as i64 - 1) * run.step);
            if run.length == 1 && step.abs() <= 1 || run.length > 1 && step == run.step {
                (run.step, run.length) = (step, run.length + 1);
                continue;
            }
        }
        runs.push(Run { to, from: from as usize, length: 1, step: 1 });
        open = true;
    }
    runs
}

impl Lowering<'_> {
    pub fn pad(&mut self, node: &Node, op: &Pad) -> Result<(), LowerError> {
        let (input, output) = (node.inputs[0], node.outputs[0]);
        let (shape, padded) = (self.spec(input).shape.clone(), self.spec(output).shape.clone());
        let axes: Vec<Vec<Run>> =
            (0..shape.len()).map(|axis| runs(op.mode, op.begin[axis], shape[axis], padded[axis])).collect();
        let copies = axes.iter().fold(1usize, |count, runs| count.saturating_mul(runs.len()));
        if copies > MOST_COPIES {
            let reason = format!("its border repeats so often that it takes {copies} copies, more than {MOST_COPIES}");
            return Err(self.unsupported(node, "Pad", reason));
        }
        let (source, from) = self.any_form(input)?;
        // Only one copy may end a pixel and write the padding behind its channels.
        let whole_pixels = axes.get(1).is_some_and(|channels| channels.len() == 1);
        let form = if whole_pixels { self.like(from, output) } else { Form::Dense };
        self.write(output, form)?;
        let y = self.place(output, form);
        if axes.iter().zip(&padded).any(|(runs, &extent)| runs.iter().map(|run| run.length).sum::<usize>() < extent) {
            let cost = Cost { flops: 0, bytes: self.spec(output).bytes() as u64 };
            let site = Site::Fill(FillSite { y: self.view(output, form)?, value: op.value });
            self.emit(format!("fill with {}", op.value), site, vec![(Role::Output(0), y.operand)], cost);
        }
        let x_strides = self.logical_strides(source, from);
        let y_strides = self.logical_strides(output, form);
        // The channels of a picture may be padded, too: the zeros behind them come from filling.
        let (_, zero_lanes) = self.steps_of(output, form, &x_strides)?;
        let all_channels = axes.get(1).is_some_and(|runs| runs.iter().any(|run| run.length == padded[1]));
        let zero_lanes = if all_channels { zero_lanes } else { 0 };
        let order = super::forms::physical_order(form, shape.len());
        let x = self.place(source, from);
        for index in 0..copies {
            let (mut rest, mut x, mut y) = (index, x, y);
            let mut steps = vec![Step { extent: 1, from: 0, to: 0 }; shape.len()];
            for (axis, runs) in axes.iter().enumerate() {
                let run = runs[rest % runs.len()];
                rest /= runs.len();
                x.offset += run.from as i64 * x_strides[axis];
                y.offset += run.to as i64 * y_strides[axis];
                steps[axis] = Step { extent: run.length, from: run.step * x_strides[axis], to: y_strides[axis] };
            }
            let steps: Vec<Step> = order.iter().map(|&axis| steps[axis]).collect();
            self.move_along("Pad", x, y, &steps, zero_lanes)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn indices(mode: PadMode, begin: i64, extent: usize, padded: usize) -> (usize, Vec<Option<i64>>) {
        let runs = runs(mode, begin, extent, padded);
        let mut out = vec![None; padded];
        for run in &runs {
            for i in 0..run.length {
                assert_eq!(out[run.to + i], None, "two runs write index {}", run.to + i);
                out[run.to + i] = Some(run.from as i64 + i as i64 * run.step);
            }
        }
        (runs.len(), out)
    }

    #[test]
    fn runs_are_what_the_mode_says() {
        for mode in [PadMode::Constant, PadMode::Reflect, PadMode::Edge, PadMode::Wrap] {
            for extent in 1..6usize {
                for (begin, end) in [(0, 0), (2, 3), (9, 0), (-1, 4), (3, -1), (0, 7)] {
                    let Ok(padded) = usize::try_from(extent as i64 + begin + end) else { continue };
                    let want: Vec<_> = (0..padded as i64).map(|i| mode.source(i - begin, extent as i64)).collect();
                    assert_eq!(indices(mode, begin, extent, padded).1, want, "{mode:?} {extent} {begin} {end}");
                }
            }
        }
    }

    #[test]
    fn a_border_is_one_run() {
        let count = |mode, begin, extent, padded| indices(mode, begin, extent, padded).0;
        assert_eq!(count(PadMode::Constant, 2, 5, 9), 1);
        assert_eq!(count(PadMode::Edge, 3, 5, 11), 3);
        assert_eq!(count(PadMode::Wrap, 2, 5, 9), 3);
        // The mirror image and the tensor share the edge: two borders, and what is left between them.
        assert_eq!(count(PadMode::Reflect, 3, 8, 14), 3);
        assert_eq!(count(PadMode::Constant, -2, 5, 3), 1);
    }
}
