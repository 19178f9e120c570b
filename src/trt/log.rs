//! What the library says. It wants one logger for all its objects, so there is one for the process, and what it gets is
//! kept for whoever called the library just now.

use super::{Flavour, Message, Said, TrtError, Version};
use crate::severity::Severity;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

static LOGGER: OnceLock<trtx::Logger> = OnceLock::new();
static SAID: Mutex<Vec<Message>> = Mutex::new(Vec::new());
/// One call at a time, so that what is said is said of it.
static TURN: Mutex<()> = Mutex::new(());

struct Collector;

impl trtx::LogHandler for Collector {
    fn log(&self, severity: trtx::Severity, text: &str) {
        let severity = match severity {
            trtx::Severity::InternalError => Severity::InternalError,
            trtx::Severity::Error => Severity::Error,
            trtx::Severity::Warning => Severity::Warning,
            trtx::Severity::Info => Severity::Info,
            trtx::Severity::Verbose => Severity::Verbose,
        };
        // Errors and warnings are told by whoever called; the rest is for those who ask for a log.
        match severity {
            Severity::InternalError | Severity::Error | Severity::Warning => {
                held(&SAID).push(Message { severity, text: text.to_owned() });
            }
            Severity::Info => tracing::info!(target: "tensorrt", "{text}"),
            Severity::Verbose => tracing::trace!(target: "tensorrt", "{text}"),
        }
    }
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The process's logger.
pub(super) fn logger() -> Result<&'static trtx::Logger, trtx::Error> {
    if let Some(logger) = LOGGER.get() {
        return Ok(logger);
    }
    let made = trtx::Logger::new(Collector)?;
    Ok(LOGGER.get_or_init(|| made))
}

/// Who speaks, for errors.
#[derive(Clone, Copy, Debug)]
pub(super) struct Speaker {
    pub flavour: Flavour,
    pub version: Version,
}

impl Speaker {
    /// Lets `work` call the library; what it said meanwhile comes with the result, or is the error. `what` says what was
    /// not done, for errors: "does not take the model".
    pub fn hear<T>(
        self,
        what: impl Into<String>,
        work: impl FnOnce() -> Result<T, trtx::Error>,
    ) -> Result<(T, Vec<Message>), TrtError> {
        let _turn = held(&TURN);
        held(&SAID).clear();
        let outcome = work();
        let mut said = std::mem::take(&mut *held(&SAID));
        match outcome {
            Ok(value) => Ok((value, said)),
            Err(error) => {
                // The bindings know no more than that a call failed, unless the library kept silent.
                if said.iter().all(|message| message.severity > Severity::Error) {
                    said.push(Message { severity: Severity::Error, text: error.to_string() });
                }
                let Self { flavour, version } = self;
                Err(TrtError::Refused { flavour, version, what: what.into(), said: Said(said) })
            }
        }
    }

    /// As [`Speaker::hear`], for calls whose words matter only if they fail.
    pub fn ask<T>(self, what: &str, work: impl FnOnce() -> Result<T, trtx::Error>) -> Result<T, TrtError> {
        let (value, said) = self.hear(what, work)?;
        said.iter().for_each(|message| tracing::warn!(target: "tensorrt", "{}", message.text));
        Ok(value)
    }
}
