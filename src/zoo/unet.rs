//! U-Net: down four times by pooling from 64 to 1024 channels, up four times by transposed convolutions, each
//! level joined with what the way down had at that size.
//!
//! Ronneberger, Fischer, Brox, *U-Net: convolutional networks for biomedical image segmentation*, MICCAI 2015, in
//! today's form: padded convolutions, each followed by BatchNormalization. Names and parameters are those of the
//! widespread `milesial/Pytorch-UNet`.

use super::conv::Conv;
use super::error::ZooError;
use super::layers::{Layers, Value};

const CLASSES: usize = 32;

pub(super) fn layers(net: &mut Layers, x: Value) -> Result<Value, ZooError> {
    let mut x = double_conv(net, "inc.double_conv", &x, 64)?;
    let mut passed = Vec::new();
    for level in 1..=4 {
        let pooled = net.max_pool(&format!("down{level}.maxpool_conv.0"), &x, 2);
        passed.push(x);
        x = double_conv(net, &format!("down{level}.maxpool_conv.1.double_conv"), &pooled, 64 << level)?;
    }
    for (level, skip) in (1..).zip(passed.iter().rev()) {
        let up = net.up_conv(&format!("up{level}.up"), &x, skip.channels())?;
        let joined = net.concat(&format!("up{level}"), &[skip, &up]);
        x = double_conv(net, &format!("up{level}.conv.double_conv"), &joined, skip.channels())?;
    }
    net.conv("outc.conv", &x, Conv::new(CLASSES, 1).bias())
}

fn double_conv(net: &mut Layers, path: &str, x: &Value, channels: usize) -> Result<Value, ZooError> {
    let at = |part: usize| format!("{path}.{part}");
    let x = net.conv_bn_relu([&at(0), &at(1), &at(2)], x, Conv::new(channels, 3))?;
    net.conv_bn_relu([&at(3), &at(4), &at(5)], &x, Conv::new(channels, 3))
}
