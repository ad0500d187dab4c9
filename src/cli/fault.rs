//! A broken rule of our own: whatever panics, in whatever thread, a person hears whose fault it is, and the exit code
//! says that something failed.
//!
//! The payload of a panic may quote a row. It is shown only where values were asked for.

use crate::error::{Error, Kind, is_forgiven};
use crate::report::{message, stderr};
use std::backtrace::{Backtrace, BacktraceStatus};
use std::panic::PanicHookInfo;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

/// The variable that shows what a panic said, values included: for who looks for the fault.
const PAYLOADS: &str = "LITE2PG_SHOW_PANICS";

static HAPPENED: AtomicBool = AtomicBool::new(false);

/// How panics are told.
#[derive(Debug, Clone, Copy, Default)]
pub struct Manner {
    /// As an event.
    pub as_event: bool,
    /// With values.
    pub values: bool,
}

/// Runs `work` and gives its exit code. A panic, in it or in a thread that it started, is told on stderr and is exit
/// code 1, even if `work` went on without that thread.
pub fn guarded(manner: Manner, work: impl FnOnce() -> ExitCode + std::panic::UnwindSafe) -> ExitCode {
    std::panic::set_hook(Box::new(move |panic| tell(panic, manner)));
    let code = std::panic::catch_unwind(work);
    let failed = ExitCode::from(Kind::Bug.exit_code());
    if HAPPENED.load(Ordering::SeqCst) { failed } else { code.unwrap_or(failed) }
}

fn tell(panic: &PanicHookInfo<'_>, manner: Manner) {
    if is_forgiven() {
        return;
    }
    // The first one says it all; others come of it: threads that lost their partner.
    if HAPPENED.swap(true, Ordering::SeqCst) {
        return;
    }
    let thread = std::thread::current();
    let place = panic.location().map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
    let mut error = Error::new(Kind::Bug, format!("lite2pg broke one of its own rules at {place}"))
        .fact(format!("lite2pg {}, in thread `{}`", env!("CARGO_PKG_VERSION"), thread.name().unwrap_or("unnamed")))
        .state("what was finished is on the target, what was not was rolled back; the source was only read")
        .hint(
            "please report the first two lines with the command that you ran; the same command goes on with the run, \
             RUST_BACKTRACE=1 adds the way to that place",
        );
    let payload = panic.payload();
    let said = payload.downcast_ref::<&str>().copied().or(payload.downcast_ref::<String>().map(String::as_str));
    error = error.withheld(format!("it said: {}", said.unwrap_or("nothing that is text")));
    let trace = Backtrace::capture();
    if trace.status() == BacktraceStatus::Captured {
        error = error.fact(trace.to_string());
    }
    let values = manner.values || std::env::var_os(PAYLOADS).is_some();
    if manner.as_event {
        stderr::line(&message::error_json(&error, values));
    } else {
        stderr::text(&message::error(&error, values));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Output};

    // What the child does; unset in the parent.
    const CHILD: &str = "LITE2PG_TEST_PANICS";

    // Runs a test of this binary again, as a process of its own, with the variable set.
    fn child(test: &str, what: &str, more: &[(&str, &str)]) -> Output {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", &format!("cli::fault::tests::{test}"), "--nocapture", "--test-threads", "1"]);
        command.env_remove(PAYLOADS).env_remove("RUST_BACKTRACE").env(CHILD, what).envs(more.iter().copied());
        command.output().unwrap()
    }

    #[test]
    fn holder() {
        let Ok(what) = std::env::var(CHILD) else { return };
        let manner = Manner { as_event: what.contains("event"), values: what.contains("values") };
        let code = guarded(manner, move || {
            let lane = || -> u8 {
                let cell = "a row's value: 4711 Baker Street";
                panic!("cannot encode {cell}")
            };
            if what.contains("unnoticed") {
                drop(std::thread::Builder::new().name("lane".to_owned()).spawn(lane).unwrap().join());
                return ExitCode::SUCCESS;
            }
            if what.contains("forgiven") {
                assert!(crate::error::forgiving(lane).is_none());
                return ExitCode::from(1);
            }
            if what.contains("twice") {
                drop(std::thread::spawn(lane).join());
            }
            ExitCode::from(lane())
        });
        // The test harness would make a 0 or 101 of it.
        std::process::exit(if code == ExitCode::from(1) { 1 } else { 77 });
    }

    #[test]
    fn a_panic_says_that_it_is_our_fault_and_shows_no_value() {
        for what in ["main", "unnoticed", "twice", "event", "event unnoticed"] {
            let output = child("holder", what, &[]);
            let told = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(1), "{what}: {told}");
            assert!(told.contains("lite2pg broke one of its own rules at src/cli/fault.rs:"), "{what}: {told}");
            assert!(told.contains("what was finished is on the target"), "{what}: {told}");
            assert!(!told.contains("Baker Street") && !told.contains("cannot encode"), "{what}: {told}");
            assert_eq!(told.matches("broke one").count(), 1, "{what}: {told}");
            if what.contains("event") {
                let event: serde_json::Value = serde_json::from_str(told.trim()).unwrap();
                assert_eq!((&event["event"], &event["exit_code"]), (&"error".into(), &1.into()));
            } else {
                assert!(told.contains("this is a fault of lite2pg, not of your data"), "{told}");
                assert!(told.contains("hint: please report"), "{told}");
            }
        }
    }

    #[test]
    fn a_panic_of_a_library_that_somebody_waits_for_is_no_fault() {
        let output = child("holder", "forgiven", &[]);
        assert_eq!((output.status.code(), String::from_utf8(output.stderr).unwrap().as_str()), (Some(1), ""));
    }

    #[test]
    fn a_panic_says_what_it_knows_where_values_were_asked_for() {
        for (what, more) in [("main values", &[][..]), ("event values", &[]), ("main", &[(PAYLOADS, "1")])] {
            let told = String::from_utf8(child("holder", what, more).stderr).unwrap();
            assert!(told.contains("cannot encode a row's value: 4711 Baker Street"), "{what}: {told}");
        }
        let told = String::from_utf8(child("holder", "main", &[("RUST_BACKTRACE", "1")]).stderr).unwrap();
        assert!(told.contains("fault::tests::holder") && !told.contains("Baker"), "{told}");
    }
}
