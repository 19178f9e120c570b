use super::ExportError;
use crate::duel::Timing;
use serde_json::Value;

/// Queries, one after another, µs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Times {
    /// Of each query, the inference by the GPU's clock.
    pub compute_us: Vec<f64>,
    /// Of each query, copies and inference.
    pub latency_us: Vec<f64>,
}

impl Times {
    /// Adds the queries of another file.
    pub fn extend(&mut self, other: Self) {
        self.compute_us.extend(other.compute_us);
        self.latency_us.extend(other.latency_us);
    }

    /// What an inference takes.
    pub fn compute(&self) -> Option<Timing> {
        Timing::of(&self.compute_us)
    }

    /// What a query takes.
    pub fn latency(&self) -> Option<Timing> {
        Timing::of(&self.latency_us)
    }

    pub(super) fn of(value: &Value) -> Result<Self, ExportError> {
        let list = value.as_array().map_or(&[][..], Vec::as_slice);
        let column = |key: &'static str| {
            let us = |(entry, query): (usize, &Value)| {
                let ms = query.get(key).and_then(Value::as_f64).filter(|ms| ms.is_finite());
                ms.map(|ms| ms * 1e3).ok_or(ExportError::Field { entry, expected: "number", key })
            };
            list.iter().enumerate().map(us).collect::<Result<Vec<f64>, _>>()
        };
        Ok(Self { compute_us: column("computeMs")?, latency_us: column("latencyMs")? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn files_of_several_runs_add_up() {
        let query = |compute: f64, latency: f64| json!({ "computeMs": compute, "latencyMs": latency, "h2dMs": 0.1 });
        let mut times = Times::of(&json!([query(1.0, 2.0), query(3.0, 4.0)])).expect("times");
        times.extend(Times::of(&json!([query(5.0, 6.0)])).expect("times"));
        assert_eq!(
            (times.compute().map(|t| t.median_us), times.latency().map(|t| t.median_us)),
            (Some(3e3), Some(4e3))
        );
        assert_eq!(Times::default().compute(), None);
        let lacking = Times::of(&json!([query(1.0, 2.0), { "computeMs": 1.0 }]));
        assert!(matches!(lacking, Err(ExportError::Field { entry: 1, key: "latencyMs", .. })), "{lacking:?}");
    }
}
