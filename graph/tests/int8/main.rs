//! The exact INT8 path of the CPU reference against loops that are written from its definition.
//!
//! The loops know nothing of how the reference computes: a sum is taken element by element by the definition of
//! its operator, in i64, and finished by `ops::exact`, which has its own tests against NumPy and C.

mod elementwise;
mod operands;
mod pools;
mod precision;
mod products;
mod resize;
