//! Residual networks as torchvision has them: y = ReLU(f(x) + x), and where f changes the shape, x goes through a
//! 1×1 convolution (`downsample`).
//!
//! He, Zhang, Ren, Sun, *Deep residual learning for image recognition*, CVPR 2016, table 1. The bottleneck's
//! stride is in its 3×3 convolution, as in torchvision and most others ("v1.5").

use super::conv::Conv;
use super::error::ZooError;
use super::layers::{Layers, Value};

pub(super) fn resnet18(net: &mut Layers, x: Value) -> Result<Value, ZooError> {
    let mut x = stem(net, "", &x)?;
    for (stage, width) in [64, 128, 256, 512].into_iter().enumerate() {
        for block in 0..2 {
            let stride = if stage > 0 && block == 0 { 2 } else { 1 };
            x = basic(net, &format!("layer{}.{block}", stage + 1), &x, width, stride)?;
        }
    }
    head(net, &x)
}

pub(super) fn resnet50(net: &mut Layers, x: Value) -> Result<Value, ZooError> {
    let [.., x] = resnet50_stages(net, "", &x, 32)?;
    head(net, &x)
}

/// The outputs of ResNet-50's four stages, at strides 4, 8, 16 and `output_stride`: 32, or 16 for segmentation.
///
/// There, the last stage dilates where it would have strided, so that each convolution sees what it was made to
/// see: the convolution that lost its stride still reads the undilated map, those after it are dilated by 2
/// (torchvision's `replace_stride_with_dilation`).
pub(super) fn resnet50_stages(
    net: &mut Layers,
    prefix: &str,
    x: &Value,
    output_stride: usize,
) -> Result<[Value; 4], ZooError> {
    let mut x = stem(net, prefix, x)?;
    let mut stage = |net: &mut Layers, index: usize, blocks: usize, first: Conv, rest: Conv| {
        for block in 0..blocks {
            let middle = if block == 0 { first } else { rest };
            x = bottleneck(net, &format!("{prefix}layer{index}.{block}"), &x, 64 << (index - 1), middle)?;
        }
        Ok::<_, ZooError>(x.clone())
    };
    let three = |width| Conv::new(width, 3);
    let (last_stride, last_dilation) = if output_stride == 16 { (1, 2) } else { (2, 1) };
    Ok([
        stage(net, 1, 3, three(64), three(64))?,
        stage(net, 2, 4, three(128).stride(2), three(128))?,
        stage(net, 3, 6, three(256).stride(2), three(256))?,
        stage(net, 4, 3, three(512).stride(last_stride), three(512).dilation(last_dilation))?,
    ])
}

fn stem(net: &mut Layers, prefix: &str, x: &Value) -> Result<Value, ZooError> {
    let paths = ["conv1", "bn1", "relu", "maxpool"].map(|part| format!("{prefix}{part}"));
    let x = net.conv_bn_relu([&paths[0], &paths[1], &paths[2]], x, Conv::new(64, 7).stride(2))?;
    Ok(net.max_pool(&paths[3], &x, 3))
}

fn head(net: &mut Layers, x: &Value) -> Result<Value, ZooError> {
    let x = net.global_average_pool("avgpool", x);
    let x = net.flatten("", &x);
    net.classifier("fc", &x, 1000)
}

/// Two 3×3 convolutions.
fn basic(net: &mut Layers, path: &str, x: &Value, width: usize, stride: usize) -> Result<Value, ZooError> {
    let at = |part: &str| format!("{path}.{part}");
    let y = net.conv_bn_relu([&at("conv1"), &at("bn1"), &at("relu")], x, Conv::new(width, 3).stride(stride))?;
    let y = net.conv_bn([&at("conv2"), &at("bn2")], &y, Conv::new(width, 3))?;
    let shortcut = shortcut(net, path, x, &y)?;
    let sum = net.add(path, &y, &shortcut);
    Ok(net.relu(&at("relu_1"), &sum))
}

/// 1×1 down to `width` channels, the 3×3 of `middle`, 1×1 up to four times as many.
fn bottleneck(net: &mut Layers, path: &str, x: &Value, width: usize, middle: Conv) -> Result<Value, ZooError> {
    let at = |part: &str| format!("{path}.{part}");
    let y = net.conv_bn_relu([&at("conv1"), &at("bn1"), &at("relu")], x, Conv::new(width, 1))?;
    let y = net.conv_bn_relu([&at("conv2"), &at("bn2"), &at("relu_1")], &y, middle)?;
    let y = net.conv_bn([&at("conv3"), &at("bn3")], &y, Conv::new(4 * width, 1))?;
    let shortcut = shortcut(net, path, x, &y)?;
    let sum = net.add(path, &y, &shortcut);
    Ok(net.relu(&at("relu_2"), &sum))
}

/// `x`, brought to the shape of `y` if it has another.
fn shortcut(net: &mut Layers, path: &str, x: &Value, y: &Value) -> Result<Value, ZooError> {
    if x.channels() == y.channels() && x.size() == y.size() {
        return Ok(x.clone());
    }
    let conv = Conv::new(y.channels(), 1).stride(x.size() / y.size());
    net.conv_bn([&format!("{path}.downsample.0"), &format!("{path}.downsample.1")], x, conv)
}
