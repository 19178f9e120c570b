//! trtexec's flags, one entry each: name, grammar of the value, what it says of itself, what it does, and what shows
//! that it does it. Spelling and meaning are those of trtexec 8.6 to 11.

mod build;
mod hints;
mod inference;
mod model;
mod precision;
mod refused;
mod reporting;
mod shapes;

use super::options::Options;

/// A flag of trtexec.
#[derive(Clone, Copy)]
pub(super) struct Flag {
    /// As it is written behind `--`.
    pub name: &'static str,
    /// Its other name.
    pub alias: Option<&'static str>,
    /// How its value is written; without one it takes none.
    pub value: Option<&'static str>,
    /// A line of the help.
    pub help: &'static str,
    pub effect: Effect,
    /// True if it may be given again: once in each optimization profile.
    pub repeats: bool,
    /// What shows that it is taken as said.
    #[cfg_attr(not(test), allow(dead_code, reason = "read by the test that walks through all flags"))]
    pub proof: Proof,
}

/// What a flag comes to.
#[derive(Clone, Copy)]
pub(super) enum Effect {
    /// Its value goes into the options; a value that cannot be is refused with the reason.
    Take(fn(&mut Options, &str) -> Result<(), String>),
    /// Nothing, and that is true of its meaning here: the reason is said.
    Hint(&'static str),
    /// It cannot be: why, and what to do instead.
    Refuse(&'static str),
}

/// A value, and what holds of the options once it is taken.
pub(super) type Taken = (&'static str, fn(&Options) -> bool);

/// Values that show what a flag does.
#[derive(Clone, Copy)]
#[cfg_attr(not(test), allow(dead_code, reason = "read by the test that walks through all flags"))]
pub(super) struct Proof {
    pub taken: &'static [Taken],
    /// Values that are refused.
    pub wrong: &'static [&'static str],
}

impl Flag {
    /// What most flags are; an entry names the rest.
    const PLAIN: Flag = Flag {
        name: "",
        alias: None,
        value: None,
        help: "",
        effect: Effect::Refuse(""),
        repeats: false,
        proof: Proof { taken: &[], wrong: &[] },
    };

    /// A flag that cannot be.
    const fn refused(name: &'static str, reason: &'static str) -> Flag {
        Flag { name, effect: Effect::Refuse(reason), ..Flag::PLAIN }
    }

    /// A flag that changes nothing here.
    const fn hint(name: &'static str, value: Option<&'static str>, reason: &'static str) -> Flag {
        Flag { name, value, effect: Effect::Hint(reason), ..Flag::PLAIN }
    }
}

/// The flags of one section of the help.
pub(super) struct Section {
    pub title: &'static str,
    pub flags: &'static [&'static [Flag]],
}

/// All flags, in the order of trtexec's help.
pub(super) const SECTIONS: [Section; 7] = [
    Section { title: "Model Options", flags: &[model::FLAGS] },
    Section { title: "Build Options", flags: &[shapes::FLAGS, precision::FLAGS, build::FLAGS] },
    Section { title: "Inference Options", flags: &[inference::FLAGS] },
    Section { title: "Reporting Options", flags: &[reporting::FLAGS] },
    Section { title: "System Options", flags: &[model::SYSTEM_FLAGS] },
    Section { title: "Accepted Without Effect", flags: &[hints::FLAGS] },
    Section { title: "Refused", flags: &[refused::FLAGS] },
];

/// All flags.
pub(super) fn all() -> impl Iterator<Item = &'static Flag> {
    SECTIONS.iter().flat_map(|section| section.flags).copied().flatten()
}

/// The flag of a name, without its dashes.
pub(super) fn find(name: &str) -> Option<&'static Flag> {
    all().find(|flag| flag.name == name || flag.alias == Some(name))
}

/// The name that is most like one that is not there, if any is like it at all.
pub(super) fn nearest(name: &str) -> Option<&'static str> {
    // Below this, two names share letters and no more.
    const LIKE: f64 = 0.8;
    let lower = name.to_lowercase();
    let likeness = |flag: &Flag| strsim::jaro_winkler(&lower, &flag.name.to_lowercase());
    let best = all().max_by(|a, b| likeness(a).total_cmp(&likeness(b)))?;
    (likeness(best) >= LIKE).then_some(best.name)
}
