//! `--chrome-trace`: what `run` and `bench` did, as a picture.

use super::CommandError;
use super::console::Console;
use crate::chrome_trace::ChromeTrace;
use crate::measure::Profile;
use crate::runtime::Session;
use limpid_graph::tensor::Tensor;
use std::path::Path;

/// Runs that each layer's time is the median of.
const RUNS: u32 = 5;

/// Times each layer alone and draws them from `start_us` on.
pub(super) fn draw_layers(
    trace: &mut ChromeTrace,
    session: &mut Session,
    inputs: &[Tensor],
    start_us: f64,
) -> Result<(), CommandError> {
    let profile = Profile::of(session, inputs, RUNS, &[])?;
    let layers = profile.layers.iter().map(|layer| {
        let what = layer.tactic.as_ref().map_or(layer.what.clone(), |tactic| format!("{} by {tactic}", layer.what));
        (layer.group.as_str(), what, layer.time.median)
    });
    trace.layers(layers, start_us);
    Ok(())
}

/// Writes the file and says so.
pub(super) fn write(trace: &ChromeTrace, path: &Path, console: &mut Console) -> Result<(), CommandError> {
    let failed = |error| CommandError::usage(format!("cannot write `{}`: {error}", path.display()));
    trace.write(path).map_err(failed)?;
    console.note(format_args!("wrote {}; open it in chrome://tracing or ui.perfetto.dev", path.display()));
    Ok(())
}
