use super::ExportError;
use crate::duel::{Layer, Timing};
use serde_json::Value;

/// The layers' times.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Profile {
    /// Runs; `None` where the file does not say.
    pub count: Option<usize>,
    /// Names and times, in the order they run.
    pub layers: Vec<(String, Timing)>,
}

impl Profile {
    /// Gives layers their times, by name; where several share one, in their order. What is timed and not among them is
    /// added: a profile alone still has the names.
    pub fn times(&self, mut layers: Vec<Layer>) -> Vec<Layer> {
        for (name, time) in &self.layers {
            let untimed = layers.iter_mut().find(|layer| layer.name == *name && layer.time.is_none());
            match untimed {
                Some(layer) => layer.time = Some(*time),
                None => layers.push(Layer { time: Some(*time), ..Layer::named(name) }),
            }
        }
        layers
    }

    /// The first element counts runs; older versions leave it out, and the medians as well.
    pub(super) fn of(value: &Value) -> Result<Self, ExportError> {
        let list = value.as_array().map_or(&[][..], Vec::as_slice);
        let count =
            list.first().and_then(|first| first.get("count")).and_then(Value::as_u64).map(|count| count as usize);
        let has_count = list.first().is_some_and(|first| first.get("count").is_some());
        let entries = list.iter().enumerate().skip(usize::from(has_count));
        let layers = entries.map(|(entry, layer)| {
            let name = layer.get("name").and_then(Value::as_str);
            let name = name.ok_or(ExportError::Field { entry, expected: "text", key: "name" })?;
            let ms = |key: &str| layer.get(key).and_then(Value::as_f64).filter(|ms| *ms >= 0.0);
            let ms = ms("medianMs").or_else(|| ms("averageMs"));
            let ms = ms.ok_or(ExportError::Field { entry, expected: "time of 0 ms or more", key: "averageMs" })?;
            Ok((name.to_owned(), Timing::told(ms * 1e3, count)))
        });
        let layers: Vec<_> = layers.collect::<Result<_, ExportError>>()?;
        if layers.is_empty() { Err(ExportError::Empty) } else { Ok(Self { count, layers }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn medians_count_and_means_stand_in_for_them() {
        let new =
            json!([{ "count": 7 }, { "name": "a", "timeMs": 7, "averageMs": 1.0, "medianMs": 0.5, "percentage": 100 }]);
        let new = Profile::of(&new).expect("a profile");
        assert_eq!((new.count, &new.layers[..]), (Some(7), &[("a".to_owned(), Timing::told(500.0, Some(7)))][..]));
        let old = json!([{ "name": "a", "timeMs": 7, "averageMs": 1.0, "percentage": 100 }]);
        assert_eq!(Profile::of(&old).expect("a profile").layers[0].1, Timing::told(1000.0, None));
        for wrong in [json!([{ "count": 7 }]), json!([{ "count": 1 }, { "name": "a" }]), json!([{ "averageMs": 1.0 }])]
        {
            assert!(Profile::of(&wrong).is_err(), "{wrong}");
        }
        assert!(Profile::of(&json!([{ "name": "a", "averageMs": -1.0 }])).is_err());
    }

    #[test]
    fn layers_of_one_name_are_timed_in_order() {
        let layers = ["a", "b", "a"].map(Layer::named).to_vec();
        let times =
            |names: &[(&str, f64)]| names.iter().map(|(n, us)| ((*n).to_owned(), Timing::told(*us, None))).collect();
        let profile = Profile { count: None, layers: times(&[("a", 1.0), ("b", 2.0), ("a", 3.0), ("c", 4.0)]) };
        let timed: Vec<(String, f64)> =
            profile.times(layers).into_iter().map(|l| (l.name, l.time.expect("a time").median_us)).collect();
        let expected = [("a", 1.0), ("b", 2.0), ("a", 3.0), ("c", 4.0)].map(|(name, us)| (name.to_owned(), us));
        assert_eq!(timed, expected);
    }
}
