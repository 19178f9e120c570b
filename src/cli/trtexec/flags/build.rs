//! How the engine is made, and where it is kept.

use super::super::options::{Options, Runtime, Verbosity};
use super::super::values::{bytes, file, pools, put, set, whole, word};
use super::Effect::Take;
use super::{Flag, Proof};
use std::path::Path;

pub(super) const FLAGS: &[Flag] = &[
    Flag {
        name: "memPoolSize",
        value: Some("POOL:SIZE,.."),
        help: "Tactics that need more are declined: workspace:1024MiB (MiB where no unit is said), tacticSharedMem:48K",
        effect: Take(|o, v| {
            for (pool, bytes) in pools(v)? {
                match pool.as_str() {
                    "workspace" => o.build.workspace = Some(bytes),
                    _ => o.build.tactic_shared = Some(bytes),
                }
            }
            Ok(())
        }),
        proof: Proof {
            taken: &[("workspace:1.5,tacticSharedMem:48K", |o| {
                o.build.workspace == Some(3 << 19) && o.build.tactic_shared == Some(48 << 10)
            })],
            wrong: &["workspace", "workspace:-1", "dlaSRAM:1", "heap:1", "workspace:1T"],
        },
        ..Flag::PLAIN
    },
    Flag {
        name: "workspace",
        value: Some("N"),
        help: "As --memPoolSize=workspace:N, in MiB",
        effect: Take(|o, v| put(&mut o.build.workspace, bytes(v))),
        proof: Proof { taken: &[("64", |o| o.build.workspace == Some(64 << 20))], wrong: &["much"] },
        ..Flag::PLAIN
    },
    Flag {
        name: "profilingVerbosity",
        value: Some("MODE"),
        help: "What exports say of layers: layer_names_only (default), detailed, none",
        effect: Take(|o, v| set(&mut o.build.verbosity, verbosity(v))),
        proof: Proof {
            taken: &[
                ("detailed", |o| o.build.verbosity == Verbosity::Detailed),
                ("none", |o| o.build.verbosity == Verbosity::None),
                ("default", |o| o.build.verbosity == Verbosity::LayerNamesOnly),
            ],
            wrong: &["all"],
        },
        ..Flag::PLAIN
    },
    Flag {
        name: "useRuntime",
        value: Some("RUNTIME"),
        help: "full (default); lean and dispatch run engines and build none",
        effect: Take(|o, v| set(&mut o.build.runtime, runtime(v))),
        proof: Proof { taken: &[("lean", |o| o.build.runtime == Runtime::Lean)], wrong: &["slim"] },
        ..Flag::PLAIN
    },
    Flag {
        name: "saveEngine",
        value: Some("FILE"),
        help: "Write the engine",
        effect: Take(|o, v| put(&mut o.build.save_engine, file(v))),
        proof: Proof {
            taken: &[("n.engine", |o| o.build.save_engine.as_deref() == Some(Path::new("n.engine")))],
            wrong: &[""],
        },
        ..Flag::PLAIN
    },
    Flag {
        name: "loadEngine",
        value: Some("FILE"),
        help: "Run an engine of limpid's instead of building one",
        effect: Take(|o, v| put(&mut o.build.load_engine, file(v))),
        proof: Proof {
            taken: &[("n.engine", |o| o.build.load_engine.as_deref() == Some(Path::new("n.engine")))],
            wrong: &[""],
        },
        ..Flag::PLAIN
    },
    Flag {
        name: "getPlanVersionOnly",
        help: "Print the version that the engine of --loadEngine was built by, and exit",
        effect: Take(|o, _| set(&mut o.build.plan_version_only, Ok(true))),
        proof: Proof { taken: &[("", |o| o.build.plan_version_only)], wrong: &[] },
        ..Flag::PLAIN
    },
    Flag {
        name: "timingCacheFile",
        value: Some("FILE"),
        help: "Keep kernel timings in this file from one build to the next",
        effect: Take(|o, v| put(&mut o.build.timing_cache, file(v))),
        proof: Proof {
            taken: &[("t.cache", |o| o.build.timing_cache.as_deref() == Some(Path::new("t.cache")))],
            wrong: &[""],
        },
        ..Flag::PLAIN
    },
    Flag {
        name: "noBuilderCache",
        help: "Neither read nor write a timing cache",
        effect: Take(|o, _| set(&mut o.build.no_timing_cache, Ok(true))),
        proof: Proof { taken: &[("", |o| o.build.no_timing_cache)], wrong: &[] },
        ..Flag::PLAIN
    },
    Flag {
        name: "builderOptimizationLevel",
        value: Some("N"),
        help: "From 0, tactics by the cost model, to 5, every tactic timed (default 3: the 24 most promising)",
        effect: Take(|o, v| {
            let level = whole(v).ok().filter(|level| *level <= 5);
            set(&mut o.build.optimization_level, level.map(|l| l as u8).ok_or("expected 0 to 5".to_owned()))
        }),
        proof: Proof { taken: &[("5", |o| o.build.optimization_level == 5)], wrong: &["6", "-1", "high"] },
        ..Flag::PLAIN
    },
    Flag {
        name: "maxTactics",
        value: Some("N"),
        help: "Tactics that are timed for a layer at most; -1 leaves it to --builderOptimizationLevel (default)",
        effect: Take(|o, v| match v {
            "-1" => set(&mut o.build.max_tactics, Ok(None)),
            _ => put(&mut o.build.max_tactics, whole(v).map(|n| n as usize)),
        }),
        proof: Proof {
            taken: &[("8", |o| o.build.max_tactics == Some(8)), ("-1", |o| o.build.max_tactics.is_none())],
            wrong: &["-2", "all"],
        },
        ..Flag::PLAIN
    },
    Flag {
        name: "sparsity",
        value: Some("SPEC"),
        help: "disable (default), or enable: sparse tactics where weights allow, of which limpid has none",
        effect: Take(sparsity),
        proof: Proof {
            taken: &[("disable", |o| o.notes.is_empty()), ("enable", |o| o.notes.len() == 1)],
            wrong: &["force", "on"],
        },
        ..Flag::PLAIN
    },
    Flag {
        name: "hardwareCompatibilityLevel",
        value: Some("MODE"),
        help: "none (default) or sameComputeCapability, which every engine is",
        effect: Take(compatibility),
        proof: Proof { taken: &[("none", |_| true), ("sameComputeCapability", |_| true)], wrong: &["ampere+", "all"] },
        ..Flag::PLAIN
    },
    Flag {
        name: "runtimePlatform",
        value: Some("PLATFORM"),
        help: "SameAsBuild",
        effect: Take(platform),
        proof: Proof { taken: &[("SameAsBuild", |_| true)], wrong: &["WindowsAMD64", "Mars"] },
        ..Flag::PLAIN
    },
];

fn verbosity(text: &str) -> Result<Verbosity, String> {
    let words = [
        ("layer_names_only", Verbosity::LayerNamesOnly),
        ("detailed", Verbosity::Detailed),
        ("none", Verbosity::None),
        // The names of before 8.5.
        ("default", Verbosity::LayerNamesOnly),
        ("verbose", Verbosity::Detailed),
    ];
    word(text, &words)
}

fn runtime(text: &str) -> Result<Runtime, String> {
    word(text, &[("full", Runtime::Full), ("lean", Runtime::Lean), ("dispatch", Runtime::Dispatch)])
}

fn sparsity(options: &mut Options, text: &str) -> Result<(), String> {
    match text {
        "disable" => Ok(()),
        "enable" => {
            options
                .notes
                .push("--sparsity=enable: limpid has no sparse tactics; the dense ones do the work".to_owned());
            Ok(())
        }
        "force" => Err("it would change the weights; prune the model before it is exported".to_owned()),
        _ => Err("expected disable or enable".to_owned()),
    }
}

fn compatibility(_: &mut Options, text: &str) -> Result<(), String> {
    match text.to_lowercase().as_str() {
        "none" | "samecomputecapability" => Ok(()),
        "ampere+" => Err("an engine's kernels are for one architecture; on another GPU limpid chooses and compiles \
                          them anew when the engine is run"
            .to_owned()),
        _ => Err("expected none or sameComputeCapability".to_owned()),
    }
}

fn platform(_: &mut Options, text: &str) -> Result<(), String> {
    match text {
        "SameAsBuild" => Ok(()),
        "WindowsAMD64" => Err("an engine file is the same on every system; leave the flag out".to_owned()),
        _ => Err("expected SameAsBuild".to_owned()),
    }
}
