//! benches/peers/run.py, run on the CPU: what it writes down, and what it does with workers that die or hang.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A peer that hangs, kills who asks it, or refuses, by the batch that comes first in the extents of its input.
const UNRULY: &str = r#"#!/bin/sh
case "$1-$3" in
    runtimes-*) echo '{"cpu": null, "cuda": "there is none"}' ;;
    cpu-3,*) sleep 600 ;;
    cpu-2,*) kill -9 $PPID; sleep 600 ;;
    *) echo "not today" >&2; exit 1 ;;
esac
"#;

/// A folder of its own, and a Python that has what run.py needs.
struct Run {
    folder: tempfile::TempDir,
    python: PathBuf,
}

impl Run {
    /// `None` with a visible word where there is no such Python; continuous integration must have it.
    fn new() -> Option<Self> {
        let python = std::env::var_os("LIMPID_PYTHON").map_or_else(|| PathBuf::from("python3"), PathBuf::from);
        let needed = "import sys, numpy, onnx, onnxruntime; assert sys.version_info >= (3, 11), 'Python 3.11'";
        let found = Command::new(&python).args(["-c", needed]).stdin(Stdio::null()).output();
        let reason = match found {
            Ok(output) if output.status.success() => {
                return Some(Self { folder: tempfile::tempdir().expect("a temporary folder"), python });
            }
            Ok(output) => String::from_utf8_lossy(&output.stderr).into_owned(),
            Err(error) => error.to_string(),
        };
        assert!(std::env::var_os("LIMPID_REQUIRE_ONNXRUNTIME").is_none(), "{}: {reason}", python.display());
        eprintln!("SKIPPED: {}: {reason}", python.display());
        None
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The MLP in FP32, measured with these arguments into the file of this name.
    fn measure(&self, name: &str, arguments: &[&str]) -> Value {
        let output = self.path(name);
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers/run.py");
        let done = Command::new(&self.python)
            .arg(script)
            .args(["--limpid", env!("CARGO_BIN_EXE_limpid"), "--networks", "mlp", "--precisions", "fp32", "--work"])
            .arg(self.path("work"))
            .arg("-o")
            .arg(&output)
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .expect("Python runs");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        serde_json::from_slice(&std::fs::read(output).expect("it was written")).expect("JSON")
    }
}

fn row<'a>(file: &'a Value, peer: &str, batch: u64) -> &'a Value {
    let rows = file["rows"].as_array().expect("a list");
    rows.iter().find(|row| row["peer"] == peer && row["batch"] == batch).expect("it is listed")
}

/// Two workers measure; a later run has no time, and takes nothing back.
#[test]
fn rows_are_measured_and_kept() {
    let Some(run) = Run::new() else { return };
    let peers = ["--batches", "1", "--peers", "limpid,onnxruntime_cpu,tract_cpu"];
    let first = run.measure("first.json", &[&peers[..], &["--workers", "2"]].concat());
    for peer in ["limpid", "onnxruntime_cpu"] {
        let row = row(&first, peer, 1);
        assert!(row["host_us"]["median"].as_f64().is_some_and(|us| us > 0.0), "{row}");
        assert!(row["relative_l2"].as_f64().is_some_and(|error| error < 1e-4), "{row}");
        assert!(row["cores"].as_u64().is_some_and(|cores| cores > 0), "{row}");
    }
    assert_eq!(row(&first, "onnxruntime_cpu", 1)["threads"], row(&first, "limpid", 1)["cores"]);
    assert_eq!(row(&first, "tract_cpu", 1)["not_measured"], "no binary was named by --tract");
    assert_eq!(first["workers"], 2);
    assert!(first["versions"]["onnxruntime"].is_string() && first["versions"]["limpid"].is_string(), "{first}");

    let earlier = run.path("first.json");
    let resume = ["--resume", earlier.to_str().expect("a path"), "--again", "--seconds", "0"];
    let second = run.measure("second.json", &[&peers[..], &resume[..]].concat());
    for peer in ["limpid", "onnxruntime_cpu"] {
        assert_eq!(row(&second, peer, 1), row(&first, peer, 1));
    }
    let reason = row(&second, "tract_cpu", 1)["not_measured"].as_str().expect("a reason");
    assert!(reason.starts_with("budget: "), "{reason}");
}

/// A row that takes too long and a row that takes its worker along have failed; the next one has a worker again.
#[test]
#[cfg(unix)]
fn a_worker_that_hangs_or_dies_is_replaced() {
    use std::os::unix::fs::PermissionsExt;

    let Some(run) = Run::new() else { return };
    let unruly = run.path("unruly");
    std::fs::write(&unruly, UNRULY).expect("it can be written");
    std::fs::set_permissions(&unruly, std::fs::Permissions::from_mode(0o755)).expect("it can be run");
    let unruly = unruly.to_str().expect("a path");
    let peers = ["--batches", "1,2,3", "--peers", "limpid,tract_cpu", "--tract", unruly, "--limit", "30"];
    let file = run.measure("unruly.json", &peers);
    let failed = |batch| row(&file, "tract_cpu", batch)["failed"].as_str().expect("it failed");
    assert_eq!(failed(3), "not done after 30 s");
    assert_eq!(failed(2), "the worker ended: SIGKILL");
    assert_eq!(failed(1), "RuntimeError: tract: not today");
    for batch in 1..=3 {
        assert!(row(&file, "limpid", batch)["host_us"].is_object());
    }
    let lacking = ["--batches", "1", "--peers", "tract_cuda", "--precisions", "tf32", "--tract", unruly];
    assert_eq!(row(&run.measure("lacking.json", &lacking), "tract_cuda", 1)["not_measured"], "there is none");
}
