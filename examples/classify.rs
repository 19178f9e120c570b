//! Classifies a picture with a network of yours: `cargo run --release --example classify -- resnet18.onnx cat.jpg`

use limpid::input::{self, Crop, InputFile, Preprocessing};
use limpid::{Backend, Builder, Destination, Precision, Session};
use std::error::Error;
use std::path::Path;
use std::sync::Arc;

/// Prints the five best classes.
pub fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, picture] = &arguments[..] else { return Err("usage: classify MODEL.onnx PICTURE".into()) };
    for (class, score) in classify(Path::new(model), picture)?.into_iter().take(5) {
        println!("{class:>6} {score:9.4}");
    }
    Ok(())
}

/// All classes with their scores, the best first.
pub fn classify(model: &Path, picture: &str) -> Result<Vec<(usize, f32)>, Box<dyn Error>> {
    // As torchvision's ImageNet networks expect their pictures.
    let mut preprocessing = Preprocessing { crop: Crop::Center, ..Preprocessing::default() };
    preprocessing.imagenet_norm();

    let (destination, reason) = Destination::available();
    if let Some(reason) = reason {
        eprintln!("on the CPU: {reason}");
    }
    let builder = Builder::new(destination).precision(Precision::Fp16).preprocessing(preprocessing);
    let engine = Arc::new(builder.build(model, &mut ())?);

    let files = [InputFile::parse(picture, &engine.graph)];
    let sample = input::load(&engine.graph, &files, &engine.metadata.preprocessing)?;
    let mut session = Session::new(engine, Backend::Auto)?;
    let outputs = session.run_batches(&sample.inputs, &mut |_| {})?;

    let scores = outputs.first().ok_or("the network has no outputs")?.to_f32();
    let mut ranking: Vec<(usize, f32)> = scores.into_iter().enumerate().collect();
    ranking.sort_by(|(_, a), (_, b)| b.total_cmp(a));
    Ok(ranking)
}
