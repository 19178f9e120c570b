//! How far a long piece of work has come, for whoever wants to show it.

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
