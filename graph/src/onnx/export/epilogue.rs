//! What was fused into a product or an elementwise operator, as operators of its own again.

use super::Exporter;
use super::step::Attributes;
use crate::ir::Node;
use crate::ops::{Activation, Epilogue};
use crate::tensor::Tensor;

impl Exporter<'_> {
    /// `post( pre(x) + residual )`; the bias is an input of most operators, and added by then.
    pub fn epilogue(&mut self, node: &Node, epilogue: &Epilogue, own: usize, mut x: String) -> String {
        if let Some(index) = epilogue.residual_index(own) {
            x = self.activated(epilogue.pre, x);
            let residual = self.read(node.inputs[index]);
            x = self.step("Add", &[x, residual], Vec::new());
        }
        self.activated(epilogue.post, x)
    }

    /// The bias's name, if there is one.
    pub fn bias(&mut self, node: &Node, epilogue: &Epilogue, own: usize) -> Option<String> {
        epilogue.bias_index(own).map(|index| self.read(node.inputs[index]))
    }

    /// An activation that was fused; nothing for the identity.
    pub fn activated(&mut self, function: Activation, x: String) -> String {
        match function {
            Activation::Identity => x,
            Activation::Silu => {
                let gate = self.step("Sigmoid", &[&x], Vec::new());
                self.step("Mul", &[x, gate], Vec::new())
            }
            _ => {
                let (inputs, attributes) = self.activation_inputs(function, x);
                self.step(function.name(), &inputs, attributes)
            }
        }
    }

    /// An activation that stands alone.
    pub fn activation(&mut self, function: Activation, node: &Node) -> String {
        let x = self.read(node.inputs[0]);
        if function == Activation::Silu {
            let gate = self.step("Sigmoid", &[&x], Vec::new());
            return self.main("Mul", &[x, gate], Vec::new());
        }
        let (inputs, attributes) = self.activation_inputs(function, x);
        self.main(function.name(), &inputs, attributes)
    }

    fn activation_inputs(&mut self, function: Activation, x: String) -> (Vec<String>, Attributes) {
        match function {
            Activation::LeakyRelu { alpha } => (vec![x], vec![("alpha", alpha.into())]),
            Activation::HardSigmoid { alpha, beta } => (vec![x], vec![("alpha", alpha.into()), ("beta", beta.into())]),
            Activation::Clip { min, max } => {
                // A bound that is not there is left out.
                let mut bound = |what, bound: f32| match bound.is_infinite() {
                    true => String::new(),
                    false => self.real_constant(what, Tensor::scalar(bound)),
                };
                (vec![x, bound("min", min), bound("max", max)], Vec::new())
            }
            _ => (vec![x], Vec::new()),
        }
    }
}
