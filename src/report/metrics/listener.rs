//! The smallest HTTP server that a scraper needs: one thread, one connection at a time, `GET /metrics`.
//!
//! It knows nothing of the run. Whoever connects can make it do no more than read a few kilobytes and answer: a request
//! that is longer or slower than the bounds is dropped, and the next one is served.

use crate::model::bounds::{METRICS_PATIENCE, METRICS_REQUEST_BYTES_MAX};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Instant;

/// A listener that answers until it is dropped.
pub struct Listener {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Listener {
    /// Listens at once, and answers with what `text` gives.
    pub fn start(address: SocketAddr, text: impl Fn() -> String + Send + 'static) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        let address = listener.local_addr()?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let serve = move || {
            for connection in listener.incoming() {
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                // Who goes away in the middle is no matter of ours.
                let _ = connection.and_then(|mut connection| answer(&mut connection, &text));
            }
        };
        let thread = std::thread::Builder::new().name("metrics".to_owned()).spawn(serve)?;
        Ok(Self { address, stop, thread: Some(thread) })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // It waits for a connection: this one. An address that stands for all of them is reached by its own machine's.
        let mut own = self.address;
        if own.ip().is_unspecified() {
            own.set_ip(if own.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() });
        }
        if TcpStream::connect_timeout(&own, METRICS_PATIENCE).is_ok()
            && let Some(thread) = self.thread.take()
        {
            // One that panicked was told of by then.
            let _ = thread.join();
        }
    }
}

fn answer(connection: &mut TcpStream, text: &impl Fn() -> String) -> io::Result<()> {
    connection.set_write_timeout(Some(METRICS_PATIENCE))?;
    let request = head(connection)?;
    let (status, body) = match request.lines().next().map(|line| line.split(' ').collect::<Vec<_>>()).as_deref() {
        Some(["GET" | "HEAD", path, _]) if path.split('?').next() == Some("/metrics") => ("200 OK", text()),
        Some(["GET" | "HEAD", ..]) => ("404 Not Found", "metrics are at /metrics\n".to_owned()),
        Some(_) => ("405 Method Not Allowed", "GET /metrics\n".to_owned()),
        None => ("400 Bad Request", String::new()),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    connection.write_all(head.as_bytes())?;
    if !request.starts_with("HEAD ") {
        connection.write_all(body.as_bytes())?;
    }
    connection.flush()
}

// The request up to its empty line. The time is for all of it: a byte now and then does not hold the listener.
fn head(connection: &mut TcpStream) -> io::Result<String> {
    let until = Instant::now() + METRICS_PATIENCE;
    let mut request = Vec::new();
    let mut buffer = [0; 1024];
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() || request.len() > METRICS_REQUEST_BYTES_MAX {
            return Err(io::ErrorKind::TimedOut.into());
        }
        connection.set_read_timeout(Some(left))?;
        match connection.read(&mut buffer)? {
            0 => break,
            n => request.extend_from_slice(&buffer[..n]),
        }
    }
    Ok(String::from_utf8_lossy(&request).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(address: SocketAddr, request: &str) -> String {
        let mut connection = TcpStream::connect(address).unwrap();
        connection.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        let _ = connection.read_to_string(&mut answer);
        answer
    }

    #[test]
    fn one_path_is_answered_and_whoever_misbehaves_stops_nobody() {
        let listener = Listener::start("127.0.0.1:0".parse().unwrap(), || "x 1\n".to_owned()).unwrap();
        let address = listener.address();
        let good = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";
        assert!(ask(address, good).ends_with("Content-Length: 4\r\nConnection: close\r\n\r\nx 1\n"));
        assert!(ask(address, "GET / HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 404 "));
        assert!(ask(address, "POST /metrics HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 405 "));
        assert!(ask(address, "HEAD /metrics HTTP/1.1\r\n\r\n").ends_with("\r\n\r\n"));
        // A request without an end, one that never comes, one that is no text.
        assert_eq!(ask(address, &"x".repeat(METRICS_REQUEST_BYTES_MAX * 2)), "");
        let silent = TcpStream::connect(address).unwrap();
        assert!(ask(address, good).ends_with("x 1\n"));
        drop(silent);
        assert!(ask(address, "\u{0}\u{1}\r\n\r\n").starts_with("HTTP/1.1 405 "));
        assert!(ask(address, good).ends_with("x 1\n"));
        drop(listener);
        assert!(TcpStream::connect(address).is_err(), "it still listens");
    }
}
