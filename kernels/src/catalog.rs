//! What can run what, and why not. The list of kernels is explicit: a kernel is known by its line in [`KERNELS`].

use crate::launch::{Candidate, CompileUnit, Refusal};
use crate::site::Site;
use crate::target::{Arch, Target};

/// A kernel: a `.rs`/`.cu` pair.
pub trait Kernel: Sync {
    /// Its name, the path of its source without `.cu`: `conv/mma`.
    fn name(&self) -> &'static str;

    /// The tactics it offers for a site on a target, or the reason it offers none.
    fn candidates(&self, site: &Site, target: &Target) -> Result<Vec<Candidate>, String>;

    /// Sites at the edges of what it does (1, BLOCK-1, BLOCK, BLOCK+1, odd channels, stride, dilation,
    /// groups), small enough to be checked against the reference one by one.
    fn edge_sites(&self) -> Vec<Site>;

    /// Everything it may ever ask NVRTC to compile for `arch`.
    fn units(&self, arch: Arch) -> Vec<CompileUnit>;

    /// What is still to be shown of it, if anything: then it is asked only where a
    /// [`Selection`](crate::selection::Selection) puts it in.
    fn on_trial(&self) -> Option<&'static str> {
        None
    }
}

/// Every kernel, in the order they are asked.
pub const KERNELS: &[&dyn Kernel] = &[
    &crate::conv::Wgmma,
    &crate::conv::Stem,
    &crate::conv::Mma,
    &crate::conv::Simt,
    &crate::conv::Direct,
    &crate::gemm::Wgmma,
    &crate::gemm::Mma,
    &crate::gemm::Simt,
    &crate::gemm::Gemv,
    &crate::chain::Wgmma,
    &crate::chain::Gemv,
    &crate::conv_transpose::Mma,
    &crate::conv_transpose::Simt,
    &crate::conv_transpose::Direct,
    &crate::depthwise::Mma,
    &crate::depthwise::Tiled,
    &crate::depthwise::Direct,
    &crate::elementwise::Broadcast,
    &crate::elementwise::Function,
    &crate::gather::Rows,
    &crate::layout::Copy,
    &crate::layout::Interleave,
    &crate::layout::Transpose,
    &crate::layout::Cast,
    &crate::layout::Fill,
    &crate::norm::Rows,
    &crate::pool::Window,
    &crate::pool::Global,
    &crate::reduce::Rows,
    &crate::reduce::Columns,
    &crate::resize::Nhwc,
    &crate::resize::Cubic,
    &crate::resize::Picture,
    &crate::softmax::Rows,
    &crate::softmax::Block,
    &crate::softmax::Columns,
];

/// What the catalog says of a site.
#[derive(Clone, Debug, Default)]
pub struct Offers {
    /// Every tactic of every kernel that takes it.
    pub candidates: Vec<Candidate>,
    /// Every kernel that does not, with its reason.
    pub refusals: Vec<Refusal>,
}

/// What a kernel offers for a site, ready to be launched on the target: as [`Launch::dependent`], where it can.
///
/// [`Launch::dependent`]: crate::launch::Launch::dependent
///
/// # Errors
/// The kernel's reason for offering nothing.
pub fn candidates(kernel: &dyn Kernel, site: &Site, target: &Target) -> Result<Vec<Candidate>, String> {
    let mut candidates = kernel.candidates(site, target)?;
    for launch in candidates.iter_mut().flat_map(|candidate| &mut candidate.launches) {
        launch.dependent = target.arch.has_dependent_launch();
    }
    Ok(candidates)
}

/// Asks every kernel that the target's selection has in it.
pub fn offers(site: &Site, target: &Target) -> Offers {
    let mut offers = Offers::default();
    for kernel in KERNELS {
        let allowed = target.kernels.reason_against(*kernel).map_or(Ok(()), Err);
        match allowed.and_then(|()| candidates(*kernel, site, target)) {
            Ok(candidates) => offers.candidates.extend(candidates),
            Err(reason) => offers.refusals.push(Refusal { kernel: kernel.name().to_owned(), reason }),
        }
    }
    offers
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::site::{AxisOp, AxisSite, CopySite, Scale, View};
    use crate::source;
    use limpid_graph::tensor::DType;
    use std::collections::BTreeSet;

    #[test]
    fn kernels_are_named_after_their_sources() {
        let names: BTreeSet<&str> = KERNELS.iter().map(|kernel| kernel.name()).collect();
        assert_eq!(names.len(), KERNELS.len());
        for name in names {
            assert!(source::text(&format!("{name}.cu")).is_some(), "{name} has no source");
        }
    }

    #[test]
    fn whatever_is_launched_was_announced() {
        for arch in Arch::TESTED {
            let target = Target::typical(arch);
            for kernel in KERNELS {
                let announced: BTreeSet<CompileUnit> = kernel.units(arch).into_iter().collect();
                assert_eq!(announced.len(), kernel.units(arch).len(), "{} announces a unit twice", kernel.name());
                let candidates =
                    kernel.edge_sites().into_iter().filter_map(|site| kernel.candidates(&site, &target).ok());
                for launch in candidates.flatten().flat_map(|candidate| candidate.launches) {
                    assert!(
                        announced.contains(&launch.unit),
                        "{} launches {:?} unannounced",
                        kernel.name(),
                        launch.unit
                    );
                    assert!(launch.shared_bytes <= target.shared_per_block, "{}", kernel.name());
                }
            }
        }
    }

    /// A small image of these channels with its dims in any order, padding lanes and all.
    fn orders(channels: u32, dtype: DType) -> Vec<View> {
        let pitch = channels.next_multiple_of(8);
        let image = [(2, 15 * pitch), (3, 5 * pitch), (5, pitch), (channels, 1)];
        let mut orders = Vec::new();
        for first in 0..4 {
            for second in (0..4).filter(|d| *d != first) {
                for third in (0..4).filter(|d| ![first, second].contains(d)) {
                    let order = [first, second, third, 6 - first - second - third];
                    orders.push(View {
                        dims: order.map(|d: usize| image[d].0).to_vec(),
                        strides: order.map(|d: usize| i64::from(image[d].1)).to_vec(),
                        dtype,
                        zero_lanes: pitch - channels,
                        scale: Scale::ONE,
                    });
                }
            }
        }
        orders
    }

    #[test]
    fn every_axis_of_every_layout_is_taken() {
        let target = Target::typical(Arch(80));
        for channels in [1, 3, 8] {
            for x in orders(channels, DType::F16) {
                let reductions = [AxisOp::Mean, AxisOp::LogSumExp, AxisOp::ArgMax, AxisOp::ArgMaxLast];
                for op in [AxisOp::Softmax, AxisOp::LogSoftmax].into_iter().chain(reductions) {
                    let reduced = || {
                        let outer = &x.dims[..3];
                        let place = matches!(op, AxisOp::ArgMax | AxisOp::ArgMaxLast);
                        let dtype = if place { DType::I64 } else { DType::F16 };
                        View::dense(&[outer[0], outer[1], outer[2], 1], dtype)
                    };
                    let keeps = matches!(op, AxisOp::Softmax | AxisOp::LogSoftmax);
                    let y = if keeps { x.clone() } else { reduced() };
                    let offers = offers(&Site::Axis(AxisSite { op, x: x.clone(), y }), &target);
                    assert!(!offers.candidates.is_empty(), "{op:?} of {x:?}: {:?}", offers.refusals);
                }
            }
        }
    }

    #[test]
    fn every_copy_is_taken() {
        let target = Target::typical(Arch(80));
        let with = |view: View, scale: f32| {
            let scale = if view.dtype == DType::I8 { Scale::new(scale) } else { Scale::ONE };
            View { scale, zero_lanes: 0, ..view }
        };
        let (byte, half, single) = (DType::I8, DType::F16, DType::F32);
        for (from, to) in [(single, half), (single, byte), (half, byte), (byte, byte), (byte, half), (byte, single)] {
            for x in orders(3, from) {
                let y = with(View::dense(&x.dims, to), 0.1);
                let offers = offers(&Site::Copy(CopySite { x: with(x, 0.2), x_offset: 0, y, y_offset: 0 }), &target);
                assert!(!offers.candidates.is_empty(), "{:?}", offers.refusals);
            }
        }
    }
}
