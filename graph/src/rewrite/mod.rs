//! The mechanism that changes graphs: a [`Rule`] proposes a [`Patch`], the [`Driver`] applies it, verifies the
//! graph and books it in the [`Ledger`].

mod driver;
mod ledger;
mod patch;
mod rule;

pub use driver::{Driver, RewriteError};
pub use ledger::{Account, Fate, Ledger, Origin, Record, Verdict};
pub use patch::{Patch, Source};
pub use rule::{Outcome, Rule};
