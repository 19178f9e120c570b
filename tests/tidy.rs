//! The house's rules, held by reading the sources as text.

use std::fs;
use std::path::{Path, PathBuf};

/// A source file: its path from the repository's root, with `/` between parts, and its text.
struct Source {
    path: String,
    text: String,
    /// True if it is compiled into tests only.
    test: bool,
}

impl Source {
    fn is(&self, extension: &str) -> bool {
        Path::new(&self.path).extension().is_some_and(|e| e == extension)
    }

    /// The text up to the unit tests, comments left out.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let tests = self.text.find("#[cfg(test)]").unwrap_or(self.text.len());
        self.text[..tests]
            .lines()
            .enumerate()
            .filter(|(_, l)| !l.trim_start().starts_with("//"))
            .map(|(n, l)| (n + 1, l))
    }

    fn is_test(&self) -> bool {
        self.test
    }

    /// The files of modules that this one declares for tests only.
    fn test_modules(&self) -> Vec<String> {
        let folder = match self.path.rsplit_once('/') {
            Some((folder, "mod.rs" | "lib.rs" | "main.rs")) => folder.to_owned(),
            _ => self.path.trim_end_matches(".rs").to_owned(),
        };
        let lines: Vec<&str> = self.text.lines().map(str::trim).collect();
        let declared = lines.windows(2).filter(|pair| pair[0] == "#[cfg(test)]").filter_map(|pair| {
            let (_, name) = pair[1].split_once("mod ")?;
            Some(format!("{folder}/{}.rs", name.strip_suffix(';')?))
        });
        declared.collect()
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn sources() -> Vec<Source> {
    let mut paths = Vec::new();
    for top in ["src", "graph", "quant", "kernels", "tests", "benches", "examples"] {
        walk(&root().join(top), &mut paths);
    }
    let read = |path: PathBuf| {
        let relative = path.strip_prefix(root()).expect("walked from the root");
        let text = fs::read_to_string(&path).ok()?;
        let path = relative.to_string_lossy().replace('\\', "/");
        let test = path.split('/').any(|part| matches!(part, "tests" | "tests.rs" | "benches"));
        Some(Source { path, text, test })
    };
    let mut sources: Vec<Source> = paths.into_iter().filter_map(read).collect();
    let for_tests: Vec<String> = sources.iter().filter(|s| s.is("rs")).flat_map(Source::test_modules).collect();
    sources.iter_mut().filter(|s| for_tests.contains(&s.path)).for_each(|s| s.test = true);
    assert!(sources.len() > 50, "only {} sources found; is the walk right?", sources.len());
    sources
}

fn walk(folder: &Path, into: &mut Vec<PathBuf>) {
    const KINDS: [&str; 7] = ["rs", "cu", "cuh", "hpp", "cpp", "py", "sh"];
    let Ok(entries) = fs::read_dir(folder) else { return };
    for path in entries.filter_map(Result::ok).map(|e| e.path()) {
        let hidden = path.file_name().is_some_and(|n| n.to_string_lossy().starts_with('.') || n == "target");
        if path.is_dir() && !hidden {
            walk(&path, into);
        } else if path.extension().is_some_and(|e| KINDS.iter().any(|k| e == *k)) {
            into.push(path);
        }
    }
}

/// Fails with every breach, not only the first.
fn hold(rule: &str, breaches: Vec<String>) {
    assert!(breaches.is_empty(), "{rule}:\n  {}", breaches.join("\n  "));
}

/// Lines of code, outside of tests, that contain one of `words` in files that `applies` picks.
fn lines_with(words: &[&str], applies: impl Fn(&Source) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for source in sources().iter().filter(|s| applies(s)) {
        for (number, line) in source.code().filter(|(_, line)| words.iter().any(|w| line.contains(w))) {
            found.push(format!("{}:{number}: {}", source.path, line.trim()));
        }
    }
    found
}

#[test]
fn files_fit_in_the_head() {
    let long = |s: &Source| {
        let lines = s.text.lines().count();
        (lines > 400).then(|| format!("{} has {lines} lines", s.path))
    };
    hold("no file has more than 400 lines", sources().iter().filter_map(long).collect());
}

#[test]
fn tract_stays_in_its_room() {
    let outside = |s: &Source| s.is("rs") && !s.is_test() && !s.path.starts_with("graph/src/onnx/");
    hold("tract is named only in graph/src/onnx/", lines_with(&["use tract", "tract_onnx::"], outside));
}

#[test]
fn cudarc_stays_in_its_room() {
    let outside = |s: &Source| s.is("rs") && !s.is_test() && !s.path.starts_with("kernels/src/device/");
    hold("cudarc is named only in kernels/src/device/", lines_with(&["cudarc::", "use cudarc"], outside));
}

#[test]
fn assembly_stays_in_its_headers() {
    // One header for each group of instructions, since all wrappers together would fill a file of a thousand lines.
    let outside = |s: &Source| (s.is("cu") || s.is("cuh")) && !s.path.starts_with("kernels/src/include/ptx");
    hold(
        "`asm` is written only in ptx.cuh, ptx_hopper.cuh and ptx_wgmma.cuh",
        lines_with(&["asm volatile", "asm(", "asm volatile("], outside),
    );
}

#[test]
fn unsafe_code_stays_where_it_must_be() {
    let rooms = ["kernels/src/device/", "src/trt/"];
    let outside = |s: &Source| s.is("rs") && !s.is_test() && !rooms.iter().any(|room| s.path.starts_with(room));
    hold(
        "`unsafe` is written only in device/ and trt/",
        lines_with(&["unsafe {", "unsafe fn", "unsafe impl"], outside),
    );
}

#[test]
fn passes_look_and_do_not_touch() {
    let rules = |s: &Source| s.path.starts_with("graph/src/passes/") && !s.path.ends_with("/mod.rs");
    hold("a rule returns a patch and never changes the graph", lines_with(&["&mut Graph"], rules));
}

#[test]
fn earlier_rooms_do_not_know_later_ones() {
    let kernels = |s: &Source| s.path.starts_with("kernels/src/") && s.is("rs");
    hold("kernels do not know plans", lines_with(&["limpid::", "crate::plan"], kernels));
    let quant = |s: &Source| s.path.starts_with("quant/src/");
    hold("quant knows neither kernels nor the runtime", lines_with(&["limpid_kernels", "limpid::"], quant));
    let graph = |s: &Source| s.path.starts_with("graph/src/");
    hold("graph knows no other crate", lines_with(&["limpid_kernels", "limpid_quant", "limpid::"], graph));
    for manifest in ["graph/Cargo.toml", "quant/Cargo.toml"] {
        let text = fs::read_to_string(root().join(manifest)).expect("the manifest is there");
        assert!(!text.contains("cudarc") && !text.contains("limpid-kernels"), "{manifest} knows CUDA");
    }
}

/// A kernel's text with that of the headers it reaches, but for those of single instructions.
fn with_headers(source: &Source, all: &[Source]) -> String {
    let included = source.text.lines().filter_map(|line| line.strip_prefix("#include \"")?.strip_suffix('"'));
    let header = |name: &str| all.iter().find(|s| s.path.strip_prefix("kernels/src/") == Some(name));
    let headers = included.filter(|name| !name.starts_with("include/ptx")).filter_map(header);
    source.text.clone() + &headers.map(|header| with_headers(header, all)).collect::<String>()
}

#[test]
fn kernels_wait_for_the_grids_before() {
    let all = sources();
    let mut breaches = Vec::new();
    for kernel in all.iter().filter(|s| s.path.starts_with("kernels/src/") && s.is("cu")) {
        let text = with_headers(kernel, &all);
        for word in ["griddepcontrol_wait();", "griddepcontrol_launch_dependents();"] {
            if !text.contains(word) {
                breaches.push(format!("{}: no {word}", kernel.path));
            }
        }
        let parameters = kernel.text.split_once("__global__").and_then(|(_, rest)| rest.split_once(") {"));
        let read = parameters.into_iter().flat_map(|(list, _)| list.split(',')).filter(|p| p.contains("const "));
        for parameter in read.filter(|p| p.contains("__restrict__")) {
            let name = parameter.rsplit(' ').next().unwrap_or_default();
            if !["w", "weights", "bias", "scales"].contains(&name) {
                breaches.push(format!("{}: {name} may be written while the kernel begins", kernel.path));
            }
        }
    }
    hold("kernels keep to the rules of `Launch::dependent` and of griddepcontrol in ptx.cuh", breaches);
}

#[test]
fn nothing_is_left_unfinished() {
    // Spelled in pieces, or this file would be its own breach.
    let marks = [concat!("to", "do!("), concat!("unimpl", "emented!("), concat!("FIX", "ME"), concat!("TO", "DO")];
    hold("no unfinished marks", lines_with(&marks, |_| true));
}

#[test]
fn errors_are_handled_outside_tests() {
    let library = |s: &Source| s.is("rs") && !s.is_test();
    hold("no `.unwrap()` outside tests", lines_with(&[".unwrap()"], library));
}

#[test]
fn ignored_tests_say_why() {
    let silent = |s: &Source| -> Vec<String> {
        let lines = s.text.lines().enumerate().filter(|(_, l)| l.trim() == concat!("#[ign", "ore]"));
        lines.map(|(n, _)| format!("{}:{}", s.path, n + 1)).collect()
    };
    hold("an ignored test gives its reason", sources().iter().flat_map(silent).collect());
}

#[test]
fn every_kernel_is_a_pair_and_carried_in_the_binary() {
    let all = sources();
    let mut breaches = Vec::new();
    for source in all.iter().filter(|s| s.path.starts_with("kernels/src/") && (s.is("cu") || s.is("cuh"))) {
        let carried = source.path.trim_start_matches("kernels/src/");
        if limpid_kernels::source::text(carried) != Some(source.text.as_str()) {
            breaches.push(format!("{carried} is not in limpid_kernels::source::SOURCES"));
        }
        let partner = source.path.replace(".cu", ".rs");
        let step_of_another = all.iter().any(|s| s.is("rs") && s.text.contains(&format!("\"{carried}\"")));
        if source.is("cu") && !all.iter().any(|s| s.path == partner) && !step_of_another {
            breaches.push(format!("{} has no {partner}, and no kernel launches it", source.path));
        }
    }
    hold("a kernel is a .rs/.cu pair, its source carried in the binary", breaches);
}
