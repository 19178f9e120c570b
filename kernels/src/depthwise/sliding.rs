//! When and how `sliding.cu` runs: one filter a channel, a window of 3x3 without dilation.

use super::{site_of, window};
use crate::catalog::Kernel;
use crate::launch::{Candidate, CompileUnit, Tactic};
use crate::site::Site;
use crate::target::{Arch, Target};
use limpid_graph::tensor::DType;

/// Threads that slide down the rows of x.
pub struct Sliding;

/// Width of the window: nine filters of eight channels are what registers hold as f32.
const KERNEL: u32 = 3;

/// Strides there are kernels for.
const STRIDES: [u32; 2] = [1, 2];

/// Output rows of a thread: few for small images, so that there are threads enough.
const ROWS: [u32; 4] = [4, 7, 14, 28];

fn unit(dtype: DType, stride: u32) -> CompileUnit {
    window::unit("depthwise/sliding.cu", "depthwise_sliding", (dtype, KERNEL, stride, 1))
}

impl Kernel for Sliding {
    fn name(&self) -> &'static str {
        "depthwise/sliding"
    }

    fn candidates(&self, site: &Site, _target: &Target) -> Result<Vec<Candidate>, String> {
        const TAKES: &str = "3x3 at stride 1 or 2";
        let site = site_of(site)?;
        let (kernel, stride) = window::square(site, TAKES)?;
        if kernel != KERNEL || !STRIDES.contains(&stride) {
            return Err(format!("has {TAKES}, got {kernel}x{kernel} at stride {stride}"));
        }
        // The first always, so that every site is taken; of the others those that the image is as high as.
        let rows = ROWS.iter().enumerate().filter(|&(i, &rows)| i == 0 || rows <= site.y.h);
        let candidate = |(_, &rows): (usize, &u32)| {
            let tactic = Tactic::new(self.name(), &[("rows", rows)]);
            window::candidate(site, [rows, 1], tactic, unit(site.x.dtype, stride))
        };
        rows.map(candidate).collect()
    }

    fn edge_sites(&self) -> Vec<Site> {
        STRIDES.iter().flat_map(|&stride| window::edge_sites(KERNEL, stride)).collect()
    }

    fn units(&self, _arch: Arch) -> Vec<CompileUnit> {
        let dtypes = [DType::F16, DType::F32, DType::I8];
        dtypes.into_iter().flat_map(|dtype| STRIDES.map(|stride| unit(dtype, stride))).collect()
    }
}
