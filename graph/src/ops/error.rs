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

    /// An input of real numbers (f32, f16, or integers with scales), or a type error about `what`.
    pub fn real(what: &'static str, fact: &Fact) -> Result<(), OpError> {
        if fact.dtype.is_float() || fact.quant.is_some() {
            return Ok(());
        }
        Err(OpError::Type { what, expected: "f32 or f16", got: fact.dtype })
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
