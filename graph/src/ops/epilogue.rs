//! What a kernel does to an accumulator before it stores it.
//!
//! ```text
//! y = post( pre(acc + bias) + residual )
//! ```
//!
//! Every step is carried out in f32, in this order, and the result is rounded once. Convolutions, GEMMs and
//! their kin share this one definition; the CUDA side is `epilogue.cuh`.

use super::OpError;
use crate::ir::Fact;
use crate::tensor::{Dim, Shape};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A function of one number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub enum Activation {
    /// x
    #[default]
    Identity,
    /// max(x, 0)
    Relu,
    /// x if x >= 0, else alpha·x
    LeakyRelu {
        /// The slope left of 0.
        alpha: f32,
    },
    /// min(max(x, min), max); ReLU6 is `Clip{0,6}`.
    Clip {
        /// Lower bound; -inf if none.
        min: f32,
        /// Upper bound; +inf if none.
        max: f32,
    },
    /// 1 / (1 + e^-x)
    Sigmoid,
    /// min(max(alpha·x + beta, 0), 1)
    HardSigmoid {
        /// Slope.
        alpha: f32,
        /// Offset.
        beta: f32,
    },
    /// x · min(max(x/6 + 1/2, 0), 1)
    HardSwish,
    /// x · sigmoid(x), also called swish
    Silu,
    /// tanh(x)
    Tanh,
}

impl Activation {
    /// The value at `x`. NaN stays NaN.
    pub fn apply(self, x: f32) -> f32 {
        match self {
            Activation::Identity => x,
            Activation::Relu => clamp(x, 0.0, f32::INFINITY),
            Activation::LeakyRelu { alpha } => {
                if x >= 0.0 {
                    x
                } else {
                    alpha * x
                }
            }
            Activation::Clip { min, max } => clamp(x, min, max),
            Activation::Sigmoid => 1.0 / (1.0 + (-x).exp()),
            Activation::HardSigmoid { alpha, beta } => clamp(alpha * x + beta, 0.0, 1.0),
            Activation::HardSwish => x * clamp(x / 6.0 + 0.5, 0.0, 1.0),
            Activation::Silu => x / (1.0 + (-x).exp()),
            Activation::Tanh => x.tanh(),
        }
    }

    /// The operator's name in ONNX (`Silu` is `x·Sigmoid(x)` there).
    pub const fn name(self) -> &'static str {
        match self {
            Activation::Identity => "Identity",
            Activation::Relu => "Relu",
            Activation::LeakyRelu { .. } => "LeakyRelu",
            Activation::Clip { .. } => "Clip",
            Activation::Sigmoid => "Sigmoid",
            Activation::HardSigmoid { .. } => "HardSigmoid",
            Activation::HardSwish => "HardSwish",
            Activation::Silu => "Silu",
            Activation::Tanh => "Tanh",
        }
    }
}

/// Not `f32::clamp`, which panics on min > max; ONNX then gives max. NaN stays NaN.
fn clamp(x: f32, min: f32, max: f32) -> f32 {
    let raised = if x < min { min } else { x };
    if raised > max { max } else { raised }
}

impl fmt::Display for Activation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Activation::LeakyRelu { alpha } => write!(f, "LeakyRelu({alpha})"),
            Activation::Clip { min, max } => write!(f, "Clip({min},{max})"),
            Activation::HardSigmoid { alpha, beta } => write!(f, "HardSigmoid({alpha},{beta})"),
            other => f.write_str(other.name()),
        }
    }
}

/// Which of the steps an operator has. Its inputs follow the operator's own: bias first, then residual.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Epilogue {
    /// A value per output channel is added.
    pub bias: bool,
    /// Applied before the residual. `Identity` whenever there is none: then `post` is the one activation.
    pub pre: Activation,
    /// A tensor of the output's shape is added.
    pub residual: bool,
    /// Applied last.
    pub post: Activation,
}

impl Epilogue {
    /// The steps on one accumulator.
    pub fn apply(&self, accumulator: f32, bias: f32, residual: f32) -> f32 {
        let mut x = accumulator;
        if self.bias {
            x += bias;
        }
        if self.residual {
            x = self.pre.apply(x) + residual;
        }
        self.post.apply(x)
    }

    /// Checks that the bias has one value a channel and that the residual has the output's shape.
    pub fn check(&self, inputs: &[&Fact], own: usize, channels: &Dim, output: &Shape) -> Result<(), OpError> {
        if let Some(bias) = self.bias_index(own).map(|i| inputs[i])
            && (bias.rank() != 1 || bias.shape[0] != *channels)
        {
            return Err(OpError::shape("bias", format!("({channels})"), &bias.shape));
        }
        if let Some(residual) = self.residual_index(own).map(|i| inputs[i])
            && residual.shape != *output
        {
            return Err(OpError::shape("residual", output, &residual.shape));
        }
        Ok(())
    }

    /// How many inputs the steps read.
    pub fn input_count(&self) -> usize {
        usize::from(self.bias) + usize::from(self.residual)
    }

    /// Where the bias stands among an operator's inputs, `own` being the operator's own count.
    pub fn bias_index(&self, own: usize) -> Option<usize> {
        self.bias.then_some(own)
    }

    /// Where the residual stands among an operator's inputs.
    pub fn residual_index(&self, own: usize) -> Option<usize> {
        self.residual.then_some(own + usize::from(self.bias))
    }
}

impl fmt::Display for Epilogue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut steps = Vec::new();
        if self.bias {
            steps.push("bias".to_owned());
        }
        if self.pre != Activation::Identity {
            steps.push(self.pre.to_string());
        }
        if self.residual {
            steps.push("residual".to_owned());
        }
        if self.post != Activation::Identity {
            steps.push(self.post.to_string());
        }
        f.write_str(&steps.join("+"))
    }
}
