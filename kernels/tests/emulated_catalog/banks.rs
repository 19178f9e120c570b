//! Tiles meet the banks of shared memory without conflicts, on their way in, in the inner loop and on their way out:
//! the emulator counts what a block asks for, and shared memory must not have to serve it more often than it would at
//! best.

use crate::support::executor::Executor;
use crate::support::problem::Problem;
use crate::verdict::check_site;
use limpid_graph::ir::Precision;
use limpid_graph::ops::Epilogue;
use limpid_graph::tensor::DType;
use limpid_kernels::catalog::Kernel;
use limpid_kernels::conv;
use limpid_kernels::emulator::{Emulator, Memory, TraceAt};
use limpid_kernels::launch::Launch;
use limpid_kernels::site::{ConvSite, EpilogueSite, Image, Scale, Site};
use limpid_kernels::target::{Arch, Target};

/// The emulator, to which a bank conflict is a fault.
struct Strict<'e>(&'e Emulator);

impl Executor for Strict<'_> {
    fn run(&self, launches: &[Launch], arch: Arch, memory: &mut Memory) -> Result<(), String> {
        launches.iter().try_for_each(|launch| {
            let program = self.0.compile(&launch.unit, arch).map_err(|e| e.to_string())?;
            let (_, trace) = program.trace(launch, memory, &TraceAt::default()).map_err(|e| e.to_string())?;
            match trace.shared.iter().find(|access| access.transactions > access.ideal) {
                Some(access) => Err(format!("bank conflicts: {access:?}")),
                None => Ok(()),
            }
        })
    }

    fn knows_written(&self) -> bool {
        true
    }
}

/// A product large enough for every tile of the menus: 256 pixels by 128 filters, 64 channels.
fn site(dtype: DType, precision: Precision) -> Site {
    let scale = if dtype == DType::I8 { Scale::new(0.02) } else { Scale::ONE };
    let image = |c| Image { scale, ..Image::dense(1, 16, 16, c, dtype) };
    Site::Conv(ConvSite {
        x: image(64),
        y: image(128),
        kernel: [1, 1],
        stride: [1, 1],
        dilation: [1, 1],
        pad: [0, 0],
        groups: 1,
        precision,
        epilogue: EpilogueSite { steps: Epilogue { bias: true, ..Default::default() }, residual: None },
    })
}

/// True if no tile of the menus has a conflict.
pub fn are_met_once(emulator: &Emulator) -> bool {
    let target = Target::typical(Arch(80));
    let cases: [(&dyn Kernel, Site); 3] = [
        (&conv::Mma, site(DType::F16, Precision::Fp16)),
        (&conv::Mma, site(DType::I8, Precision::Int8)),
        (&conv::Simt, site(DType::F32, Precision::Fp32)),
    ];
    let (mut tactics, mut failures) = (0, Vec::new());
    for (kernel, site) in &cases {
        let verdict = check_site(&Strict(emulator), *kernel, site, &Problem::new(site), &target);
        tactics += verdict.candidates;
        failures.extend(verdict.failures.into_iter().chain(verdict.refusal));
    }
    let word = if failures.is_empty() { "ok" } else { "FAILED" };
    println!("{:24} {tactics:3} tactics                     {word}", "bank conflicts");
    failures.iter().for_each(|failure| println!("  {failure}"));
    failures.is_empty()
}
