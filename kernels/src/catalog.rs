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
}

/// Every kernel, in the order they are asked.
pub const KERNELS: &[&dyn Kernel] = &[
    &crate::conv::Mma,
    &crate::conv::Simt,
    &crate::conv::Direct,
    &crate::gemm::Mma,
    &crate::gemm::Simt,
    &crate::gemm::Gemv,
    &crate::conv_transpose::Mma,
    &crate::conv_transpose::Simt,
    &crate::conv_transpose::Direct,
    &crate::depthwise::Tiled,
    &crate::depthwise::Direct,
    &crate::elementwise::Broadcast,
    &crate::gather::Rows,
    &crate::layout::Copy,
    &crate::layout::Transpose,
    &crate::layout::Cast,
    &crate::layout::Fill,
    &crate::pool::Window,
    &crate::pool::Global,
    &crate::reduce::Rows,
    &crate::reduce::Columns,
    &crate::resize::Nhwc,
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

/// Asks every kernel.
pub fn offers(site: &Site, target: &Target) -> Offers {
    let mut offers = Offers::default();
    for kernel in KERNELS {
        match kernel.candidates(site, target) {
            Ok(candidates) => offers.candidates.extend(candidates),
            Err(reason) => offers.refusals.push(Refusal { kernel: kernel.name().to_owned(), reason }),
        }
    }
    offers
}
