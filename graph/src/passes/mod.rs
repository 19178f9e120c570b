//! The rules, one per file, in the order they run.

use crate::rewrite::Rule;

/// Every rule, in order.
pub const RULES: &[&dyn Rule] = &[];
