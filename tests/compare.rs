//! `limpid compare` and `limpid labels`, run as their users run them. Everything here is on the CPU.

use limpid::input::npy;
use serde_json::Value;
use std::path::Path;
use workplace::{Said, Workplace};

mod workplace;

fn data(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name).to_string_lossy().into_owned()
}

const PIXELS: [&str; 6] = ["--channels", "gray", "--mean", "0.2860", "--std", "0.3530"];

/// The trained network in two precisions.
fn engines(work: &Workplace) {
    for precision in ["fp32", "fp16"] {
        let (model, output) = (data("fashion/fashion.onnx"), format!("{precision}.engine"));
        let build = ["build", &model, "-o", &output, "--precision", precision, "--backend", "cpu"];
        work.ok(&[&build[..], &PIXELS].concat());
    }
}

/// Test images as pictures, in a folder per class; their names and classes.
fn pictures(work: &Workplace, count: usize) -> Vec<(String, usize)> {
    let arrays = npy::read(Path::new(&data("fashion/test_1000.npz"))).expect("an archive");
    let of = |name: &str| &arrays.iter().find(|a| a.name.as_deref() == Some(name)).expect("an array").tensor;
    let (images, labels) = (of("images").bytes(), of("labels").to_i64());
    let mut written = Vec::new();
    for (index, (pixels, label)) in images.chunks_exact(28 * 28).zip(labels).take(count).enumerate() {
        let name = format!("{label}/{index:03}.png");
        std::fs::create_dir_all(work.path(&format!("pictures/{label}"))).expect("a folder");
        let picture = image::GrayImage::from_raw(28, 28, pixels.to_vec()).expect("28x28 pixels");
        picture.save(work.path(&format!("pictures/{name}"))).expect("a picture");
        written.push((name, label as usize));
    }
    written.sort();
    written
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

#[test]
fn half_precision_answers_as_single() {
    let work = Workplace::new();
    engines(&work);
    let compare = ["compare", "fp32.engine", "fp16.engine", &data("fashion/test_1000.npz")];
    let result = work.json(&compare);
    let counts = &result["classification"];
    assert_eq!((result["samples"].as_u64(), counts["labelled"].as_u64()), (Some(1000), Some(1000)));
    // As PyTorch measured it when the network was trained, and as `demo` does.
    let accuracy: Value =
        serde_json::from_str(&std::fs::read_to_string(data("fashion/accuracy.json")).expect("a file")).expect("JSON");
    assert_eq!(counts["baseline"]["top_1"], accuracy["test_accuracy_1000"]);
    let demo = work.json(&["demo", "--backend", "cpu"]);
    let row = |precision: &str| {
        let rows = demo["results"].as_array().expect("rows");
        rows.iter().find(|row| row["precision"] == precision).expect("a row").clone()
    };
    assert_eq!(counts["baseline"]["top_1"], row("fp32")["accuracy"]);
    assert_eq!(counts["test"]["top_1"], row("fp16")["accuracy"]);

    assert!(number(&counts["top_1_agreement"]) >= 0.995, "{counts}");
    assert!(number(&counts["top_5_agreement"]) >= 0.995 && number(&counts["baseline"]["top_5"]) > 0.99, "{counts}");
    let difference = number(&counts["test"]["top_1"]) - number(&counts["baseline"]["top_1"]);
    assert!((number(&counts["difference_pp"]["top_1"]) - 100.0 * difference).abs() < 1e-9, "{counts}");
    let output = &result["outputs"][0];
    // A product of FP16 numbers is off by 2^-11 of itself, and errors of a few layers add up.
    assert!(number(&output["mean_cosine"]) > 0.9999 && number(&output["mean_relative_l2"]) < 5e-3, "{output}");
    assert!(number(&output["mean_relative_l2"]) > 0.0 && output["not_finite"] == 0, "{output}");

    let text = work.ok(&compare);
    for words in ["top-1", "95.10 %", "1000 of 1000, from the array `labels`", "logits", "fp16, CPU reference"] {
        assert!(text.contains(words), "no `{words}` in {text}");
    }
    let part = work.json(&[&compare[..], &["--max", "50"]].concat());
    assert_eq!(part["samples"], 50);
}

#[test]
fn pictures_in_folders_of_classes_are_labelled() {
    let work = Workplace::new();
    engines(&work);
    let written = pictures(&work, 60);
    work.write("pictures/3/broken.png", b"this is no picture");
    let compare = ["compare", "fp32.engine", "fp16.engine", "pictures"];
    let said = work.run(&[&compare[..], &["--json"]].concat());
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(said.err.contains("broken.png") && said.err.contains("no jpg, png, webp or bmp"), "{}", said.err);
    let result: Value = serde_json::from_str(&said.out).expect("JSON");
    assert_eq!((result["samples"].as_u64(), result["skipped"].as_array().map(Vec::len)), (Some(60), Some(1)));
    let counts = &result["classification"];
    assert_eq!((counts["labels"].as_str(), counts["labelled"].as_u64()), (Some("the folders"), Some(60)));
    assert!(number(&counts["baseline"]["top_1"]) > 0.85, "{counts}");
    assert!(work.ok(&compare).contains("60 of pictures; 1 file skipped"));

    // The same labels as a file, on the command line and in the environment.
    assert!(work.ok(&["labels", "pictures", "-o", "labels.csv"]).contains("61 pictures of 10 classes"));
    let text = std::fs::read_to_string(work.path("labels.csv")).expect("labels");
    let rows: Vec<String> = written.iter().map(|(name, label)| format!("{name},{label}")).collect();
    let lines: Vec<&str> = text.lines().skip(1).filter(|line| !line.contains("broken")).collect();
    assert!(text.starts_with("filename,labelIndex\n") && lines == rows, "{text}");
    let by_file = work.json(&[&compare[..], &["--labels", "labels.csv"]].concat());
    assert_eq!(by_file["classification"]["baseline"], counts["baseline"]);
    let mut command = work.command(&["compare", "fp32.engine", "fp16.engine", "--json"]);
    let by_environment = command.envs([("LABELS_CSV", "labels.csv"), ("CALIB_DATA_DIR", "pictures")]);
    let said = Said::of(by_environment.output().expect("it can be started"));
    assert_eq!(serde_json::from_str::<Value>(&said.out).expect("JSON"), by_file, "{}", said.err);

    // Classes in the order of another list have other numbers; those the network does not have are refused.
    let turned: String = (0..10).rev().map(|class| format!("{class}\n")).collect();
    work.write("turned.txt", turned.as_bytes());
    work.ok(&["labels", "pictures", "-o", "turned.csv", "--synset", "turned.txt"]);
    let wrong = work.json(&[&compare[..], &["--labels", "turned.csv"]].concat());
    assert!(number(&wrong["classification"]["baseline"]["top_1"]) < 0.2, "{wrong}");
    work.write("beyond.csv", format!("{},10\n", written[0].0).as_bytes());
    let words = [&written[0].0, "labelled 10", "10 classes", "help:"];
    work.fails(1, &words, &[&compare[..], &["--labels", "beyond.csv", "--quiet"]].concat());
    work.write("missing.csv", b"0/none.png,1\n1/none.png,1\n");
    let words = ["missing.csv", "2 files", "0/none.png, 1/none.png"];
    work.fails(1, &words, &[&compare[..], &["--labels", "missing.csv"]].concat());

    // Fewer folders than classes are no labels, and that is said.
    std::fs::remove_dir_all(work.path("pictures/9")).expect("a folder");
    let said = work.run(&compare);
    assert!(said.err.contains("9 folders are no labels for a network of 10 classes"), "{}", said.err);
    assert!(!said.out.contains(" pp"), "{}", said.out);
}

#[test]
fn what_cannot_be_compared_is_refused() {
    let work = Workplace::new();
    let model = data("fashion/fashion.onnx");
    std::fs::create_dir(work.path("empty")).expect("a folder");
    work.fails(1, &["no samples in `empty`", ".jpg", ".npz"], &["compare", &model, &model, "empty"]);
    work.fails(1, &["cannot read `nowhere`"], &["compare", &model, &model, "nowhere"]);
    work.fails(2, &["nothing to compare on", "CALIB_DATA_DIR"], &["compare", &model, &model]);
    work.fails(1, &["no samples in `empty`", "folders"], &["labels", "empty", "-o", "x.csv"]);
    let unet = data("exports/unet.dynamo.onnx");
    let images = data("fashion/test_1000.npz");
    work.fails(1, &["the outputs differ"], &["compare", &model, &unet, &images, "--max", "1"]);
    work.write("labels.csv", b"test_1000.npz[0],1\n");
    let labelled = ["compare", &unet, &unet, &images, "--max", "1", "--labels", "labels.csv"];
    work.fails(1, &["labels need scores", "f32(N,C)"], &labelled);
    std::fs::create_dir(work.path("masks")).expect("a folder");
    work.fails(1, &["no samples in `masks`", ".png"], &["compare", &unet, &unet, &images, "--masks", "masks"]);
    work.write("masks/other.png", b"");
    work.fails(2, &["no mask in `masks`"], &["compare", &unet, &unet, &images, "--masks", "masks"]);
}

#[test]
fn the_environment_speaks_where_nothing_else_does() {
    let work = Workplace::new();
    engines(&work);
    pictures(&work, 4);
    let model = data("fashion/fashion.onnx");
    let seen = |arguments: &[&str], variables: &[(&str, &str)]| {
        let mut command = work.command(arguments);
        let said = Said::of(command.envs(variables.iter().copied()).output().expect("it can be started"));
        assert_eq!(said.code, 0, "{}", said.err);
        let result: Value = serde_json::from_str(&said.out).expect("JSON");
        result["test"]["preprocessing"].as_str().expect("a text").to_owned()
    };
    let models = ["compare", &model, &model, "pictures", "--json"];
    assert_eq!(seen(&models, &[]), "stretch, (pixel/255 - 0) / 1");
    assert_eq!(seen(&models, &[("IMAGENET_CENTER_CROP", "1")]), "center crop, (pixel/255 - 0) / 1");
    assert_eq!(seen(&models, &[("IMAGENET_CENTER_CROP", "off"), ("IMAGENET_NORM", "")]), seen(&models, &[]));
    // An engine says how it sees pictures, and a model beside it sees them so, too.
    let engine = "stretch, (pixel/255 - 0.286) / 0.353, gray";
    let norm = [("IMAGENET_NORM", "true")];
    assert_eq!(seen(&["compare", "fp32.engine", &model, "pictures", "--json"], &norm), engine);
    let flag = ["compare", "fp32.engine", "fp16.engine", "pictures", "--json", "--mean", "0.5"];
    assert_eq!(seen(&flag, &norm), "stretch, (pixel/255 - 0.5) / 0.353, gray");
    // On gray pictures, three means do not fit: so they were taken.
    let said = Said::of(work.command(&models).envs(norm).output().expect("it can be started"));
    assert!(said.code == 1 && said.err.contains("mean has 3 values for 1 channel"), "{}", said.err);
    let said = Said::of(work.command(&models).env("IMAGENET_NORM", "maybe").output().expect("it can be started"));
    assert!(said.code == 2 && said.err.contains("IMAGENET_NORM is `maybe`"), "{}", said.err);
}

#[test]
fn values_inside_are_compared_by_name() {
    let work = Workplace::new();
    engines(&work);
    let images = data("fashion/test_1000.npz");
    let compare = |test: &str| {
        let options = ["--max", "4", "--layers", "--layer-samples", "2"];
        work.json(&[&["compare", "fp32.engine", test, &images], &options[..]].concat())["layers"].clone()
    };
    let layers = compare("fp16.engine");
    let layers = layers.as_array().expect("a list");
    let sqnr: Vec<f64> = layers.iter().map(|layer| number(&layer["sqnr_db"])).collect();
    assert!(layers.len() > 10 && sqnr.is_sorted(), "{sqnr:?}");
    // Rounding to 11 bits is 66 dB and more below the numbers; through a few layers it adds up.
    assert!(sqnr[0] > 40.0 && sqnr[sqnr.len() - 1] < 100.0, "{sqnr:?}");
    assert!(
        layers.iter().any(|l| l["operator"] == "Conv" && l["types"] == serde_json::json!(["f32", "f16"])),
        "{layers:?}"
    );
    assert!(layers.iter().all(|l| number(&l["cosine"]) > 0.999), "{layers:?}");
    // Integers are taken for the reals they stand for: a scale that was left out would show in every one.
    let calib = data("fashion/calib_200.npz");
    let build =
        ["build", &data("fashion/fashion.onnx"), "-o", "int8.engine", "--precision", "int8", "--backend", "cpu"];
    work.ok(&[&build[..], &["--calib", &calib, "--int8-everywhere"], &PIXELS].concat());
    let layers = compare("int8.engine");
    let layers = layers.as_array().expect("a list");
    let quantized = layers.iter().filter(|l| l["types"] == serde_json::json!(["f32", "i8"]));
    let sqnr: Vec<f64> = quantized.map(|layer| number(&layer["sqnr_db"])).collect();
    assert!(sqnr.len() > 10 && sqnr.iter().all(|db| (10.0..60.0).contains(db)), "{sqnr:?}");
    // An engine is no distance from itself, and no number of dB says so.
    let same = compare("fp32.engine");
    assert!(same.as_array().expect("a list").iter().all(|l| l["sqnr_db"].is_null() && l["relative_l2"] == 0.0));
}

#[test]
fn pixels_are_compared_and_scored() {
    let work = Workplace::new();
    let model = data("exports/unet.dynamo.onnx");
    std::fs::create_dir(work.path("scans")).expect("a folder");
    std::fs::create_dir(work.path("masks")).expect("a folder");
    for (name, step) in [("a", 5), ("b", 9)] {
        let picture = image::GrayImage::from_fn(24, 24, |x, y| image::Luma([((x * step + y * y * 3) % 256) as u8]));
        picture.save(work.path(&format!("scans/{name}.png"))).expect("a picture");
    }
    // The network's own answers as masks: class 1 where its score is larger.
    work.ok(&["run", &model, "-i", "scans/a.png", "-i", "scans/b.png", "-o", "scores.npy", "--backend", "cpu"]);
    let scores = npy::read(&work.path("scores.npy")).expect("scores").swap_remove(0).tensor;
    let [2, 2, 24, 24] = *scores.shape() else { panic!("{:?}", scores.shape()) };
    let masks = |turned: usize| {
        for (name, planes) in ["a", "b"].iter().zip(scores.to_f32().chunks_exact(2 * 576)) {
            let mut classes: Vec<u8> = (0..576).map(|i| u8::from(planes[576 + i] > planes[i])).collect();
            classes[..turned].iter_mut().for_each(|class| *class = 1 - *class);
            // The border is nobody's.
            classes[552..].fill(255);
            let mask = image::GrayImage::from_raw(24, 24, classes).expect("24x24 pixels");
            mask.save(work.path(&format!("masks/{name}.png"))).expect("a mask");
        }
    };
    masks(0);
    let compare = ["compare", &model, &model, "scans", "--masks", "masks", "--backend", "cpu"];
    let result = work.json(&compare);
    let counts = &result["segmentation"];
    assert_eq!((number(&counts["pixel_agreement"]), counts["masked"].as_u64()), (1.0, Some(2)));
    assert_eq!((number(&counts["test"]["mean_iou"]), result["classification"].is_null()), (1.0, true));
    assert!(work.ok(&compare).contains("mIoU"));
    // A row of each mask turned around: its 24 pixels are wrong, of 552 that count.
    masks(24);
    let iou: Vec<f64> = {
        let result = work.json(&compare);
        let list = result["segmentation"]["test"]["iou"].as_array().expect("a list").clone();
        list.iter().map(number).collect()
    };
    let shown = |class: f32| {
        let of = |planes: &[f32]| (24..552).filter(|&i| f32::from(planes[576 + i] > planes[i]) == class).count();
        scores.to_f32().chunks_exact(2 * 576).map(of).sum::<usize>() as f64
    };
    // What is right lies below the row; what is wrong belongs to both unions.
    assert_eq!(iou, [shown(0.0) / (shown(0.0) + 48.0), shown(1.0) / (shown(1.0) + 48.0)]);

    let mask = image::GrayImage::from_pixel(24, 24, image::Luma([2]));
    mask.save(work.path("masks/a.png")).expect("a mask");
    work.fails(1, &["a.png", "class 2", "2 classes"], &compare);
}
