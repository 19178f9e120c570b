//! Operands, and one operator run on them.

use limpid_graph::ir::Fact;
use limpid_graph::ops::{Activation, Eval, Op, OpError, Spec};
use limpid_graph::tensor::{Bindings, DType, QuantParams, Tensor};
use proptest::prelude::*;

/// A tensor and, if it is of integers, how they stand for reals.
#[derive(Clone, Debug)]
pub struct Operand {
    pub tensor: Tensor,
    pub quant: Option<QuantParams>,
}

impl Operand {
    pub fn real(shape: &[usize], values: Vec<f32>) -> Self {
        Self { tensor: Tensor::new(shape, values).unwrap(), quant: None }
    }

    pub fn int8(shape: &[usize], values: Vec<i8>, scale: f32) -> Self {
        Self { tensor: Tensor::new(shape, values).unwrap(), quant: Some(QuantParams::per_tensor(scale)) }
    }

    /// One scale for each slice along `axis`.
    pub fn weights(shape: &[usize], values: Vec<i8>, scales: Vec<f32>, axis: usize) -> Self {
        Self { tensor: Tensor::new(shape, values).unwrap(), quant: Some(QuantParams::per_axis(scales, axis)) }
    }

    /// Element `index` as the epilogue sees it: an integer's own number and its scale, or a real and 1.
    pub fn at(&self, index: usize) -> (f32, f32) {
        match &self.quant {
            Some(params) => (f32::from(self.tensor.as_slice::<i8>().unwrap()[index]), params.scales[0]),
            None => (self.tensor.as_slice::<f32>().unwrap()[index], 1.0),
        }
    }

    pub fn integers(&self) -> &[i8] {
        self.tensor.as_slice().unwrap()
    }

    fn fact(&self) -> Fact {
        Fact { quant: self.quant.clone(), ..Fact::of(self.tensor.dtype(), self.tensor.shape()) }
    }
}

/// Infers the output, gives it `scale` or leaves it real, and runs the reference.
pub fn run(op: impl Into<Op>, inputs: &[Operand], scale: Option<f32>) -> Result<Tensor, OpError> {
    let op = op.into();
    let facts: Vec<Fact> = inputs.iter().map(Operand::fact).collect();
    let made = op.infer(&facts.iter().collect::<Vec<_>>())?.swap_remove(0);
    let shape = made.shape.eval(&Bindings::new()).unwrap();
    let output = match scale {
        Some(scale) => Spec { dtype: DType::I8, shape, quant: Some(QuantParams::per_tensor(scale)) },
        None => Spec { dtype: DType::F32, shape, quant: None },
    };
    let spec = |o: &Operand| Spec { dtype: o.tensor.dtype(), shape: o.tensor.shape().to_vec(), quant: o.quant.clone() };
    let specs: Vec<Spec> = inputs.iter().map(spec).collect();
    let tensors: Vec<Tensor> = inputs.iter().map(|o| o.tensor.clone()).collect();
    let eval = Eval { inputs: &tensors, specs: &specs, outputs: std::slice::from_ref(&output) };
    let result = op.as_operator().reference(&eval)?.swap_remove(0);
    assert_eq!((result.dtype(), result.shape()), (output.dtype, output.shape.as_slice()), "{op}");
    Ok(result)
}

/// Numbers without a pattern: SplitMix64.
pub struct Numbers(pub u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// In [-128, 127], both ends included; one in eight is an end.
    pub fn integers(&mut self, len: usize) -> Vec<i8> {
        let integer = |z: u64| match z >> 61 {
            0 if z & 1 == 0 => i8::MIN,
            0 => i8::MAX,
            _ => z as i8,
        };
        (0..len).map(|_| integer(self.next())).collect()
    }

    /// In [-127, 127].
    pub fn weights(&mut self, len: usize) -> Vec<i8> {
        self.integers(len).into_iter().map(|q| q.max(-127)).collect()
    }

    /// In (-range, range).
    pub fn reals(&mut self, len: usize, range: f32) -> Vec<f32> {
        (0..len).map(|_| (self.next() >> 40) as f32 / (1 << 23) as f32 * range - range).collect()
    }

    /// Between 0.5 and 1.5 times `middle`.
    pub fn scales(&mut self, len: usize, middle: f32) -> Vec<f32> {
        self.reals(len, 0.5).into_iter().map(|r| middle * (1.0 + r)).collect()
    }
}

/// Every activation that an epilogue may have.
pub fn activation() -> impl Strategy<Value = Activation> {
    prop::sample::select(vec![
        Activation::Identity,
        Activation::Relu,
        Activation::LeakyRelu { alpha: 0.1 },
        Activation::Clip { min: -0.5, max: 6.0 },
        Activation::Sigmoid,
        Activation::HardSigmoid { alpha: 0.2, beta: 0.5 },
        Activation::HardSwish,
        Activation::Silu,
        Activation::Tanh,
    ])
}
