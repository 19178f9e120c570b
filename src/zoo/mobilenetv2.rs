//! MobileNetV2 as torchvision has it, width 1.0: a block widens by a 1×1 convolution, filters each channel by a
//! depthwise 3×3, and narrows by a 1×1 without activation; where nothing changes shape, its input is added.
//!
//! Sandler, Howard, Zhu, Zhmoginov, Chen, *MobileNetV2: inverted residuals and linear bottlenecks*, CVPR 2018,
//! table 2.

use super::conv::Conv;
use super::error::ZooError;
use super::layers::{Layers, Value};

/// Expansion, channels out, blocks, stride of the first block.
const STAGES: [(usize, usize, usize, usize); 7] =
    [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)];

pub(super) fn layers(net: &mut Layers, x: Value) -> Result<Value, ZooError> {
    let mut x = conv_bn_relu6(net, "features.0", &x, Conv::new(32, 3).stride(2))?;
    let mut index = 1;
    for (expansion, out, blocks, stride) in STAGES {
        for block in 0..blocks {
            let stride = if block == 0 { stride } else { 1 };
            x = inverted_residual(net, &format!("features.{index}"), &x, expansion, out, stride)?;
            index += 1;
        }
    }
    let x = conv_bn_relu6(net, &format!("features.{index}"), &x, Conv::new(1280, 1))?;
    let x = net.global_average_pool("", &x);
    let x = net.flatten("", &x);
    let x = net.dropout("classifier.0", &x, 0.2)?;
    net.classifier("classifier.1", &x, 1000)
}

fn conv_bn_relu6(net: &mut Layers, path: &str, x: &Value, conv: Conv) -> Result<Value, ZooError> {
    let x = net.conv_bn([&format!("{path}.0"), &format!("{path}.1")], x, conv)?;
    net.relu6(&format!("{path}.2"), &x)
}

fn inverted_residual(
    net: &mut Layers,
    path: &str,
    x: &Value,
    expansion: usize,
    out: usize,
    stride: usize,
) -> Result<Value, ZooError> {
    let wide = x.channels() * expansion;
    // The first block does not widen, and its modules are counted from the depthwise convolution on.
    let first = usize::from(expansion > 1);
    let mut y = x.clone();
    if expansion > 1 {
        y = conv_bn_relu6(net, &format!("{path}.conv.0"), &y, Conv::new(wide, 1))?;
    }
    let depthwise = Conv::new(wide, 3).stride(stride).groups(wide);
    y = conv_bn_relu6(net, &format!("{path}.conv.{first}"), &y, depthwise)?;
    let narrow = [first + 1, first + 2].map(|part| format!("{path}.conv.{part}"));
    y = net.conv_bn([&narrow[0], &narrow[1]], &y, Conv::new(out, 1))?;
    Ok(if stride == 1 && x.channels() == out { net.add(path, x, &y) } else { y })
}
