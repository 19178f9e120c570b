use crate::cli::CommandError;
use crate::cli::console::{Console, table};
use crate::engine::Engine;
use limpid_graph::ir::Value as GraphValue;
use limpid_quant::{Calibration, report};
use serde_json::json;

/// Prints every tensor that is stored as integers, its scale, and where the scale is from.
pub(super) fn show(engine: &Engine, console: &mut Console) -> Result<(), CommandError> {
    let quantized: Vec<(&GraphValue, f32)> = engine
        .graph
        .values()
        .filter(|(_, value)| value.constant.is_none())
        .filter_map(|(_, value)| Some((value, value.fact.quant.as_ref()?.scales.first().copied()?)))
        .collect();
    if quantized.is_empty() {
        return Err(CommandError::Absent {
            message: format!("no tensor of `{}` is stored as integers", engine.metadata.name),
            help: "build it with --precision int8 and samples to calibrate on".to_owned(),
        });
    }
    let calibration = engine.calibration.as_ref();
    let calibrated = |name: &str| calibration.and_then(|calibration| calibration.values.get(name));
    console.json(|| {
        let tensor = |(value, scale): &(&GraphValue, f32)| {
            json!({ "name": value.name, "scale": scale, "calibrated": calibrated(&value.name) })
        };
        json!({
            "provenance": calibration.map(|calibration| &calibration.provenance),
            "tensors": quantized.iter().map(tensor).collect::<Vec<_>>(),
        })
    })?;
    match calibration {
        Some(Calibration { provenance, .. }) => console.print(format_args!("{provenance}\n"))?,
        None => {
            console.print("scales from a cache or from the model itself; nothing was calibrated for this engine\n")?
        }
    }
    let header = ["tensor", "scale", "±", "largest seen", "saturated", "SQNR", "notes"];
    let mut rows = table(header, &[1, 2, 3, 4, 5]);
    for (value, scale) in &quantized {
        // A tensor made for one concatenation has the concatenation's scale, not its own.
        let own = calibrated(&value.name).filter(|calibrated| calibrated.scale == *scale);
        let cell = |text: Option<String>| text.unwrap_or_default();
        let notes = own.map(|own| own.threshold.notes.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "));
        rows.add_row([
            value.name.clone(),
            format!("{scale:.4e}"),
            format!("{:.4}", scale * 127.0),
            cell(own.map(|own| format!("{:.4}", own.summary.largest()))),
            cell(own.map(|own| format!("{:.3} %", own.summary.saturated * 100.0))),
            cell(own.and_then(|own| own.summary.sqnr_db).map(|db| format!("{db:.1} dB"))),
            cell(notes),
        ]);
    }
    console.print(rows.trim_fmt())?;
    Ok(())
}

/// Prints what every candidate threshold of a tensor would have cost, as CSV.
pub(super) fn show_curve(engine: &Engine, name: &str, console: &mut Console) -> Result<(), CommandError> {
    let Some(calibration) = &engine.calibration else {
        return Err(CommandError::Absent {
            message: format!("`{}` holds no calibration", engine.metadata.name),
            help: "an engine keeps it if it was built with --precision int8 and --calib".to_owned(),
        });
    };
    let Some(calibrated) = calibration.values.get(name) else {
        let mut similar: Vec<String> = calibration.values.keys().cloned().collect();
        similar.sort_by(|a, b| strsim::jaro_winkler(name, b).total_cmp(&strsim::jaro_winkler(name, a)));
        similar.truncate(3);
        return Err(CommandError::NotFound { what: "calibrated tensor", name: name.to_owned(), similar });
    };
    let Some(curve) = report::curve_csv(&calibrated.threshold) else {
        return Err(CommandError::Absent {
            message: format!("{} does not search, so there is no curve", calibration.provenance.calibrator),
            help: "entropy and mse weigh every candidate".to_owned(),
        });
    };
    console.json(|| json!({ "name": name, "threshold": calibrated.threshold }))?;
    console.print(curve.trim_end())?;
    Ok(())
}
