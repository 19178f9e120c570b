//! Folders of samples become batches.

use limpid::input::dataset::Batch;
use limpid::input::{Dataset, InputError, LabelTable, Preprocessing, npy, random};
use limpid_graph::ir::{Fact, Graph};
use limpid_graph::tensor::{DType, Dim, Shape, Symbol, Tensor};
use std::path::{Path, PathBuf};

/// A graph with these inputs and nothing else; an extent of 0 stands for an open one.
fn graph(inputs: &[(&str, &[usize])]) -> Graph {
    let mut graph = Graph::new("test");
    for (name, dims) in inputs {
        let dim = |(axis, &d): (usize, &usize)| match d {
            0 => Dim::symbol(Symbol::new(&format!("N{axis}"))),
            d => Dim::from(d),
        };
        graph.add_input(name, Fact::new(DType::F32, Shape::new(dims.iter().enumerate().map(dim))));
    }
    graph
}

fn of_pictures() -> Graph {
    graph(&[("image", &[0, 1, 4, 4])])
}

struct Files(tempfile::TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder"))
    }

    fn path(&self, name: &str) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::create_dir_all(path.parent().expect("it has a folder")).expect("a folder");
        path
    }

    /// A picture of 4x4 pixels of this gray.
    fn picture(&self, name: &str, gray: u8) {
        image::GrayImage::from_pixel(4, 4, image::Luma([gray])).save(self.path(name)).expect("a picture");
    }

    fn broken(&self, name: &str) {
        std::fs::write(self.path(name), b"this is no picture").expect("a file");
    }

    fn arrays(&self, name: &str, arrays: &[(&str, &Tensor)]) {
        npy::write(&self.path(name), arrays).expect("it can be written");
    }

    fn open(&self, graph: &Graph) -> Result<Dataset, InputError> {
        Dataset::open(self.0.path(), graph)
    }
}

/// Pixels as they are.
fn plain() -> Preprocessing {
    Preprocessing { scale: 1.0, ..Preprocessing::default() }
}

fn read(dataset: &Dataset, graph: &Graph, size: usize) -> Result<Vec<Batch>, InputError> {
    dataset.batches(graph, &plain(), size)?.collect()
}

/// The first number of every sample, batch by batch.
fn firsts(batches: &[Batch]) -> Vec<Vec<f32>> {
    let of = |batch: &Batch| {
        let tensor = &batch.inputs[0];
        tensor.to_f32().chunks(tensor.len() / batch.samples.len()).map(|sample| sample[0]).collect()
    };
    batches.iter().map(of).collect()
}

#[test]
fn pictures_come_in_the_order_of_their_names() {
    let (files, graph) = (Files::new(), of_pictures());
    for (name, gray) in [("c.png", 3), ("a.bmp", 1), ("b.webp", 2), ("e.PNG", 5), ("d.png", 4)] {
        files.picture(name, gray);
    }
    let dataset = files.open(&graph).expect("five pictures");
    assert_eq!((dataset.len(), dataset.name(1)), (5, "b.webp".to_owned()));
    let batches = read(&dataset, &graph, 2).expect("batches");
    assert_eq!(firsts(&batches), [vec![1.0, 2.0], vec![3.0, 4.0], vec![5.0]]);
    assert_eq!(batches[1].samples, [2, 3]);
    assert_eq!(batches[1].inputs[0].shape(), [2, 1, 4, 4]);
    assert!(dataset.skipped().is_empty());
    // One picture alone is a dataset, too.
    let one = Dataset::open(&files.path("c.png"), &graph).expect("a picture");
    assert_eq!(firsts(&read(&one, &graph, 8).expect("a batch")), [vec![3.0]]);
}

#[test]
fn broken_pictures_are_skipped_and_batches_stay_full() {
    let (files, graph) = (Files::new(), of_pictures());
    (0..6u8).for_each(|i| files.picture(&format!("{i}.png"), i));
    files.broken("1.png");
    files.broken("4.png");
    let dataset = files.open(&graph).expect("six files");
    let batches = read(&dataset, &graph, 2).expect("batches");
    assert_eq!(firsts(&batches), [vec![0.0, 2.0], vec![3.0, 5.0]]);
    assert_eq!(batches[1].samples, [3, 5]);
    let skipped = dataset.skipped();
    let names: Vec<_> = skipped.iter().map(|s| s.path.file_name().expect("a name").to_string_lossy()).collect();
    assert_eq!(names, ["1.png", "4.png"]);
    assert!(skipped[0].reason.contains("no jpg, png"), "{}", skipped[0].reason);
    // A second pass does not read them again, and finds the same.
    assert_eq!(read(&dataset, &graph, 2).expect("batches"), batches);

    assert!(files.open(&graph).expect("six files").at_least(4).is_ok_and(|d| read(&d, &graph, 2).is_ok()));
    let needy = files.open(&graph).expect("six files").at_least(5).expect("six are there");
    let error = read(&needy, &graph, 2).expect_err("only four can be read");
    assert!(matches!(&error, InputError::TooFew { usable: 4, listed: 6, needed: 5, .. }), "{error}");
    assert!(error.to_string().contains("1.png (it is no jpg"), "{error}");
    let error = files.open(&graph).expect("six files").at_least(7).expect_err("six are there");
    assert!(matches!(&error, InputError::TooFew { usable: 6, needed: 7, .. }), "{error}");
    let none = Files::new();
    none.broken("a.png");
    let dataset = none.open(&graph).expect("a file");
    assert!(matches!(read(&dataset, &graph, 1), Err(InputError::TooFew { usable: 0, needed: 1, .. })));
}

#[test]
fn a_part_is_spread_over_all() {
    let (files, graph) = (Files::new(), of_pictures());
    for (folder, base) in [("a", 0u8), ("b", 10)] {
        (0..4).for_each(|i| files.picture(&format!("{folder}/{i}.png"), base + i));
    }
    let dataset = files.open(&graph).expect("eight pictures").at_most(4);
    assert_eq!(dataset.classes(), ["a", "b"]);
    assert_eq!((0..4).map(|i| dataset.class(i)).collect::<Vec<_>>(), [Some(0), Some(0), Some(1), Some(1)]);
    assert_eq!(firsts(&read(&dataset, &graph, 4).expect("a batch")), [vec![0.0, 2.0, 10.0, 12.0]]);
    assert_eq!(files.open(&graph).expect("eight pictures").at_most(100).len(), 8);
}

#[test]
fn arrays_hold_one_sample_or_many() {
    let (files, graph) = (Files::new(), graph(&[("x", &[0, 2, 3])]));
    let many = random(DType::F32, &[3, 2, 3], 1);
    let one = random(DType::F32, &[2, 3], 2);
    files.arrays("a.npy", &[("", &many)]);
    files.arrays("b.npy", &[("", &one)]);
    std::fs::write(files.path("c.npy"), b"\x93NUMPY").expect("a file");
    let dataset = files.open(&graph).expect("four samples");
    assert_eq!((dataset.len(), dataset.name(2), dataset.name(3)), (4, "a.npy[2]".to_owned(), "b.npy".to_owned()));
    let batches = read(&dataset, &graph, 3).expect("batches");
    assert_eq!(batches[0].inputs[0], many);
    assert_eq!(batches[1].inputs[0], one.reshape(&[1, 2, 3]).expect("the same volume"));
    assert_eq!(dataset.skipped().len(), 1);
    // Batches go across files.
    assert_eq!(read(&dataset, &graph, 4).expect("a batch")[0].inputs[0].shape(), [4, 2, 3]);

    files.arrays("d.npy", &[("", &random(DType::F32, &[5, 7], 1))]);
    let dataset = files.open(&graph).expect("it can be listed");
    let error = read(&dataset, &graph, 2).expect_err("another shape");
    assert!(matches!(&error, InputError::Shape { .. }) && error.to_string().contains("d.npy"), "{error}");
}

#[test]
fn open_extents_must_agree_within_a_batch() {
    let (files, graph) = (Files::new(), graph(&[("x", &[0, 0])]));
    files.arrays("a.npy", &[("", &random(DType::F32, &[1, 4], 1))]);
    files.arrays("b.npy", &[("", &random(DType::F32, &[1, 5], 1))]);
    let dataset = files.open(&graph).expect("two samples");
    assert_eq!(read(&dataset, &graph, 1).expect("batches").len(), 2);
    assert!(matches!(read(&dataset, &graph, 2), Err(InputError::Shape { .. })));
}

#[test]
fn an_archive_has_an_array_for_each_input() {
    let (files, two) = (Files::new(), graph(&[("left", &[0, 2]), ("right", &[0, 3])]));
    let (left, right) = (random(DType::F32, &[5, 2], 1), random(DType::F32, &[5, 3], 2));
    let labels = Tensor::new(&[5], vec![4i64, 3, -1, 1, 0]).expect("a tensor");
    files.arrays("all.npz", &[("right", &right), ("labels", &labels), ("left", &left)]);
    let dataset = files.open(&two).expect("five samples");
    assert_eq!((0..5).map(|i| dataset.stored_label(i)).collect::<Vec<_>>(), [Some(4), Some(3), None, Some(1), Some(0)]);
    let batches = read(&dataset, &two, 5).expect("a batch");
    assert_eq!(batches[0].inputs, [left.clone(), right]);

    let short = random(DType::F32, &[4, 3], 2);
    files.arrays("all.npz", &[("right", &short), ("left", &left)]);
    assert!(matches!(files.open(&two), Err(InputError::Samples { count: 5, other: 4, .. })));
    files.arrays("all.npz", &[("left", &left)]);
    assert!(matches!(files.open(&two), Err(InputError::Missing(name)) if name == "right"));
    let other = Files::new();
    other.picture("a.png", 1);
    assert!(matches!(other.open(&two), Err(InputError::SeveralInputs { count: 2, .. })));
    let other = Files::new();
    other.arrays("a.npy", &[("", &left)]);
    assert!(matches!(other.open(&two), Err(InputError::SeveralInputs { count: 2, .. })));
}

#[test]
fn the_hash_is_that_of_the_contents_in_any_order() {
    let graph = of_pictures();
    let hash = |pictures: &[(&str, u8)]| {
        let files = Files::new();
        pictures.iter().for_each(|(name, gray)| files.picture(name, *gray));
        files.open(&graph).expect("pictures").hash().expect("they can be read")
    };
    let whole = hash(&[("a.png", 1), ("b.png", 2)]);
    assert_eq!(whole.len(), 64);
    assert_eq!(whole, hash(&[("x.png", 2), ("y.png", 1)]));
    assert_eq!(whole, hash(&[("one/a.png", 1), ("two/a.png", 2)]));
    assert_ne!(whole, hash(&[("a.png", 1), ("b.png", 3)]));
    assert_ne!(whole, hash(&[("a.png", 1)]));
    assert_ne!(hash(&[("a.png", 1)]), hash(&[("a.png", 1), ("b.png", 1)]));
    // A file that goes away before it is read is skipped as one that cannot be read is.
    let files = Files::new();
    [("a.png", 1), ("b.png", 2)].iter().for_each(|(name, gray)| files.picture(name, *gray));
    let dataset = files.open(&graph).expect("pictures");
    std::fs::remove_file(files.path("b.png")).expect("a file");
    assert_eq!(dataset.hash().expect("one is left"), hash(&[("a.png", 1)]));
    assert_eq!(dataset.skipped().len(), 1);
    assert!(matches!(dataset.at_least(2), Err(InputError::TooFew { usable: 1, listed: 2, needed: 2, .. })));
}

#[test]
fn labels_are_found_by_name_and_missing_files_named() {
    let (files, graph) = (Files::new(), of_pictures());
    for name in ["cat/1.png", "cat/2.png", "dog/1.png", "dog/3.png"] {
        files.picture(name, 1);
    }
    let labels = |text: &str| {
        let table = LabelTable::parse(Path::new("labels.csv"), text).expect("labels");
        files.open(&graph).expect("pictures").labels(&table)
    };
    let found = labels("cat/1.png,5\n3.png,7\ndog/1.png,0\n").expect("all are there");
    assert_eq!(found, [Some(5), None, Some(0), Some(7)]);
    // Two folders have it, and which is meant cannot be told.
    let error = labels("1.png,5").expect_err("which?").to_string();
    assert!(error.contains("labels 1 file") && error.contains("1.png"), "{error}");
    let error = labels("a,1\nb,1\nc,1\nd,1\ncat/2.png,1\ne,1").expect_err("they are not there").to_string();
    assert!(error.contains("5 files") && error.ends_with(": a, b, c and 2 more"), "{error}");
}
