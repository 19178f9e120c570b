#![allow(missing_docs)]
pub mod plan;
pub mod runtime;
pub mod zoo;
