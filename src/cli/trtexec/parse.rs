//! From words to [`Options`].

use super::flags::{self, Effect, Flag};
use super::options::{Options, Runtime, ShapeProfile};

/// Why a command line is not taken. Each is one line that says what to do.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub(super) enum UsageError {
    #[error("`{0}` is no flag; flags begin with --, as in --onnx=model.onnx")]
    NotAFlag(String),
    #[error("unknown flag --{name}{}", .nearest.map_or(String::new(), |near| format!("; did you mean --{near}?")))]
    Unknown { name: String, nearest: Option<&'static str> },
    #[error("--{name} is not supported: {reason}")]
    Refused { name: String, reason: &'static str },
    #[error("--{name} needs a value: --{name}={grammar}")]
    NoValue { name: String, grammar: &'static str },
    #[error("--{name} takes no value, got `{value}`")]
    NeedlessValue { name: String, value: String },
    #[error("--{name}={value}: {reason}")]
    Value { name: String, value: String, reason: String },
    #[error("--{0} is given twice")]
    Twice(String),
    #[error("{0}")]
    Together(String),
}

/// Reads the arguments behind the command's name: `--flag=value` as trtexec has it, or `--flag value`.
pub(super) fn parse(arguments: &[String]) -> Result<Options, UsageError> {
    let mut options = Options::default();
    let mut given: Vec<&str> = Vec::new();
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        let (name, value) = split(argument)?;
        let Some(flag) = flags::find(name) else {
            return Err(UsageError::Unknown { name: name.to_owned(), nearest: flags::nearest(name) });
        };
        if given.contains(&flag.name) && !flag.repeats {
            return Err(UsageError::Twice(name.to_owned()));
        }
        given.push(flag.name);
        let value = match (value, flag.value) {
            (Some(value), _) => Some(value),
            // What begins another flag is no value; -1 is one.
            (None, Some(_)) => arguments.clone().next().filter(|next| !next.starts_with("--")).map(|next| {
                arguments.next();
                next.as_str()
            }),
            (None, None) => None,
        };
        take(flag, name, value, &mut options)?;
    }
    settle(&mut options)?;
    Ok(options)
}

/// The name behind the dashes, and the value behind the first `=`.
fn split(argument: &str) -> Result<(&str, Option<&str>), UsageError> {
    let (name, value) = match argument.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (argument, None),
    };
    let short = name.strip_prefix('-').filter(|letter| matches!(*letter, "h" | "v"));
    let name = name.strip_prefix("--").filter(|name| !name.is_empty()).or(short);
    name.map(|name| (name, value)).ok_or_else(|| UsageError::NotAFlag(argument.to_owned()))
}

fn take(flag: &Flag, written: &str, value: Option<&str>, options: &mut Options) -> Result<(), UsageError> {
    let name = || written.to_owned();
    match (flag.effect, flag.value, value) {
        // A flag that cannot be is told so whatever stands behind it.
        (Effect::Refuse(reason), ..) => Err(UsageError::Refused { name: name(), reason }),
        (_, None, Some(value)) => Err(UsageError::NeedlessValue { name: name(), value: value.to_owned() }),
        (_, Some(grammar), None) => Err(UsageError::NoValue { name: name(), grammar }),
        (Effect::Hint(reason), ..) => {
            options.notes.push(format!("--{written} has no effect here: {reason}"));
            Ok(())
        }
        (Effect::Take(set), ..) => {
            let value = value.unwrap_or_default();
            set(options, value).map_err(|reason| UsageError::Value { name: name(), value: value.to_owned(), reason })
        }
    }
}

/// What follows from several flags together, and what cannot be together.
fn settle(options: &mut Options) -> Result<(), UsageError> {
    if options.help {
        return Ok(());
    }
    let together = |text: &str| Err(UsageError::Together(text.to_owned()));
    let Options { model, build, inference, notes, .. } = options;
    match (&model, &build.load_engine) {
        (None, None) => return together("there is no model; give --onnx=MODEL or --loadEngine=ENGINE"),
        (Some(_), Some(_)) => return together("--onnx and --loadEngine are two ways to the same; give one of them"),
        _ => {}
    }
    if build.load_engine.is_some() && build.save_engine.is_some() {
        return together("--saveEngine is for what --onnx builds; leave it out with --loadEngine");
    }
    if build.plan_version_only && build.load_engine.is_none() {
        return together("--getPlanVersionOnly looks at an engine; name it with --loadEngine");
    }
    if build.runtime != Runtime::Full {
        if build.load_engine.is_none() {
            return together("--useRuntime=lean and dispatch build no engines; use them with --loadEngine");
        }
        let name = build.runtime.name();
        notes.push(format!("--useRuntime={name}: limpid has one runtime, which runs an engine with the driver alone"));
    }
    if build.best && build.strongly_typed {
        return together("--best chooses types and --stronglyTyped takes the model's; give one of them");
    }
    if build.strongly_typed && (build.fp16 || build.int8) {
        (build.fp16, build.int8) = (false, false);
        notes.push("--fp16 and --int8 are left aside: with --stronglyTyped types are as the model has them".to_owned());
    }
    if inference.accuracy_threshold.is_none() && !inference.reference_outputs.is_empty() {
        return together("--loadRefOutputs needs --accuracyThreshold=X to judge by");
    }
    if inference.load_inputs.is_empty() && !inference.reference_outputs.is_empty() {
        return together("--loadRefOutputs needs --loadInputs: outputs of random inputs compare with nothing");
    }
    if build.skip_inference && !inference.reference_outputs.is_empty() {
        return together("--loadRefOutputs compares what inference gives; leave --skipInference out");
    }
    if build.no_timing_cache && build.timing_cache.is_some() {
        notes.push("--noBuilderCache: --timingCacheFile is neither read nor written".to_owned());
        build.timing_cache = None;
    }
    let constrained = !build.layer_precisions.is_empty() || !build.layer_output_types.is_empty();
    let obeyed = build.constraints != super::options::Constraints::None;
    if constrained && !obeyed {
        notes.push(
            "--layerPrecisions and --layerOutputTypes have no effect while --precisionConstraints is none".to_owned(),
        );
    }
    if obeyed && !constrained {
        notes.push(
            "--precisionConstraints has nothing to constrain without --layerPrecisions or --layerOutputTypes"
                .to_owned(),
        );
    }
    profiles(options)
}

/// Completes each optimization profile, and lets profiles and shapes of inference stand in for each other.
fn profiles(options: &mut Options) -> Result<(), UsageError> {
    let Options { build, inference, notes, .. } = options;
    for (index, profile) in build.profiles.iter_mut().enumerate() {
        if profile.is_empty() {
            return Err(UsageError::Together(format!("optimization profile {index} has no shapes")));
        }
        broadcast(profile, notes);
    }
    if let Some(profile) = build.profiles.get_mut(inference.profile) {
        for (name, shape) in &profile.opt {
            if !inference.shapes.iter().any(|(known, _)| known == name) {
                inference.shapes.push((name.clone(), shape.clone()));
            }
        }
        for (name, shape) in &inference.shapes {
            for shapes in [&mut profile.min, &mut profile.opt, &mut profile.max] {
                if !shapes.iter().any(|(known, _)| known == name) {
                    shapes.push((name.clone(), shape.clone()));
                }
            }
        }
    } else if build.load_engine.is_none() && inference.profile > 0 {
        let text = format!("--useProfile={}: there is no such optimization profile", inference.profile);
        return Err(UsageError::Together(text));
    } else if build.load_engine.is_none() && !inference.shapes.is_empty() {
        let shapes = inference.shapes.clone();
        build.profiles.push(ShapeProfile { min: shapes.clone(), opt: shapes.clone(), max: shapes });
    }
    Ok(())
}

/// Of the three, what is left out is as its neighbour: the optimum if it is there, else the maximum, else the minimum.
fn broadcast(profile: &mut ShapeProfile, notes: &mut Vec<String>) {
    let names = ["minShapes", "optShapes", "maxShapes"];
    let given = [profile.min.clone(), profile.opt.clone(), profile.max.clone()];
    let source = [1, 2, 0].into_iter().find(|&index| !given[index].is_empty()).unwrap_or(0);
    let places = [&mut profile.min, &mut profile.opt, &mut profile.max];
    for (place, name) in places.into_iter().zip(names).filter(|(place, _)| place.is_empty()) {
        *place = given[source].clone();
        notes.push(format!("{} is taken for --{name}, which is not given", names[source]));
    }
}

#[cfg(test)]
mod tests {
    use super::super::flags::{SECTIONS, Taken};
    use super::*;

    fn parsed(line: &str) -> Result<Options, UsageError> {
        parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    fn refused(line: &str) -> String {
        parsed(line).expect_err(line).to_string()
    }

    /// The whole table: each flag is taken as its proof says, in both spellings, or refused with its reason.
    #[test]
    fn every_flag_is_taken_or_refused_as_it_says() {
        for flag in flags::all() {
            let names = [Some(flag.name), flag.alias];
            for name in names.into_iter().flatten() {
                match flag.effect {
                    Effect::Take(_) => {
                        assert!(!flag.help.is_empty() && !flag.proof.taken.is_empty(), "--{name} has no proof");
                        flag.proof.taken.iter().for_each(|proof| taken(flag, name, proof));
                        flag.proof.wrong.iter().for_each(|value| wrong(flag, name, value));
                    }
                    Effect::Hint(reason) => {
                        let line = match flag.value {
                            Some(_) => format!("--{name}=4 --onnx=m"),
                            None => format!("--{name} --onnx=m"),
                        };
                        let notes = parsed(&line).expect(name).notes;
                        assert_eq!(notes, [format!("--{name} has no effect here: {reason}")]);
                    }
                    Effect::Refuse(reason) => {
                        assert!(!reason.is_empty());
                        for line in [format!("--onnx=m --{name}"), format!("--onnx=m --{name}=x")] {
                            assert_eq!(refused(&line), format!("--{name} is not supported: {reason}"));
                        }
                    }
                }
            }
        }
    }

    /// One flag alone, before flags are looked at together.
    fn alone(flag: &Flag, name: &str, value: Option<&str>) -> Result<Options, UsageError> {
        let mut options = Options::default();
        take(flag, name, value, &mut options).map(|()| options)
    }

    fn taken(flag: &Flag, name: &str, (value, holds): &Taken) {
        let options = alone(flag, name, flag.value.map(|_| *value)).unwrap_or_else(|e| panic!("{e}"));
        assert!(holds(&options), "--{name}={value}: {options:?}");
        if flag.name != "onnx" && flag.value.is_some() {
            let with = |argument: &[String]| {
                let line = [argument, &["--onnx=m".to_owned()]].concat();
                // Some flags do not go alone with a model; then both spellings say so.
                parse(&line)
            };
            let (joined, apart) = (vec![format!("--{name}={value}")], vec![format!("--{name}"), (*value).to_owned()]);
            assert_eq!(with(&joined), with(&apart), "--{name}");
        }
    }

    fn wrong(flag: &Flag, name: &str, value: &str) {
        let error = alone(flag, name, Some(value)).expect_err(name).to_string();
        assert!(error.contains(&format!("--{name}")) && !error.contains('\n'), "{error}");
    }

    #[test]
    fn no_flag_is_there_twice() {
        let mut names: Vec<&str> = flags::all().flat_map(|flag| [Some(flag.name), flag.alias]).flatten().collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
        assert!(count > 150 && SECTIONS.len() == 7, "{count}");
    }

    #[test]
    fn an_unknown_flag_suggests_the_nearest() {
        for (written, near) in [
            ("fp61", "fp16"),
            ("saveengine", "saveEngine"),
            ("warmup", "warmUp"),
            ("useCudaGraphs", "useCudaGraph"),
            ("exportTime", "exportTimes"),
            ("iteration", "iterations"),
        ] {
            assert_eq!(
                refused(&format!("--onnx=m --{written}")),
                format!("unknown flag --{written}; did you mean --{near}?")
            );
        }
        assert_eq!(refused("--qqq"), "unknown flag --qqq");
        assert_eq!(refused("model.onnx"), "`model.onnx` is no flag; flags begin with --, as in --onnx=model.onnx");
    }

    #[test]
    fn values_stand_behind_an_equals_sign_or_a_space() {
        let options = parsed("--onnx m.onnx --duration -1 --fp16 --shapes=x:1x3").expect("a command line");
        assert_eq!(options.inference.duration, None);
        assert!(options.build.fp16);
        assert_eq!(refused("--onnx"), "--onnx needs a value: --onnx=FILE");
        assert_eq!(refused("--onnx --fp16"), "--onnx needs a value: --onnx=FILE");
        assert_eq!(refused("--onnx=m --fp16=0"), "--fp16 takes no value, got `0`");
        assert_eq!(refused("--onnx=m --iterations=3 --iterations=4"), "--iterations is given twice");
        assert_eq!(refused("--onnx=m --streams=3 --infStreams=4"), "--infStreams is given twice");
    }

    #[test]
    fn what_cannot_be_together_is_refused() {
        for (line, words) in [
            ("--fp16", "no model"),
            ("--onnx=m --loadEngine=e", "give one of them"),
            ("--loadEngine=e --saveEngine=f", "--saveEngine"),
            ("--onnx=m --getPlanVersionOnly", "--loadEngine"),
            ("--onnx=m --useRuntime=lean", "--loadEngine"),
            ("--onnx=m --best --stronglyTyped", "--stronglyTyped"),
            ("--onnx=m --loadRefOutputs=y:r --loadInputs=x:i", "--accuracyThreshold"),
            ("--onnx=m --loadRefOutputs=y:r --accuracyThreshold=1", "--loadInputs"),
            ("--onnx=m --useProfile=1", "no such optimization profile"),
            ("--onnx=m --profile=1 --optShapes=x:1", "profile 0 has no shapes"),
            ("--onnx=m --optShapes=x:1 --optShapes=x:2", "--profile=N"),
        ] {
            assert!(refused(line).contains(words), "{line}: {}", refused(line));
        }
        assert!(parsed("--help").is_ok_and(|options| options.help));
    }

    #[test]
    fn profiles_are_completed_as_trtexec_completes_them() {
        let options = parsed("--onnx=m --minShapes=x:1x3 --optShapes=x:8x3 --maxShapes=x:32x3").expect("a profile");
        assert_eq!(options.inference.shapes, [("x".to_owned(), vec![8, 3])]);
        assert!(options.notes.is_empty());

        let options = parsed("--onnx=m --optShapes=x:8x3 --shapes=x:4x3").expect("a profile");
        assert_eq!(options.build.profiles[0].max, [("x".to_owned(), vec![8, 3])]);
        assert_eq!(options.inference.shapes, [("x".to_owned(), vec![4, 3])]);
        assert_eq!(options.notes.len(), 2);

        let options = parsed("--onnx=m --shapes=x:4x3").expect("shapes");
        assert_eq!(options.build.profiles[0].min, [("x".to_owned(), vec![4, 3])]);

        let line = "--onnx=m --profile=0 --optShapes=x:1 --profile=1 --minShapes=x:2 --maxShapes=x:9 --useProfile=1";
        let options = parsed(line).expect("two profiles");
        assert_eq!(options.build.profiles[1].opt, [("x".to_owned(), vec![9])]);
        assert_eq!(options.inference.shapes, [("x".to_owned(), vec![9])]);
    }
}
