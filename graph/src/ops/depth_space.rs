//! Channels spread over blocks of pixels, and back: the sub-pixel upscaling of Shi et al., arXiv:1609.05158.
//! <https://onnx.ai/onnx/operators/onnx__DepthToSpace.html>,
//! <https://onnx.ai/onnx/operators/onnx__SpaceToDepth.html>

use super::{Cost, Eval, OpError, Operator, Spec, Transpose, movement};
use crate::ir::{Fact, ValueId};
use crate::onnx::{Builder, ImportError, NodeView};
use crate::tensor::{Dim, Shape, Tensor};
use serde::{Deserialize, Serialize};

/// Which part of the channel's number says where in the block a channel goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DepthOrder {
    /// The leading part: channel = (row, column, depth).
    DepthColumnRow,
    /// The trailing part: channel = (depth, row, column). PyTorch's PixelShuffle.
    ColumnRowDepth,
}

/// (N, C·b², H, W) to (N, C, H·b, W·b). Input: x.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DepthToSpace {
    /// b
    pub block: usize,
    /// How channels are numbered.
    pub order: DepthOrder,
}

/// (N, C, H·b, W·b) to (N, C·b², H, W), channels numbered (row, column, depth). Input: x.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpaceToDepth {
    /// b
    pub block: usize,
}

fn block_size(node: &NodeView<'_>) -> Result<usize, ImportError> {
    let block = node.positive("blocksize")?.ok_or_else(|| node.bad_attribute("blocksize", "given", "nothing"))?;
    // Its square is a number of channels.
    if block > 1 << 15 {
        return Err(node.bad_attribute("blocksize", "below 32768", block));
    }
    Ok(block)
}

/// x's four extents, or an error.
fn picture(x: &Fact) -> Result<[Dim; 4], OpError> {
    x.shape.to_vec().try_into().map_err(|_| OpError::shape("x", "of rank 4 (N,C,H,W)", &x.shape))
}

impl DepthToSpace {
    /// Reads ONNX's `DepthToSpace`.
    pub fn from_onnx(node: &NodeView<'_>, build: &mut Builder) -> Result<Vec<ValueId>, ImportError> {
        let order = match node.string("mode")?.as_deref() {
            None | Some("DCR") => DepthOrder::DepthColumnRow,
            Some("CRD") => DepthOrder::ColumnRowDepth,
            Some(other) => return Err(node.bad_attribute("mode", "DCR or CRD", other)),
        };
        build.add(node, DepthToSpace { block: block_size(node)?, order }.into(), &[node.input(0)?])
    }
}

impl SpaceToDepth {
    /// Reads ONNX's `SpaceToDepth`.
    pub fn from_onnx(node: &NodeView<'_>, build: &mut Builder) -> Result<Vec<ValueId>, ImportError> {
        build.add(node, SpaceToDepth { block: block_size(node)? }.into(), &[node.input(0)?])
    }
}

impl Operator for DepthToSpace {
    fn name(&self) -> &'static str {
        "DepthToSpace"
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        let order = match self.order {
            DepthOrder::DepthColumnRow => "DCR",
            DepthOrder::ColumnRowDepth => "CRD",
        };
        vec![("block", self.block.to_string()), ("order", order.to_owned())]
    }

    fn infer(&self, inputs: &[&Fact]) -> Result<Vec<Fact>, OpError> {
        let [x] = OpError::exactly(inputs)?;
        let [n, c, h, w] = picture(x)?;
        let b = Dim::from(self.block);
        let channels = c.exact_div(&(b.clone() * b.clone())).ok_or_else(|| {
            OpError::shape("x", format!("of a multiple of {} channels", self.block * self.block), &x.shape)
        })?;
        Ok(vec![movement::moved(x, Shape::new([n, channels, h * b.clone(), w * b]))?])
    }

    fn reference(&self, eval: &Eval<'_>) -> Result<Vec<Tensor>, OpError> {
        let (x, y, b) = (&eval.inputs[0], &eval.outputs[0].shape, self.block);
        let [n, c, h, w] = [y[0], y[1], x.shape()[2], x.shape()[3]];
        // To (n, c, h, row, w, column) from wherever those axes are.
        let (blocks, perm) = match self.order {
            DepthOrder::DepthColumnRow => ([n, b, b, c, h, w], [0, 3, 4, 1, 5, 2]),
            DepthOrder::ColumnRowDepth => ([n, c, b, b, h, w], [0, 1, 4, 2, 5, 3]),
        };
        Ok(vec![Transpose::permute(&x.reshape(&blocks)?, &perm)?.reshape(y)?])
    }

    fn only_moves(&self) -> bool {
        true
    }

    fn cost(&self, inputs: &[Spec], outputs: &[Spec]) -> Cost {
        Cost { flops: 0, bytes: Cost::traffic(inputs, outputs) }
    }
}

impl Operator for SpaceToDepth {
    fn name(&self) -> &'static str {
        "SpaceToDepth"
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        vec![("block", self.block.to_string())]
    }

    fn infer(&self, inputs: &[&Fact]) -> Result<Vec<Fact>, OpError> {
        let [x] = OpError::exactly(inputs)?;
        let [n, c, h, w] = picture(x)?;
        let b = Dim::from(self.block);
        let (Some(h), Some(w)) = (h.exact_div(&b), w.exact_div(&b)) else {
            let expected = format!("of a height and width that are multiples of {}", self.block);
            return Err(OpError::shape("x", expected, &x.shape));
        };
        Ok(vec![movement::moved(x, Shape::new([n, c * b.clone() * b, h, w]))?])
    }

    fn reference(&self, eval: &Eval<'_>) -> Result<Vec<Tensor>, OpError> {
        let (x, y, b) = (&eval.inputs[0], &eval.outputs[0].shape, self.block);
        let [n, c, h, w] = [y[0], x.shape()[1], y[2], y[3]];
        let blocks = x.reshape(&[n, c, h, b, w, b])?;
        Ok(vec![Transpose::permute(&blocks, &[0, 3, 5, 1, 2, 4])?.reshape(y)?])
    }

    fn only_moves(&self) -> bool {
        true
    }

    fn cost(&self, inputs: &[Spec], outputs: &[Spec]) -> Cost {
        Cost { flops: 0, bytes: Cost::traffic(inputs, outputs) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::evaluate::{counting, evaluate};

    /// Eight channels of one pixel become two of 2x2.
    #[test]
    fn blocks_by_hand() {
        let x = counting(&[1, 8, 1, 1]);
        let order = |order| evaluate(DepthToSpace { block: 2, order }, &[&x]).unwrap();
        assert_eq!(order(DepthOrder::DepthColumnRow).to_f32(), [1.0, 3.0, 5.0, 7.0, 2.0, 4.0, 6.0, 8.0]);
        assert_eq!(order(DepthOrder::ColumnRowDepth).to_f32(), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]);
        assert_eq!(order(DepthOrder::ColumnRowDepth).shape(), [1, 2, 2, 2]);
    }

    #[test]
    fn there_and_back() {
        let x = counting(&[2, 12, 3, 2]);
        let space = evaluate(DepthToSpace { block: 2, order: DepthOrder::DepthColumnRow }, &[&x]).unwrap();
        assert_eq!(space.shape(), [2, 3, 6, 4]);
        assert_eq!(evaluate(SpaceToDepth { block: 2 }, &[&space]), Ok(x));
        assert!(evaluate(SpaceToDepth { block: 4 }, &[&space]).is_err());
        assert!(evaluate(DepthToSpace { block: 2, order: DepthOrder::DepthColumnRow }, &[space]).is_err());
        assert!(evaluate(SpaceToDepth { block: 1 }, &[counting(&[4, 4])]).is_err());
    }
}
