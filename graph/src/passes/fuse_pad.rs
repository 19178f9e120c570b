//! A Pad with zeros in front of a window is the window's own padding.
//!
//! ```text
//! x -> Pad(0) -> Conv -> y           =>   x -> Conv[padding += pads] -> y
//! x -> Pad(0) -> AveragePool -> y    =>   x -> AveragePool[padding = pads, count_include_pad] -> y
//! ```
//!
//! A convolution's padding is zeros by definition. A mean must count them, as it counted the Pad's. A largest element
//! may not see them at all: padding loses against any number, a zero wins against negative ones.

use super::linear::only_read_by;
use crate::ir::{Graph, Node, NodeId};
use crate::ops::{Op, Pad, PadMode, Padding, PoolKind, Window};
use crate::rewrite::{Outcome, Patch, Rule, Source};

/// The rule.
#[derive(Debug)]
pub struct FusePad;

impl Rule for FusePad {
    fn name(&self) -> &'static str {
        "fuse_pad"
    }

    fn summary(&self) -> &'static str {
        "fuse a Pad with zeros into the Conv or AveragePool behind it"
    }

    fn apply(&self, graph: &Graph, id: NodeId) -> Outcome {
        let node = graph.node(id);
        let Op::Pad(pad) = &node.op else { return Outcome::NoMatch };
        let y = node.outputs[0];
        let is_window = |n: &Node| n.inputs[0] == y && matches!(n.op, Op::Conv(_) | Op::Pool(_));
        let Some((next, _)) = graph.readers(y).find(|(_, n)| is_window(n)) else { return Outcome::NoMatch };
        fuse(graph, id, pad, next).map_or_else(Outcome::Declined, Outcome::Rewrite)
    }
}

fn fuse(graph: &Graph, id: NodeId, pad: &Pad, next: NodeId) -> Result<Patch, String> {
    let (node, reader) = (graph.node(id), graph.node(next));
    only_read_by(graph, node.outputs[0], next)?;
    let (begin, end) = spatial(pad)?;
    let mut op = reader.op.clone();
    match &mut op {
        Op::Conv(conv) => widen(&mut conv.window, &begin, &end)?,
        Op::Pool(pool) if pool.kind == PoolKind::Average => {
            if pool.window.attributes().iter().any(|(name, _)| *name == "padding") && !pool.count_include_pad {
                return Err(format!("`{}` counts the Pad's zeros but not its own padding", reader.name));
            }
            widen(&mut pool.window, &begin, &end)?;
            pool.count_include_pad = true;
        }
        _ => return Err(format!("`{}` looks for the largest: a zero can win, padding cannot", reader.name)),
    }
    let mut inputs = reader.inputs.clone();
    inputs[0] = node.inputs[0];
    let made = graph.infer(&reader.name, &op, &inputs).map_err(|e| e.to_string())?;
    if made[0].shape != graph.fact(reader.outputs[0]).shape {
        return Err(format!("`{}` rounds its extents up, and would drop its last window", reader.name));
    }
    let mut patch = Patch::new("padding with zeros is what the window does itself");
    let inputs = inputs.into_iter().map(Source::Value).collect();
    patch.replace(graph, next, &[id], op, inputs, reader.outputs.clone());
    Ok(patch)
}

/// The pads of the spatial axes, if there are no others and nothing but zeros is added.
fn spatial(pad: &Pad) -> Result<(Vec<usize>, Vec<usize>), String> {
    if pad.mode != PadMode::Constant || pad.value != 0.0 {
        return Err("it does not pad with zeros".to_owned());
    }
    if [&pad.begin, &pad.end].into_iter().any(|pads| pads.iter().take(2).any(|p| *p != 0)) {
        return Err("it pads the batch or the channels".to_owned());
    }
    let sizes = |pads: &[i64]| -> Option<Vec<usize>> { pads[2..].iter().map(|&p| usize::try_from(p).ok()).collect() };
    sizes(&pad.begin).zip(sizes(&pad.end)).ok_or_else(|| "it takes elements away (negative pads)".to_owned())
}

fn widen(window: &mut Window, begin: &[usize], end: &[usize]) -> Result<(), String> {
    let Padding::Explicit { begin: own_begin, end: own_end } = &mut window.padding else {
        return Err("the window's own padding depends on the extent (SAME)".to_owned());
    };
    own_begin.iter_mut().zip(begin).for_each(|(own, more)| *own += more);
    own_end.iter_mut().zip(end).for_each(|(own, more)| *own += more);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::net::Net;
    use super::*;
    use crate::ops::Pool;

    fn pad(begin: &[i64], end: &[i64], value: f32) -> Pad {
        let lift = |pads: &[i64]| [&[0, 0], pads].concat();
        Pad { mode: PadMode::Constant, begin: lift(begin), end: lift(end), value }
    }

    fn pool(kind: PoolKind) -> Pool {
        let mut window = Window::of(&[3, 3]);
        window.strides = vec![2, 2];
        Pool { kind, window, ceil_mode: false, count_include_pad: false }
    }

    #[test]
    fn becomes_the_padding_of_a_convolution() {
        let mut net = Net::new(&[3, 8, 8]);
        let y = net.add("pad", pad(&[0, 1], &[2, 1], 0.0), &[net.x]);
        let y = net.padded_conv("conv", y, 4, 3);
        net.finish(&[y]).rewrite(&[&FusePad]).is("graph test
               input %x f32(N,3,8,8)
               const %conv.w f32(4,3,3,3)
               %conv f32(N,4,10,10) = Conv[kernel=3x3 padding=1x2..3x2](%x, %conv.w)  @conv
               output %conv");
    }

    #[test]
    fn becomes_padding_that_a_mean_counts() {
        let mut net = Net::new(&[3, 8, 8]);
        let y = net.add("pad", pad(&[1, 0], &[2, 1], 0.0), &[net.x]);
        let y = net.add("pool", pool(PoolKind::Average), &[y]);
        net.finish(&[y]).rewrite(&[&FusePad]).is("graph test
               input %x f32(N,3,8,8)
               %pool f32(N,3,5,4) = AveragePool[kernel=3x3 strides=2x2 padding=1x0..2x1 count_include_pad=1](%x)  @pool
               output %pool");
    }

    #[test]
    fn says_why_it_does_not() {
        let declined = |pad: Pad, pool: Pool, reason: &str| {
            let mut net = Net::new(&[3, 8, 8]);
            let y = net.add("pad", pad, &[net.x]);
            let y = net.add("pool", pool, &[y]);
            net.finish(&[y]).rewrite(&[&FusePad]).declined("pad", reason);
        };
        let average = || pool(PoolKind::Average);
        declined(pad(&[1, 1], &[1, 1], 1.0), average(), "it does not pad with zeros");
        declined(pad(&[-1, 1], &[1, 1], 0.0), average(), "it takes elements away (negative pads)");
        let channels = Pad { begin: vec![0, 1, 0, 0], ..pad(&[0, 0], &[0, 0], 0.0) };
        declined(channels, average(), "it pads the batch or the channels");
        let reason = "`pool` looks for the largest: a zero can win, padding cannot";
        declined(pad(&[1, 1], &[1, 1], 0.0), pool(PoolKind::Max), reason);
        let mut padded = average();
        padded.window.padding = Padding::Explicit { begin: vec![1, 1], end: vec![1, 1] };
        let reason = "`pool` counts the Pad's zeros but not its own padding";
        declined(pad(&[1, 1], &[1, 1], 0.0), padded, reason);
        let mut same = average();
        same.window.padding = Padding::SameUpper;
        same.count_include_pad = true;
        declined(pad(&[1, 1], &[1, 1], 0.0), same, "the window's own padding depends on the extent (SAME)");
        let reason = "node `pool` (AveragePool): attribute `pads` must be less than the window's reach, 3 along spatial \
                      axis 0, got 3 and 0";
        declined(pad(&[3, 0], &[0, 0], 0.0), average(), reason);
        // 8+1 rows by windows of 3, step 2, rounded up: the last window starts in the padding.
        let mut rounded = Pool { ceil_mode: true, ..pool(PoolKind::Average) };
        rounded.window.kernel = vec![4, 3];
        rounded.window.strides = vec![4, 2];
        let reason = "`pool` rounds its extents up, and would drop its last window";
        declined(pad(&[0, 0], &[1, 0], 0.0), rounded, reason);
    }
}
