//! A server that is none, or means harm: its words do not steer the terminal, and nonsense is an error with a way out.

#![expect(clippy::unwrap_used, reason = "a helper that unwraps fails its test with the place")]

mod support;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;
use support::budget::for_a_while;
use support::program::{Ran, ended, program, source};

/// Listens, refuses TLS, reads the greeting, answers with these bytes and hangs up; until it is dropped.
struct Fake {
    port: u16,
    over: Arc<AtomicBool>,
}

impl Fake {
    /// The answer to the greeting, or to the first question of whoever was let in.
    fn answering(lets_in: bool, bytes: Vec<u8>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let over = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&over);
        thread::spawn(move || {
            for client in listener.incoming() {
                if ended.load(Ordering::Relaxed) {
                    return;
                }
                // A client that hung up first is none of our business.
                drop(client.and_then(|client| answer(client, lets_in, &bytes)));
            }
        });
        Self { port, over }
    }

    fn meets(&self, more: &[&str]) -> Ran {
        let (dir, path) = source("CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1)");
        let target = format!("host=127.0.0.1 port={} user=u password=p dbname=d connect_timeout=5", self.port);
        ended(program().arg("migrate").arg(path).arg(target).args(more).current_dir(dir.path()).output().unwrap())
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        drop(TcpStream::connect(("127.0.0.1", self.port)));
    }
}

fn answer(mut client: TcpStream, lets_in: bool, bytes: &[u8]) -> std::io::Result<()> {
    client.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut length = [0; 4];
    loop {
        client.read_exact(&mut length)?;
        let mut rest = vec![0; (u32::from_be_bytes(length) as usize).clamp(4, 10_000) - 4];
        client.read_exact(&mut rest)?;
        // A request for TLS is eight bytes long.
        if rest.len() != 4 {
            break;
        }
        client.write_all(b"N")?;
    }
    let mut buffer = [0; 4096];
    if lets_in {
        client.write_all(&welcome())?;
        // Whatever the question is, some of it has come.
        let _ = client.read(&mut buffer)?;
    }
    client.write_all(bytes)?;
    // It listens until the other side has hung up, or said what it says to such an answer.
    drop(client.read(&mut buffer));
    Ok(())
}

/// A message of the protocol.
fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = (body.len() + 4) as u32;
    [&[kind][..], &length.to_be_bytes(), body].concat()
}

/// An error with these fields, each a letter and a text.
fn error(fields: &[(u8, &str)]) -> Vec<u8> {
    let mut body: Vec<u8> =
        fields.iter().flat_map(|(letter, text)| [&[*letter][..], text.as_bytes(), &[0]].concat()).collect();
    body.push(0);
    message(b'E', &body)
}

const STEERS: &str = "\u{1b}[2J\u{1b}]0;title\u{7}\r\u{9b}31m\u{202e}evil\u{2066}";

/// Lets the client in, and is ready for its first question.
fn welcome() -> Vec<u8> {
    [message(b'R', &0_u32.to_be_bytes()), message(b'K', &[0; 8]), message(b'Z', b"I")].concat()
}

#[test]
fn what_a_server_says_does_not_steer_the_terminal() {
    let words = |code| {
        error(&[
            (b'S', STEERS),
            (b'V', "ERROR"),
            (b'C', code),
            (b'M', STEERS),
            (b'D', STEERS),
            (b'H', STEERS),
            (b'W', STEERS),
            (b't', STEERS),
        ])
    };
    for (code, from_the_start) in
        [("28000", true), ("3D000", true), ("XX000", true), ("42501", false), ("22P02", false), ("57P01", false)]
    {
        let fake = Fake::answering(!from_the_start, words(code));
        for more in [&[][..], &["--log-format", "json"], &["--show-values"]] {
            let ran = fake.meets(more);
            assert!([1, 7].contains(&ran.code), "{code}: {}", ran.stderr);
            let steers = |c: char| {
                c != '\n' && (c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'))
            };
            assert!(!ran.stderr.contains(steers), "{code} {more:?}: {:?}", ran.stderr);
            assert!(ran.stderr.contains("evil") || code == "22P02" || code == "57P01", "{code}: {}", ran.stderr);
        }
    }
}

#[test]
fn an_old_server_and_one_that_is_no_postgresql_are_told_from_others() {
    let version = [
        message(b'T', b"\0\x01v\0\0\0\0\0\0\0\0\0\0\x19\xff\xff\xff\xff\xff\xff\0\0"),
        message(b'D', b"\0\x01\0\0\0\x0590600"),
        message(b'C', b"SELECT 1\0"),
        message(b'Z', b"I"),
    ];
    Fake::answering(true, version.concat())
        .meets(&[])
        .exits(7)
        .says(&["the server is PostgreSQL 9", "needs 12 or later"]);
    Fake::answering(false, b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()).meets(&[]).exits(7).says(&["hint:"]);
    Fake::answering(false, Vec::new()).meets(&[]).exits(7).says(&["cannot be spoken with: connection closed"]);
}

#[test]
fn a_server_that_speaks_nonsense_is_an_error() {
    let kind = || select(b"RSKZTDCE1234AVNHGWtnsI".to_vec());
    let whole = (kind(), vec(any::<u8>(), 0..40)).prop_map(|(kind, body)| message(kind, &body));
    let numbers = (kind(), vec(select(vec![0_u8, 1, 2, 3, 5, 10, 12, 127, 128, 255]), 0..24))
        .prop_map(|(kind, body)| message(kind, &body));
    let broken = (kind(), select(vec![0_u32, 1, 3, 4, 5, 100, i32::MAX as u32, u32::MAX]), vec(any::<u8>(), 0..12))
        .prop_map(|(kind, length, body)| [&[kind][..], &length.to_be_bytes(), &body].concat());
    let piece = prop_oneof![3 => whole, 3 => numbers, 2 => broken, 1 => vec(any::<u8>(), 0..40)];
    for_a_while("nonsense of a server", (any::<bool>(), vec(piece, 0..6)), |(lets_in, pieces)| {
        let ran = Fake::answering(lets_in, pieces.concat()).meets(&[]);
        if [1, 3, 7].contains(&ran.code) && !ran.stderr.contains("broke one of its own rules") {
            return Ok(());
        }
        Err(format!("exit {}: {}", ran.code, ran.stderr))
    });
}
