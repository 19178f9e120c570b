//! Files on the command line become the inputs of a network.

use limpid::input::{InputError, InputFile, Preprocessing, from_array, load, npy, random};
use limpid_graph::ir::{Fact, Graph};
use limpid_graph::tensor::{DType, Dim, Shape, Symbol, Tensor};
use std::path::{Path, PathBuf};

/// A graph with these inputs and nothing else; an extent of 0 stands for an open batch.
fn graph(inputs: &[(&str, DType, &[usize])]) -> Graph {
    let mut graph = Graph::new("test");
    for (name, dtype, dims) in inputs {
        let dim = |&d: &usize| if d == 0 { Dim::symbol(Symbol::new("N")) } else { Dim::from(d) };
        graph.add_input(name, Fact::new(*dtype, Shape::new(dims.iter().map(dim))));
    }
    graph
}

struct Files(tempfile::TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn array(&self, name: &str, arrays: &[(&str, &Tensor)]) -> String {
        npy::write(&self.path(name), arrays).expect("it can be written");
        self.path(name).to_string_lossy().into_owned()
    }

    fn picture(&self, name: &str, width: u32, height: u32) -> String {
        let pixel = |x, y| image::Rgb([x as u8 * 3, y as u8 * 5, 77]);
        image::RgbImage::from_fn(width, height, pixel).save(self.path(name)).expect("a picture");
        self.path(name).to_string_lossy().into_owned()
    }
}

fn read(graph: &Graph, files: &[String]) -> Result<limpid::input::Sample, InputError> {
    let files: Vec<InputFile> = files.iter().map(|text| InputFile::parse(text, graph)).collect();
    load(graph, &files, &Preprocessing::default())
}

const PICTURES: (&str, DType, &[usize]) = ("image", DType::F32, &[0, 3, 8, 6]);

#[test]
fn pictures_of_any_format_are_stacked() {
    let (files, graph) = (Files::new(), graph(&[PICTURES]));
    let paths: Vec<String> =
        ["a.png", "b.jpg", "c.bmp", "d.webp"].iter().map(|name| files.picture(name, 12, 10)).collect();
    let sample = read(&graph, &paths).expect("four pictures");
    assert_eq!(sample.names, ["a.png", "b.jpg", "c.bmp", "d.webp"]);
    assert_eq!(sample.inputs[0].shape(), [4, 3, 8, 6]);
    let values = sample.inputs[0].to_f32();
    assert!(values.iter().all(|v| (0.0..=1.0).contains(v)));
    // The formats without loss hold the same picture.
    let (size, third) = (3 * 8 * 6, 2 * 3 * 8 * 6);
    assert_eq!(values[..size], values[third..third + size]);
}

#[test]
fn arrays_of_pictures_go_the_way_of_pictures() {
    let (files, graph) = (Files::new(), graph(&[PICTURES]));
    let path = files.picture("a.png", 6, 8);
    let from_file = read(&graph, std::slice::from_ref(&path)).expect("a picture");
    let pixels = image::open(&path).expect("a picture").to_rgb8().into_raw();
    let array = Tensor::new(&[1, 8, 6, 3], pixels).expect("a tensor");
    let from_memory = from_array(&graph, "pixels", array.clone(), &Preprocessing::default()).expect("a picture");
    assert_eq!(from_memory.inputs, from_file.inputs);
    // Labels in the same archive are nobody's input.
    let labels = Tensor::new(&[1], vec![3u8]).expect("a tensor");
    let archive = files.array("both.npz", &[("pixels", &array), ("labels", &labels)]);
    assert_eq!(read(&graph, &[archive]).expect("pictures").inputs, from_file.inputs);
}

#[test]
fn arrays_are_taken_as_they_are() {
    let (files, graph) = (Files::new(), graph(&[PICTURES]));
    let batch = random(DType::F32, &[5, 3, 8, 6], 1);
    let sample = read(&graph, &[files.array("batch.npy", &[("", &batch)])]).expect("five samples");
    assert_eq!((sample.inputs, sample.names[4].as_str()), (vec![batch.clone()], "batch.npy[4]"));
    let one = batch.reshape(&[15, 8, 6]).expect("the same volume");
    assert!(matches!(read(&graph, &[files.array("one.npy", &[("", &one)])]), Err(InputError::Shape { .. })));
    let single = random(DType::F16, &[3, 8, 6], 2);
    let sample = read(&graph, &[files.array("single.npy", &[("", &single)])]).expect("one sample");
    assert_eq!(sample.inputs[0], single.cast(DType::F32).reshape(&[1, 3, 8, 6]).expect("the same volume"));
    let integers = random(DType::I64, &[1, 3, 8, 6], 3);
    let error = read(&graph, &[files.array("integers.npy", &[("", &integers)])]).expect_err("another type");
    assert!(error.to_string().contains("i64[1, 3, 8, 6]; input `image` takes f32(N,3,8,6)"), "{error}");
}

#[test]
fn several_inputs_are_told_apart_by_name() {
    let (files, graph) = (Files::new(), graph(&[("left", DType::F32, &[0, 4]), ("right", DType::I64, &[0, 2])]));
    let (left, right) = (random(DType::F32, &[3, 4], 1), random(DType::I64, &[3, 2], 2));
    let archive = files.array("both.npz", &[("right", &right), ("left", &left)]);
    assert_eq!(read(&graph, &[archive]).expect("both").inputs, [left.clone(), right.clone()]);

    let (left_file, right_file) = (files.array("l.npy", &[("", &left)]), files.array("r.npy", &[("", &right)]));
    let named = [format!("right={right_file}"), format!("left={left_file}")];
    assert_eq!(read(&graph, &named).expect("both").inputs, [left, right]);

    assert!(matches!(read(&graph, &named[..1]), Err(InputError::Missing(name)) if name == "left"));
    assert!(matches!(read(&graph, std::slice::from_ref(&left_file)), Err(InputError::Unnamed { count: 2, .. })));
    let short = files.array("s.npy", &[("", &random(DType::I64, &[2, 2], 2))]);
    let uneven = [format!("right={short}"), format!("left={left_file}")];
    assert!(matches!(read(&graph, &uneven), Err(InputError::Samples { count: 3, other: 2, .. })));
    let picture = [format!("left={}", files.picture("a.png", 4, 4)), format!("right={right_file}")];
    let error = read(&graph, &picture).expect_err("no place for pictures");
    assert!(matches!(&error, InputError::Preprocessing { input, .. } if input == "left"), "{error}");
}

#[test]
fn an_input_without_axes_takes_one_number() {
    let (files, graph) = (Files::new(), graph(&[("scale", DType::F32, &[])]));
    let number = files.array("n.npy", &[("", &Tensor::scalar(2.5f32))]);
    let sample = read(&graph, std::slice::from_ref(&number)).expect("a number");
    assert_eq!((sample.inputs, sample.names), (vec![Tensor::scalar(2.5f32)], vec!["n.npy".to_owned()]));
    assert!(matches!(read(&graph, &[number.clone(), number]), Err(InputError::Shape { .. })));
}

#[test]
fn a_name_with_an_equals_sign_is_a_file_if_it_is_there() {
    let graph = graph(&[("x", DType::F32, &[0, 4])]);
    let parse = |text: &str| InputFile::parse(text, &graph);
    assert_eq!(parse("x=a.npy"), InputFile { input: Some("x".to_owned()), path: "a.npy".into() });
    assert_eq!(parse("y=a.npy"), InputFile { input: None, path: "y=a.npy".into() });
    let files = Files::new();
    let whole = files.array("x=1.npy", &[("", &random(DType::F32, &[1, 4], 1))]);
    assert_eq!(parse(&whole).path, Path::new(&whole));
}
