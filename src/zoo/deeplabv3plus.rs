//! DeepLabV3+: ResNet-50 at output stride 16, atrous spatial pyramid pooling, and a decoder that sharpens the
//! result with features of stride 4.
//!
//! Chen, Zhu, Papandreou, Schroff, Adam, *Encoder-decoder with atrous separable convolution for semantic image
//! segmentation*, ECCV 2018, with plain convolutions in place of separable ones, as with ResNet backbones there.

use super::conv::Conv;
use super::error::ZooError;
use super::layers::{Layers, Value};
use super::resnet::resnet50_stages;

const CLASSES: usize = 32;

/// Dilations of the pyramid's 3×3 convolutions at output stride 16.
const RATES: [usize; 3] = [6, 12, 18];

pub(super) fn layers(net: &mut Layers, x: Value) -> Result<Value, ZooError> {
    let [fine, .., deep] = resnet50_stages(net, "backbone.", &x, 16)?;
    let deep = pyramid(net, "classifier.aspp", &deep)?;
    let deep = net.enlarge_to("classifier", &deep, &fine)?;
    let fine = conv_bn_relu(net, "classifier.project", &fine, 0, Conv::new(48, 1))?;
    let y = net.concat("classifier", &[&fine, &deep]);
    let y = conv_bn_relu(net, "classifier.classifier", &y, 0, Conv::new(256, 3))?;
    let y = conv_bn_relu(net, "classifier.classifier", &y, 3, Conv::new(256, 3))?;
    let y = net.conv("classifier.classifier.6", &y, Conv::new(CLASSES, 1).bias())?;
    net.enlarge_to("", &y, &x)
}

/// The same map seen at five scales: each pixel, three dilations, and the mean of the whole picture.
fn pyramid(net: &mut Layers, path: &str, x: &Value) -> Result<Value, ZooError> {
    let branch = |index: usize| format!("{path}.convs.{index}");
    let mut scales = vec![conv_bn_relu(net, &branch(0), x, 0, Conv::new(256, 1))?];
    for (index, rate) in (1..).zip(RATES) {
        scales.push(conv_bn_relu(net, &branch(index), x, 0, Conv::new(256, 3).dilation(rate))?);
    }
    let pooled = net.global_average_pool(&format!("{}.0", branch(4)), x);
    let pooled = conv_bn_relu(net, &branch(4), &pooled, 1, Conv::new(256, 1))?;
    scales.push(net.enlarge_to(&branch(4), &pooled, x)?);
    let y = net.concat(path, &scales.iter().collect::<Vec<_>>());
    let project = format!("{path}.project");
    let y = conv_bn_relu(net, &project, &y, 0, Conv::new(256, 1))?;
    net.dropout(&format!("{project}.3"), &y, 0.5)
}

/// Three modules of a sequence, the convolution at `first`.
fn conv_bn_relu(net: &mut Layers, path: &str, x: &Value, first: usize, conv: Conv) -> Result<Value, ZooError> {
    let [a, b, c] = [0, 1, 2].map(|part| format!("{path}.{}", first + part));
    net.conv_bn_relu([&a, &b, &c], x, conv)
}
