//! Weights of a product that stayed real are made real now.
//!
//! ```text
//! constant q -> Dequantize -> Conv   =>   constant w -> Conv        w = s·(q - z)
//! ```
//!
//! [`FoldConstants`](super::FoldConstants) leaves such weights alone, because an INT8 product needs the integers as
//! they were given. This rule runs when it is settled which products are INT8.

use crate::ir::{Graph, NodeId};
use crate::ops::Op;
use crate::reference;
use crate::rewrite::{Outcome, Patch, Rule};
use crate::tensor::Bindings;

/// The rule.
#[derive(Debug)]
pub struct DequantizeWeights;

impl Rule for DequantizeWeights {
    fn name(&self) -> &'static str {
        "dequantize_weights"
    }

    fn summary(&self) -> &'static str {
        "compute the weights of products that are not INT8"
    }

    fn apply(&self, graph: &Graph, id: NodeId) -> Outcome {
        let node = graph.node(id);
        if !matches!(node.op, Op::Dequantize(_)) || graph.readers(node.outputs[0]).next().is_none() {
            return Outcome::NoMatch;
        }
        let Some(tensor) = graph.constant(node.inputs[0]).cloned() else { return Outcome::NoMatch };
        match reference::run_node(graph, node, &[tensor], &Bindings::new()) {
            Err(error) => Outcome::Declined(error.to_string()),
            Ok(results) => {
                let mut patch = Patch::new("w = s·(q - z)");
                patch.fold(id, results);
                Outcome::Rewrite(patch)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::net::Net;
    use super::*;

    #[test]
    fn makes_weights_real() {
        let mut net = Net::new(&[3, 4, 4]);
        let y = net.quantized_conv("conv", net.x, 2);
        net.finish(&[y]).rewrite(&[&DequantizeWeights]).is("graph test
               input %x f32(N,3,4,4)
               const %conv.w f32(2,3,1,1)
               %conv f32(N,2,4,4) = Conv[kernel=1x1](%x, %conv.w)  @conv
               output %conv");
    }
}
