//! Integers that become real only to become integers again stay integers.
//!
//! ```text
//! q -> Dequantize[s] -> Quantize[s] -> y   =>   y is q
//! q -> Dequantize[s] -> Quantize[t] -> y   =>   q -> Quantize[t] -> y        y = round(q · s/t)
//! ```

use super::quantized::Dequantized;
use crate::ir::{Graph, NodeId};
use crate::ops::Op;
use crate::rewrite::{Outcome, Patch, Rule, Source};

/// The rule.
#[derive(Debug)]
pub struct FuseRequantize;

impl Rule for FuseRequantize {
    fn name(&self) -> &'static str {
        "fuse_requantize"
    }

    fn summary(&self) -> &'static str {
        "bring integers from one scale to another without making them real"
    }

    fn apply(&self, graph: &Graph, id: NodeId) -> Outcome {
        let node = graph.node(id);
        let Op::Quantize(op) = &node.op else { return Outcome::NoMatch };
        let Some(made) = Dequantized::from(graph, node.inputs[0]) else { return Outcome::NoMatch };
        let (q, y) = (made.q, node.outputs[0]);
        if *made.params == op.params && graph.fact(q).quant.as_ref() == Some(&op.params) {
            if graph.outputs.contains(&y) && (graph.producer(q).is_none() || graph.outputs.contains(&q)) {
                return Outcome::Declined(format!(
                    "the network gives out both its result and `{}`",
                    graph.value(q).name
                ));
            }
            let mut patch = Patch::new("the integers stay as they are");
            patch.bypass(id, y, q);
            return Outcome::Rewrite(patch);
        }
        if op.params.exact_scale().is_none() {
            return Outcome::NoMatch;
        }
        if let Err(reason) = made.activation() {
            return Outcome::Declined(reason);
        }
        let absorbed: Vec<NodeId> = made.absorbed_by(id).into_iter().collect();
        let mut patch = Patch::new("y = round(q · s/t)");
        let (inputs, params) = (vec![Source::Value(q)], Some(op.params.clone()));
        patch.replace_in_int8(graph, id, &absorbed, op.clone(), inputs, vec![y], params);
        Outcome::Rewrite(patch)
    }
}

#[cfg(test)]
mod tests {
    use super::super::net::Net;
    use super::*;
    use crate::tensor::{DType, QuantParams};

    #[test]
    fn integers_stay_integers() {
        let mut net = Net::new(&[2, 4, 4]);
        let y = net.pair("a", net.x, &QuantParams::per_tensor(0.01));
        let y = net.pair("b", y, &QuantParams::per_tensor(0.01));
        let y = net.pair("c", y, &QuantParams::per_tensor(0.03));
        net.finish(&[y]).rewrite(&[&FuseRequantize, &crate::passes::EliminateDead]).is("graph test
               input %x f32(N,2,4,4)
               %a.q i8(N,2,4,4) = Quantize[type=i8 scale=1e-2](%x)  @a.q
               %c.q i8(N,2,4,4) = Quantize[type=i8 scale=3e-2](%a.q)  @c.q int8
               %c f32(N,2,4,4) = Dequantize[type=i8 scale=3e-2](%c.q)  @c
               output %c");
    }

    #[test]
    fn unsigned_integers_do_not_change_their_scale() {
        let unsigned = QuantParams { zero_points: vec![3], dtype: DType::U8, ..QuantParams::per_tensor(0.01) };
        let mut net = Net::new(&[2, 4, 4]);
        let y = net.pair("a", net.x, &unsigned);
        let y = net.pair("b", y, &unsigned);
        let y = net.pair("c", y, &QuantParams::per_tensor(0.03));
        let done = net.finish(&[y]).rewrite(&[&FuseRequantize]);
        done.declined("c.q", "`a.q` is u8 with zero point 3; INT8 arithmetic is i8 around 0");
    }
}
