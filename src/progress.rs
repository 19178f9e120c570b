//! How far a long piece of work has come, for whoever wants to show it.

use limpid_kernels::device::Range;

/// Is told about stages and steps. All of it may be ignored: `()` does.
pub trait Progress {
    /// A stage begins, of this many steps where that is known.
    fn stage(&mut self, name: &str, steps: Option<u64>) {
        let _ = (name, steps);
    }

    /// A step of the stage is done; `what` names it.
    fn step(&mut self, what: &str) {
        let _ = what;
    }

    /// The last stage is over.
    fn done(&mut self) {}
}

impl Progress for () {}

/// Passes everything on and names each stage for profilers, as an NVTX range.
pub struct Ranged<'a> {
    inner: &'a mut dyn Progress,
    stage: Option<Range>,
}

impl<'a> Ranged<'a> {
    /// In front of `inner`.
    pub fn new(inner: &'a mut dyn Progress) -> Self {
        Self { inner, stage: None }
    }
}

impl Progress for Ranged<'_> {
    fn stage(&mut self, name: &str, steps: Option<u64>) {
        // The old range first: ranges nest.
        self.stage = None;
        self.stage = Some(Range::new(&format!("limpid build: {name}")));
        self.inner.stage(name, steps);
    }

    fn step(&mut self, what: &str) {
        self.inner.step(what);
    }

    fn done(&mut self) {
        self.stage = None;
        self.inner.done();
    }
}
