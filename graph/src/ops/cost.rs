use super::Spec;
use std::ops::Add;

/// The least an operator must do, whatever kernel runs it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Multiplications and additions, a fused multiply-add counted as two.
    pub flops: u64,
    /// Bytes read or written once.
    pub bytes: u64,
}

impl Cost {
    /// One operation an output element, every operand moved once.
    pub fn elementwise(inputs: &[Spec], outputs: &[Spec]) -> Self {
        let flops = outputs.iter().map(|s| s.len() as u64).sum();
        Self { flops, bytes: Self::traffic(inputs, outputs) }
    }

    /// Bytes of all operands.
    pub fn traffic(inputs: &[Spec], outputs: &[Spec]) -> u64 {
        inputs.iter().chain(outputs).map(|s| s.bytes() as u64).sum()
    }
}

impl Add for Cost {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self { flops: self.flops + other.flops, bytes: self.bytes + other.bytes }
    }
}
