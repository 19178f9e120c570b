//! Holds any candidate of any site against a plain reference, on whatever runs launches.

pub mod catalog;
pub mod check;
pub mod choice;
pub mod executor;
pub mod finish;
pub mod infinite;
pub mod layout;
pub mod problem;
pub mod quantized;
pub mod reference;
pub mod windows;
