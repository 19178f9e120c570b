//! The zoo's networks: right shapes and parameter counts, the same bytes for the same seed, values of a sane
//! scale, and the same answers from limpid's interpreter as from tract.

use limpid::zoo::{self, Built, Network};
use limpid_graph::onnx::{self, Model};
use limpid_graph::reference::Interpreter;
use limpid_graph::tensor::{Tensor, relative_l2};
use std::path::Path;
use tract_onnx::prelude::*;

fn network(name: &str) -> &'static Network {
    zoo::find(name).unwrap()
}

fn bytes(built: &Built) -> Vec<u8> {
    built.model.to_bytes().unwrap()
}

fn import(bytes: &[u8]) -> Model {
    onnx::load_bytes(bytes, Path::new("zoo.onnx"), None).unwrap()
}

/// Independent, nearly standard normal pixels (sums of twelve uniform numbers from a linear congruence).
fn noise(shape: &[usize]) -> Tensor {
    let mut state = 1u64;
    let mut uniform = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u64 << 24) as f32
    };
    let pixels = (0..shape.iter().product()).map(|_| (0..12).map(|_| uniform()).sum::<f32>() - 6.0).collect();
    Tensor::new::<f32>(shape, pixels).unwrap()
}

fn run_tract(bytes: &[u8], input: &Tensor) -> Vec<f32> {
    let model = tract_onnx::onnx().model_for_read(&mut &bytes[..]).unwrap();
    let model = model.with_input_fact(0, f32::fact(input.shape()).into()).unwrap();
    let plan = model.into_typed().unwrap().into_runnable().unwrap();
    let input = tract_onnx::prelude::Tensor::from_shape(input.shape(), input.as_slice::<f32>().unwrap()).unwrap();
    let outputs = plan.run(tvec!(input.into())).unwrap();
    outputs[0].to_plain_array_view::<f32>().unwrap().iter().copied().collect()
}

/// Imports the network for pictures of its usual size and checks what is known of it.
fn check_structure(name: &str, parameters: usize, output: &str) {
    let built = network(name).build(0).unwrap();
    assert_eq!(built.parameters, parameters);
    let Model { graph, opset, .. } = import(&bytes(&built));
    let network = network(name);
    assert_eq!(opset, 17);
    assert_eq!(graph.fact(graph.inputs[0]).to_string(), format!("f32(N,{},{1},{1})", network.channels, network.size));
    assert_eq!(graph.fact(graph.outputs[0]).to_string(), output);
    assert_eq!(graph.value(graph.outputs[0]).name, "logits");
}

/// Runs two pictures of noise through limpid and tract. No value on the way may be large or lost, and the two
/// pictures must not look the same to the network.
fn check_values(name: &str, size: usize) {
    let network = network(name);
    let bytes = bytes(&network.build_for(size, 0).unwrap());
    let Model { graph, .. } = import(&bytes);
    let input = noise(&[2, network.channels, size, size]);
    let mut largest = 0f32;
    let mut observe = |value: limpid_graph::ir::ValueId, tensor: &Tensor| {
        for v in tensor.to_f32() {
            assert!(v.is_finite(), "{name}: {} holds {v}", graph.value(value).name);
            largest = largest.max(v.abs());
        }
    };
    let outputs = Interpreter::new(&graph).unwrap().run_observed(std::slice::from_ref(&input), &mut observe).unwrap();
    let logits = outputs[0].to_f32();
    assert!(largest < 200.0, "{name}: a value of {largest}; FP16 and INT8 would suffer");

    let mean = logits.iter().sum::<f32>() / logits.len() as f32;
    let deviation = (logits.iter().map(|v| (v - mean).powi(2)).sum::<f32>() / logits.len() as f32).sqrt();
    assert!((0.1..30.0).contains(&deviation), "{name}: logits have a standard deviation of {deviation}");
    let (first, second) = logits.split_at(logits.len() / 2);
    let apart = relative_l2(first, second);
    assert!(apart > 0.01, "{name}: two pictures give logits only {apart} apart");

    let error = relative_l2(&logits, &run_tract(&bytes, &input));
    assert!(error < 1e-5, "{name}: {error} from tract");
    println!("{name} at {size}: deviation {deviation}, largest {largest}, apart {apart}, from tract {error}");
}

#[test]
fn mlp() {
    check_structure("mlp", 784 * 256 + 256 + 256 * 128 + 128 + 128 * 10 + 10, "f32(N,10)");
    check_values("mlp", 28);
}

#[test]
fn resnet18() {
    check_structure("resnet18", 11_689_512, "f32(N,1000)");
    check_values("resnet18", 96);
}

#[test]
fn resnet50() {
    check_structure("resnet50", 25_557_032, "f32(N,1000)");
    check_values("resnet50", 64);
}

#[test]
fn mobilenetv2() {
    check_structure("mobilenetv2", 3_504_872, "f32(N,1000)");
    check_values("mobilenetv2", 96);
}

#[test]
fn unet() {
    // milesial/Pytorch-UNet has 31,037,633 for one class; each further one has 64 weights and a bias.
    check_structure("unet", 31_037_633 + 31 * 65, "f32(N,32,256,256)");
    check_values("unet", 64);
}

#[test]
fn deeplabv3plus() {
    let batch_norm = |channels: usize| 2 * channels;
    // ResNet-50 less its classifier, the pyramid, the projections, the decoder.
    let backbone = 25_557_032 - (2048 * 1000 + 1000);
    let pyramid = 2 * 2048 * 256 + 3 * 2048 * 256 * 9 + 5 * 256 * 256 + 6 * batch_norm(256);
    let project = 256 * 48 + batch_norm(48);
    let decoder = (48 + 256) * 256 * 9 + 256 * 256 * 9 + 2 * batch_norm(256) + 256 * 32 + 32;
    check_structure("deeplabv3plus", backbone + pyramid + project + decoder, "f32(N,32,512,512)");
    check_values("deeplabv3plus", 64);
}

/// At its usual size VGG-16 is a file of 553 MB; only its first fully connected layer depends on the size.
#[test]
fn vgg16_small() {
    let built = network("vgg16").build_for(32, 0).unwrap();
    assert_eq!(built.parameters, 138_357_544 - 4096 * 512 * (7 * 7 - 1));
    let Model { graph, .. } = import(&bytes(&built));
    assert_eq!(graph.fact(graph.outputs[0]).to_string(), "f32(N,1000)");
    drop(built);
    check_values("vgg16", 32);
}

#[test]
fn a_seed_decides_the_bytes() {
    for (name, size) in [("mlp", 28), ("mobilenetv2", 32)] {
        let hash = |seed: u64| blake3::hash(&bytes(&network(name).build_for(size, seed).unwrap()));
        assert_eq!(hash(7), hash(7));
        assert_ne!(hash(7), hash(8));
    }
}

/// The weights of a seed are the same on every machine and in every version: results name them by it.
#[test]
fn the_weights_of_seed_0_do_not_change() {
    let hash = |name: &str| {
        let Model { graph, .. } = import(&bytes(&network(name).build(0).unwrap()));
        let mut hasher = blake3::Hasher::new();
        for tensor in graph.values().filter_map(|(id, _)| graph.constant(id)) {
            hasher.update(tensor.bytes());
        }
        hasher.finalize().to_hex()[..16].to_owned()
    };
    assert_eq!(["mlp", "mobilenetv2"].map(hash), ["d3378876c86c5304", "071b026f89545327"]);
}

#[test]
fn other_sizes_keep_the_weights() {
    let weights = |size: usize| {
        let Model { graph, .. } = import(&bytes(&network("mobilenetv2").build_for(size, 0).unwrap()));
        let value = graph.values().find(|(_, v)| v.name == "features.5.conv.1.0.weight").unwrap().0;
        graph.constant(value).unwrap().clone()
    };
    assert_eq!(weights(32), weights(64));
}

#[test]
fn sizes_that_the_strides_do_not_divide_are_refused() {
    for size in [0, 100, 225] {
        let error = network("resnet18").build_for(size, 0).unwrap_err();
        let text = format!("ResNet-18 takes square pictures whose side is a multiple of 32, got {size}");
        assert_eq!(error.to_string(), text);
    }
}

/// A file that leaves the size open has the weights of the usual size, and takes others.
#[test]
fn any_size_is_the_same_network() {
    let run = |built: &Built, size: usize| {
        let Model { graph, .. } = import(&bytes(built));
        Interpreter::new(&graph).unwrap().run(&[noise(&[1, 3, size, size])]).unwrap().swap_remove(0)
    };
    let weights = |built: &Built| -> Vec<(String, Vec<u8>)> {
        let Model { graph, .. } = import(&bytes(built));
        let constants =
            graph.values().filter_map(|(_, v)| Some((v.name.clone(), v.constant.as_ref()?.bytes().to_vec())));
        constants.filter(|(name, _)| name.ends_with(".weight")).collect()
    };
    let open = network("deeplabv3plus").build_for_any_size(0).unwrap();
    assert!(weights(&open) == weights(&network("deeplabv3plus").build(0).unwrap()), "other weights");
    assert_eq!(run(&open, 50).shape(), [1, 32, 50, 50]);
    for name in ["resnet18", "resnet50", "mobilenetv2"] {
        let Model { graph, .. } = import(&bytes(&network(name).build_for_any_size(0).unwrap()));
        assert_eq!(graph.fact(graph.outputs[0]).to_string(), "f32(N,1000)", "{name}");
    }
    let error = network("unet").build_for_any_size(0).unwrap_err().to_string();
    assert_eq!(error, "U-Net cannot leave the size of its pictures open: its layers count on it");
}

/// Every layer that fusion is about is in the file as a node of its own.
#[test]
fn nothing_is_fused() {
    let count = |name: &str, size: usize| {
        let Model { graph, ledger, .. } = import(&bytes(&network(name).build_for(size, 0).unwrap()));
        let origins: Vec<_> = ledger.account(&graph).into_iter().map(|line| line.origin.op_type).collect();
        move |op: &str| origins.iter().filter(|o| *o == op).count()
    };
    let resnet = count("resnet18", 32);
    assert_eq!(["Conv", "BatchNormalization", "Relu", "Add", "Gemm"].map(&resnet), [20, 20, 17, 8, 1]);
    let mobilenet = count("mobilenetv2", 32);
    assert_eq!(["Conv", "BatchNormalization", "Clip", "Add", "Dropout"].map(&mobilenet), [52, 52, 35, 10, 1]);
    let unet = count("unet", 16);
    assert_eq!(["Conv", "ConvTranspose", "BatchNormalization", "Concat", "MaxPool"].map(&unet), [19, 4, 18, 4, 4]);
}
