//! The application's own test of a restored file: a command of the shell, which is told the file's path.

use crate::error::{Error, Kind, Result};
use crate::model::bounds::HOOK_LINES;
use crate::run::proof::go_on;
use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// The variable that holds the path.
pub const VARIABLE: &str = "LITE2PG_RESTORED";

/// How often a command is looked after.
const POLL: Duration = Duration::from_millis(50);

/// What came of a command.
pub struct Ended {
    /// How it ended, in words.
    pub status: ExitStatus,
    /// Whether that is good.
    pub is_good: bool,
    /// The last lines that it wrote.
    pub last_lines: Vec<String>,
}

/// Runs it to its end.
pub fn run(command: &str, restored: &Path, stop: &AtomicBool) -> Result<Ended> {
    let failed = |e| Error::new(Kind::Failed, "`sh` cannot be started for the hook").cause(e);
    let mut child = Command::new("sh")
        .args(["-c", command])
        .env(VARIABLE, restored)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let readers = [out.map(last_lines), err.map(last_lines)];
    let status = loop {
        if let Some(status) = child.try_wait().map_err(failed)? {
            break status;
        }
        if let Err(stopped) = go_on(stop) {
            // It had its own signal where a person typed Ctrl-C.
            child.kill().ok();
            child.wait().ok();
            return Err(stopped);
        }
        std::thread::sleep(POLL);
    };
    let mut lines = Vec::new();
    for reader in readers.into_iter().flatten() {
        lines.extend(reader.join().unwrap_or_default());
    }
    Ok(Ended { status, is_good: status.success(), last_lines: lines })
}

/// The last lines of a stream, read to its end so that the writer never waits.
pub fn last_lines(stream: impl Read + Send + 'static) -> std::thread::JoinHandle<Vec<String>> {
    std::thread::spawn(move || {
        let mut last = VecDeque::with_capacity(HOOK_LINES);
        let (mut stream, mut line) = (BufReader::new(stream), Vec::new());
        loop {
            line.clear();
            match stream.by_ref().take(1024).read_until(b'\n', &mut line) {
                Ok(0) | Err(_) => return last.into(),
                Ok(_) => {
                    if last.len() == HOOK_LINES {
                        last.pop_front();
                    }
                    last.push_back(String::from_utf8_lossy(&line).trim_end().to_owned());
                }
            }
        }
    })
}
