//! Faults planted into a kernel of the catalog, the implicit convolution on tensor cores, one line changed each: every
//! one must be found, and named for what it is. Those of Hopper's instructions are planted in `tests/hopper`.

use crate::support::executor::Executor;
use crate::support::problem::Problem;
use crate::verdict::check_site;
use limpid_graph::ir::Precision;
use limpid_graph::ops::{Activation, Epilogue};
use limpid_graph::tensor::DType;
use limpid_kernels::catalog::Kernel;
use limpid_kernels::conv;
use limpid_kernels::emulator::{Emulator, Memory};
use limpid_kernels::launch::{Arg, Candidate, CompileUnit, Launch};
use limpid_kernels::site::{ConvSite, EpilogueSite, Image, Site};
use limpid_kernels::source;
use limpid_kernels::target::{Arch, Target};

/// A line, what it is made into, and words of which each failing verdict holds one; "got" is what the comparison with
/// the reference says where no single access is wrong.
struct Plant {
    what: &'static str,
    file: &'static str,
    from: &'static str,
    to: &'static str,
    words: &'static [&'static str],
}

const PLANTS: [Plant; 14] = [
    Plant {
        what: "index off by one in the K loop",
        file: "include/tile.cuh",
        from: "for (int step = 0; step < steps; ++step) {\n        cp_async_wait_group",
        to: "for (int step = 1; step < steps; ++step) {\n        cp_async_wait_group",
        words: &["got ", "has not delivered yet"],
    },
    Plant {
        what: "missing barrier",
        file: "include/tile.cuh",
        from: "which is filled next.\n        __syncthreads();",
        to: "which is filled next.\n",
        words: &["with nothing between that orders them", "has not delivered yet"],
    },
    Plant {
        what: "missing wait",
        file: "include/tile.cuh",
        from: "cp_async_wait_group<STAGES - 2>();",
        to: "cp_async_wait_group<STAGES - 1>();",
        words: &["has not delivered yet"],
    },
    Plant {
        what: "wrong swizzle",
        file: "include/fragment.cuh",
        from: "TileB::slot(column + lane / 16 * 8 + lane % 8, lane / 8 % 2)",
        to: "TileB::slot(column + lane / 16 * 8 + lane % 8, lane / 8 % 2 ^ 1)",
        words: &["got "],
    },
    Plant {
        what: "wrong fragment row",
        file: "include/fragment.cuh",
        from: "Tile::slot(row + lane % 16, lane / 16)",
        to: "Tile::slot(row + (lane + 1) % 16, lane / 16)",
        words: &["got "],
    },
    Plant {
        what: "out of bounds at the last tile",
        file: "include/tile.cuh",
        from: "return row < rows && column < columns;",
        to: "return row <= rows && column < columns;",
        words: &["behind the end of Output(0)", "behind the end of Workspace", "of Workspace, of which"],
    },
    Plant {
        what: "uninitialised accumulator",
        file: "include/fragment.cuh",
        from: "sums[m][n][i] = 0;",
        to: "(void)sums[m][n][i];",
        words: &["adds to accumulators that nobody wrote"],
    },
    Plant {
        what: "lost split-K part",
        file: "gemm/split_k.cu",
        from: "s < p.splits;",
        to: "s < p.splits - 1;",
        words: &["got "],
    },
    Plant {
        what: "lost part of a cluster",
        file: "include/cluster.cuh",
        from: "for (int rank = 1; rank < BLOCKS; ++rank)",
        to: "for (int rank = 2; rank < BLOCKS; ++rank)",
        words: &["got "],
    },
    Plant {
        what: "sums of a cluster taken before they are there",
        file: "include/cluster.cuh",
        from: "if (threadIdx.x < part) mbarrier_wait(received.full, 0);",
        to: "",
        words: &["whose mbarrier was not waited for"],
    },
    Plant {
        what: "mbarrier that its cluster may not know",
        file: "include/cluster.cuh",
        from: "fence_mbarrier_init();",
        to: "",
        words: &["initialised without fence.mbarrier_init"],
    },
    Plant {
        what: "misaligned 16-byte load",
        file: "include/fragment.cuh",
        from: "ldmatrix_x4(fragments[m], Tile::shifted(shared, at, 16 * m, 2 * step));",
        to: "ldmatrix_x4(fragments[m], reinterpret_cast<const f16*>(Tile::shifted(shared, at, 16 * m, 2 * step)) + 4);",
        words: &["ldmatrix needs 16-byte alignment"],
    },
    Plant {
        what: "input read while it may still be written",
        file: "include/tile.cuh",
        from: "if (B_IS_CONSTANT && !beside) griddepcontrol_wait();\n#pragma unroll(FILL_AT_ONCE)\n    for (int step",
        to: "for (int step",
        words: &["read of byte", "ahead of griddepcontrol.wait"],
    },
    Plant {
        what: "thread that waits for nobody",
        file: "gemm/split_k.cu",
        from: "griddepcontrol_wait();",
        to: "if (threadIdx.x == 255) return;\n    griddepcontrol_wait();",
        words: &["the thread ends ahead of griddepcontrol.wait"],
    },
];

/// One of a grid that runs beside the one before it.
const BESIDE: Plant = Plant {
    what: "grid that ends ahead of the one it runs beside",
    file: "include/cluster.cuh",
    from: "if (beside) griddepcontrol_wait();",
    to: "",
    words: &["the thread ends ahead of griddepcontrol.wait"],
};

/// The convolution's ways in one launch, beside the grid before them.
struct Beside;

impl Kernel for Beside {
    fn name(&self) -> &'static str {
        "planted"
    }

    fn candidates(&self, site: &Site, target: &Target) -> Result<Vec<Candidate>, String> {
        let mut ways = Ways.candidates(site, target)?;
        ways.retain(|way| way.launches.len() == 1);
        for arg in ways.iter_mut().flat_map(|way| &mut way.launches[0].args) {
            if let Arg::Ahead { beside, .. } = arg {
                *beside = true;
            }
        }
        Ok(ways)
    }

    fn edge_sites(&self) -> Vec<Site> {
        vec![site()]
    }

    fn units(&self, arch: Arch) -> Vec<CompileUnit> {
        conv::Mma.units(arch)
    }
}

/// One of Hopper's persistent kernel, whose teams take works in turn.
const TEAMS: Plant = Plant {
    what: "team that comes to its stages too early",
    file: "include/warpgroup.cuh",
    from: "if (TEAMS > 1) mbarrier_wait(ring.turns + team, parity);",
    to: "",
    words: &["has not delivered yet", "nobody wrote", "never"],
};

/// Of the convolution's candidates for Hopper those of four teams.
struct Teams;

impl Kernel for Teams {
    fn name(&self) -> &'static str {
        "planted"
    }

    fn candidates(&self, site: &Site, target: &Target) -> Result<Vec<Candidate>, String> {
        let mut all = conv::Wgmma.candidates(site, target)?;
        all.retain(|candidate| candidate.tactic.parameters.contains(&("teams".to_owned(), 4)));
        Ok(all)
    }

    fn edge_sites(&self) -> Vec<Site> {
        vec![site()]
    }

    fn units(&self, arch: Arch) -> Vec<CompileUnit> {
        conv::Wgmma.units(arch)
    }
}

/// Of the convolution's candidates one that does not split K, one that adds up by a second launch, one in clusters.
struct Ways;

impl Kernel for Ways {
    fn name(&self) -> &'static str {
        "planted"
    }

    fn candidates(&self, site: &Site, target: &Target) -> Result<Vec<Candidate>, String> {
        let all = conv::Mma.candidates(site, target)?;
        let with = |way: &dyn Fn(&Candidate) -> bool| all.iter().find(|candidate| way(candidate)).cloned();
        let clusters = |candidate: &Candidate| candidate.launches[0].cluster != Launch::ALONE;
        let ways: [&dyn Fn(&Candidate) -> bool; 3] =
            [&|c| c.launches.len() == 1 && !clusters(c), &|c| c.launches.len() == 2, &clusters];
        Ok(ways.into_iter().filter_map(with).collect())
    }

    fn edge_sites(&self) -> Vec<Site> {
        vec![site()]
    }

    fn units(&self, arch: Arch) -> Vec<CompileUnit> {
        conv::Mma.units(arch)
    }
}

/// 3x3 on 40 channels: several steps of K, a last tile that is not full.
fn site() -> Site {
    let image = |c| Image::dense(1, 13, 13, c, DType::F16);
    let steps = Epilogue { bias: true, post: Activation::Relu, ..Default::default() };
    Site::Conv(ConvSite {
        x: image(40),
        y: image(24),
        kernel: [3, 3],
        stride: [1, 1],
        dilation: [1, 1],
        pad: [1, 1],
        groups: 1,
        precision: Precision::Fp16,
        epilogue: EpilogueSite { steps, residual: None },
    })
}

/// The emulator with one line of the sources changed.
struct Changed<'e>(&'e Emulator, &'static Plant);

impl Executor for Changed<'_> {
    fn run(&self, launches: &[Launch], arch: Arch, memory: &mut Memory) -> Result<(), String> {
        launches.iter().try_for_each(|launch| {
            let mut text = String::new();
            flatten(&launch.unit.source, self.1, &mut Vec::new(), &mut text);
            let program = self.0.compile_text(&launch.unit, &text, arch).map_err(|e| e.to_string())?;
            program.run(launch, memory).map(drop).map_err(|e| e.to_string())
        })
    }

    fn knows_written(&self) -> bool {
        true
    }
}

/// A source with everything it includes in its place, so that a header can be changed for it alone.
fn flatten<'s>(name: &'s str, plant: &Plant, seen: &mut Vec<&'s str>, out: &mut String) {
    seen.push(name);
    let mut text = source::text(name).unwrap_or_default().to_owned();
    if name == plant.file {
        assert_eq!(text.matches(plant.from).count(), 1, "{}: `{}` in {name}", plant.what, plant.from);
        text = text.replace(plant.from, plant.to);
    }
    out.push_str(&format!("#line 1 \"{name}\"\n"));
    for (number, line) in text.lines().enumerate() {
        let included = line.strip_prefix("#include \"").and_then(|rest| rest.strip_suffix('"'));
        match included.and_then(|included| source::SOURCES.iter().find(|(path, _)| *path == included)) {
            Some((path, _)) if seen.contains(path) => out.push('\n'),
            Some((path, _)) => {
                flatten(path, plant, seen, out);
                out.push_str(&format!("#line {} \"{name}\"\n", number + 2));
            }
            None if line == "#pragma once" => out.push('\n'),
            None => {
                out.push_str(line);
                out.push('\n');
            }
        }
    }
}

/// True if every planted fault is found and named; where it is a fault of one access, with the line.
pub fn are_found(emulator: &Emulator) -> bool {
    let problem = Problem::new(&site());
    let target = Target::typical(Arch(90));
    // All works on one multiprocessor: every team has several.
    let one = Target { multiprocessors: 1, ..target.clone() };
    let mut right = true;
    let others = [(&BESIDE, &Beside as &dyn Kernel, &target), (&TEAMS, &Teams, &one)];
    let cases = PLANTS.iter().map(|plant| (plant, &Ways as &dyn Kernel, &target)).chain(others);
    for (plant, kernel, target) in cases {
        let executor = Changed(emulator, plant);
        let verdict = check_site(&executor, kernel, &site(), &problem, target);
        let named = |failure: &&String| {
            let told = plant.words.iter().any(|word| failure.contains(word));
            told && [": got ", ".cuh:", "the thread ends"].iter().any(|place| failure.contains(place))
        };
        let told = verdict.failures.iter().filter(named).count();
        if told == 0 || told < verdict.failures.len() {
            println!("{}: {told} of {} failures say so: {:?}", plant.what, verdict.failures.len(), plant.words);
            verdict.failures.iter().for_each(|failure| println!("  {failure}"));
            right = false;
        }
    }
    let beside = check_site(emulator, &Beside, &site(), &problem, &target);
    for failure in &beside.failures {
        println!("beside the grid before: {failure}");
        right = false;
    }
    println!(
        "{:24} {:3} cases                       {}",
        "planted",
        PLANTS.len() + 2,
        if right { "ok" } else { "FAILED" }
    );
    right
}
