//! The examples run, without a GPU too.

#[path = "../examples/classify.rs"]
mod classify;
#[path = "../examples/many_threads.rs"]
mod many_threads;
#[path = "../examples/pipeline.rs"]
mod pipeline;

#[test]
fn a_picture_is_classified() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (model, picture) = (folder.path().join("net.onnx"), folder.path().join("picture.png"));
    // Small pictures, since the CPU may have to do it.
    let network = limpid::zoo::find("resnet18").expect("it is in the zoo").build_for(32, 1).expect("it can be made");
    std::fs::write(&model, network.model.to_bytes().expect("it can be written")).expect("a model");
    image::RgbImage::from_fn(50, 40, |x, y| image::Rgb([x as u8, y as u8, 99])).save(&picture).expect("a picture");
    let ranking = classify::classify(&model, &picture.to_string_lossy()).expect("it runs");
    assert_eq!(ranking.len(), 1000);
    assert!(ranking.is_sorted_by(|(_, a), (_, b)| a >= b) && ranking[0].1 > ranking[999].1, "{:?}", &ranking[..3]);
    assert!(classify::main().is_err(), "the test's arguments are no model and picture");
}

#[test]
fn threads_and_pipelines_answer_as_one_session_does() {
    many_threads::main().expect("every thread gets the right answers");
    pipeline::main().expect("the pipeline gets the right answers");
}
