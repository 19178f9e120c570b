use super::exact::{self, ScaleError};
use crate::ir::Fact;
use crate::tensor::{Dim, Shape, TensorError};

/// Why an operator does not take its inputs.
#[derive(Debug, Clone, thiserror::Error, PartialEq)]
pub enum OpError {
    /// Too few or too many inputs.
    #[error("takes {expected} inputs, got {got}")]
    Arity {
        /// How many it takes, in words.
        expected: String,
        /// How many came.
        got: usize,
    },
    /// A shape does not fit.
    #[error("{what} must be {expected}, got {got}")]
    Shape {
        /// Which input or extent.
        what: &'static str,
        /// What would fit.
        expected: String,
        /// What came.
        got: String,
    },
    /// An attribute is out of its range.
    #[error("attribute `{name}` must be {expected}, got {got}")]
    Attribute {
        /// Its name.
        name: &'static str,
        /// What would fit.
        expected: String,
        /// What came.
        got: String,
    },
    /// A quantity that must be known is symbolic.
    #[error("{what} must be known at import, got `{dim}`")]
    Symbolic {
        /// Which one.
        what: &'static str,
        /// What it is.
        dim: Dim,
    },
    /// An element type the operator does not take.
    #[error("{what} has element type {got}; expected {expected}")]
    Type {
        /// Which input.
        what: &'static str,
        /// What would fit.
        expected: &'static str,
        /// What came.
        got: crate::tensor::DType,
    },
    /// A scale that is none.
    #[error("the scale of {what} {source}")]
    Scale {
        /// Whose.
        what: &'static str,
        /// What is wrong with it.
        source: ScaleError,
    },
    /// A sum that may go beyond what is added up exactly.
    #[error("sums of {terms} integers up to {largest} may exceed {bits} bits, in which they would be exact")]
    Terms {
        /// How many are added up.
        terms: usize,
        /// The largest magnitude of one.
        largest: u32,
        /// How many there are: 32 of an integer, 24 of an f32.
        bits: u32,
    },
    /// A tensor was not what its fact says.
    #[error("{0}")]
    Tensor(String),
}

impl OpError {
    /// A shape error about `what`.
    pub fn shape(what: &'static str, expected: impl ToString, got: &Shape) -> Self {
        Self::Shape { what, expected: expected.to_string(), got: got.to_string() }
    }

    /// Exactly `N` inputs, or an arity error.
    pub fn exactly<'a, const N: usize>(inputs: &[&'a Fact]) -> Result<[&'a Fact; N], OpError> {
        inputs.try_into().map_err(|_| OpError::Arity { expected: N.to_string(), got: inputs.len() })
    }

    /// An input of f32 or f16, or a type error about `what`.
    pub fn real(what: &'static str, fact: &Fact) -> Result<(), OpError> {
        if fact.dtype.is_float() {
            return Ok(());
        }
        Err(OpError::Type { what, expected: "f32 or f16", got: fact.dtype })
    }

    /// An input of f32 or f16, or of integers as the exact INT8 path takes them, or an error about `what`.
    pub fn real_or_int8(what: &'static str, fact: &Fact) -> Result<(), OpError> {
        match fact.exact_scale() {
            Some(scale) => exact::check_scale(scale).map(|_| ()).map_err(|source| OpError::Scale { what, source }),
            None if fact.dtype.is_float() => Ok(()),
            None => Err(OpError::Type {
                what,
                expected: "f32, f16, or i8 with one scale and zero point 0",
                got: fact.dtype,
            }),
        }
    }

    /// An input that is just numbers: not integers that stand for reals.
    pub fn unquantized(what: &'static str, fact: &Fact) -> Result<(), OpError> {
        match &fact.quant {
            None => Ok(()),
            Some(_) => {
                Err(OpError::Type { what, expected: "one without a scale; dequantize it first", got: fact.dtype })
            }
        }
    }

    /// Between `low` and `high` inputs, or an arity error.
    pub fn between(inputs: &[&Fact], low: usize, high: usize) -> Result<(), OpError> {
        if (low..=high).contains(&inputs.len()) {
            return Ok(());
        }
        let expected = if low == high { low.to_string() } else { format!("{low} to {high}") };
        Err(OpError::Arity { expected, got: inputs.len() })
    }
}

impl From<TensorError> for OpError {
    fn from(error: TensorError) -> Self {
        OpError::Tensor(error.to_string())
    }
}
