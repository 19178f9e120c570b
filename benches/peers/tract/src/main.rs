//! tract, measured from an array on the host to an answer on the host.
//!
//!     tract-peer cpu|cuda MODEL.onnx EXTENTS INPUT OUTPUT SECONDS
//!     tract-peer runtimes
//!
//! The second form prints, for each runtime, null or why it does not run here.
//!
//! EXTENTS are those of the one input, such as 1,3,224,224; INPUT and OUTPUT hold f32, little-endian, dense. Prints the time
//! of building and of each run as JSON. The same file as everybody else's, with tract's own optimizations; on the CPU
//! with as many threads as the machine has.

use serde_json::json;
use std::error::Error;
use std::time::{Duration, Instant};
use tract_onnx::prelude::*;
use tract_onnx::tract_core::runtime::{RunOptions, Runnable, runtime_for_name};

#[cfg(feature = "cuda")]
use tract_cuda as _;

const USAGE: &str = "usage: tract-peer cpu|cuda MODEL.onnx EXTENTS INPUT OUTPUT SECONDS, or tract-peer runtimes";
/// Runs whose times are thrown away, how many are kept at least and at most, and for how long at least so many are waited
/// for, as benches/peers/timing.py has it.
const WARM_UP: usize = 2;
const FEWEST: usize = 10;
const FEWEST_OF_THE_LONGEST: usize = 3;
const MOST: usize = 1000;
const LONGEST: Duration = Duration::from_secs(20);

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments == ["runtimes"] {
        println!("{}", json!({ "cpu": lack("cpu"), "cuda": lack("cuda") }));
        return Ok(());
    }
    let [runtime, model, extents, input, output, seconds] = &arguments[..] else { return Err(USAGE.into()) };
    let extents = extents.split(',').map(str::parse).collect::<Result<Vec<usize>, _>>()?;
    let (budget, threads) = (Duration::try_from_secs_f64(seconds.parse()?)?, std::thread::available_parallelism()?);

    let begin = Instant::now();
    let network = prepare(runtime, model, &extents, threads.get())?;
    let build_seconds = begin.elapsed().as_secs_f64();

    let values: Vec<f32> = std::fs::read(input)?.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
    let mut state = network.spawn()?;
    // From an array to an array: what tract copies on the way in and out is part of the time.
    let mut once = || -> TractResult<Vec<f32>> {
        let given = Tensor::from_shape(&extents, &values)?;
        let outputs = state.run(tvec!(given.into()))?;
        Ok(outputs[0].cast_to::<f32>()?.to_plain_array_view::<f32>()?.iter().copied().collect())
    };
    let answer = once()?;
    std::fs::write(output, answer.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>())?;
    let mut times = Vec::new();
    let mut begin = Instant::now();
    for run in 0.. {
        if run == WARM_UP {
            begin = Instant::now();
        }
        let start = Instant::now();
        once()?;
        if run >= WARM_UP {
            times.push(start.elapsed().as_secs_f64() * 1e6);
        }
        let spent = begin.elapsed();
        let enough = times.len() >= FEWEST && spent >= budget || times.len() >= FEWEST_OF_THE_LONGEST && spent >= LONGEST;
        if enough || times.len() >= MOST {
            break;
        }
    }
    let threads = if runtime == "cpu" { Some(threads.get()) } else { None };
    println!("{}", json!({ "host_us": times, "build_seconds": build_seconds, "threads": threads, "tract": "0.23.9" }));
    Ok(())
}

/// Why a runtime does not run here.
fn lack(runtime: &str) -> Option<String> {
    match runtime_for_name(runtime) {
        Ok(Some(there)) => there.check().err().map(|error| format!("{error:#}")),
        Ok(None) => Some(format!("this tract was built without {runtime}")),
        Err(error) => Some(format!("{error:#}")),
    }
}

/// The model, fixed to these extents and optimized for the runtime.
fn prepare(runtime: &str, model: &str, extents: &[usize], threads: usize) -> Result<Box<dyn Runnable>, Box<dyn Error>> {
    let there = runtime_for_name(runtime)?;
    let there = there.ok_or_else(|| format!("this tract has no runtime `{runtime}`; build it with --features cuda"))?;
    there.check()?;
    let model = tract_onnx::onnx().model_for_path(model)?.with_input_fact(0, f32::fact(extents).into())?.into_typed()?;
    let executor = tract_linalg::multithread::Executor::multithread(threads);
    Ok(there.prepare_with_options(model, &RunOptions { executor: Some(executor), ..RunOptions::default() })?)
}
