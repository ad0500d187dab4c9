//! COPY, both ways: bytes to the server and bytes from it.
//!
//! Owns the conversation, not the format: what the bytes mean is up to the caller. A COPY into the server
//! that is dropped is aborted.

use super::session::Session;
use crate::error::Result;
use crate::model::bounds::COPY_MESSAGE_BYTES_MAX;
use bytes::Bytes;
use futures_util::{SinkExt, Stream};
use std::collections::VecDeque;
use std::pin::Pin;
use std::task::Poll;
use tokio_postgres::{CopyInSink, CopyOutStream};

/// Bytes that are fetched from the driver in one go; it gives one piece per row.
const COPY_OUT_BYTES: usize = 256 * 1024;

/// Rows on their way into a table. Dropped before [`CopyIn::finish`], it is aborted: the server discards
/// the rows and the transaction around it fails.
pub struct CopyIn<'a> {
    session: &'a Session,
    /// None once the conversation is over.
    sink: Option<Pin<Box<CopyInSink<Bytes>>>>,
    is_complete: bool,
    sql: String,
}

impl<'a> CopyIn<'a> {
    pub(super) fn start(session: &'a Session, sql: &str) -> Result<Self> {
        let client = session.client()?;
        let mut copy = Self { session, sink: None, is_complete: false, sql: sql.to_owned() };
        // From here on a refusal drops the copy, which looks after the connection.
        let sink = session.wait(sql, client.copy_in(sql))?;
        copy.sink = Some(Box::pin(sink));
        Ok(copy)
    }

    /// Sends bytes, waiting while the server has not taken the ones before. Large ones are sent in pieces
    /// that share their memory.
    ///
    /// A row that the server refuses is reported by [`CopyIn::finish`]: until the end it only discards what
    /// comes. An error here means that the connection is gone.
    pub fn send(&mut self, mut bytes: Bytes) -> Result<()> {
        let Some(sink) = &mut self.sink else { return Ok(()) };
        while !bytes.is_empty() {
            // Each piece has the patience with a silent server for itself.
            let piece = bytes.split_to(bytes.len().min(COPY_MESSAGE_BYTES_MAX));
            let Err(closed) = self.session.wait(&self.sql, sink.feed(piece)) else { continue };
            if self.session.is_given_up() {
                return Err(closed);
            }
            // The driver only knows that its queue is closed; the end of the conversation may know why.
            return Err(match self.session.wait(&self.sql, sink.as_mut().finish()) {
                Err(told) if told.sqlstate().is_some() => told,
                _ => closed,
            });
        }
        Ok(())
    }

    /// Ends the COPY; gives the number of rows that the server took.
    pub fn finish(mut self) -> Result<u64> {
        let Some(sink) = &mut self.sink else { return Ok(0) };
        let rows = self.session.wait(&self.sql, sink.as_mut().finish())?;
        self.is_complete = true;
        Ok(rows)
    }
}

impl Drop for CopyIn<'_> {
    fn drop(&mut self) {
        if !self.is_complete {
            // The driver tells the server that the COPY failed.
            self.sink = None;
            self.session.find_step();
        }
    }
}

/// Rows on their way out. Dropped before its end, the connection is closed: the server would send the rest.
pub struct CopyOut<'a> {
    session: &'a Session,
    stream: Pin<Box<CopyOutStream>>,
    ready: VecDeque<Bytes>,
    is_done: bool,
    sql: String,
}

impl<'a> CopyOut<'a> {
    pub(super) fn start(session: &'a Session, sql: &str) -> Result<Self> {
        let stream = session.wait(sql, session.client()?.copy_out(sql))?;
        Ok(Self { session, stream: Box::pin(stream), ready: VecDeque::new(), is_done: false, sql: sql.to_owned() })
    }

    /// The next piece, in order, or None at the end. The server sends a piece per row, with the binary
    /// format's header in front of the first and its trailer as the last; neither is promised by the protocol.
    #[allow(clippy::should_implement_trait, reason = "an iterator of results invites to skip errors")]
    pub fn next(&mut self) -> Result<Option<Bytes>> {
        if self.ready.is_empty() && !self.is_done {
            self.fetch()?;
        }
        Ok(self.ready.pop_front())
    }

    /// Takes what the driver has; waits only for the first piece.
    fn fetch(&mut self) -> Result<()> {
        let (stream, ready, is_done) = (&mut self.stream, &mut self.ready, &mut self.is_done);
        let mut bytes = 0;
        let fetched = std::future::poll_fn(|cx| {
            while bytes < COPY_OUT_BYTES {
                match stream.as_mut().poll_next(cx) {
                    Poll::Ready(Some(Ok(piece))) => {
                        bytes += piece.len();
                        ready.push_back(piece);
                    }
                    Poll::Ready(Some(Err(e))) => {
                        *is_done = true;
                        return Poll::Ready(Err(e));
                    }
                    Poll::Ready(None) => {
                        *is_done = true;
                        break;
                    }
                    Poll::Pending if ready.is_empty() => return Poll::Pending,
                    Poll::Pending => break,
                }
            }
            Poll::Ready(Ok(()))
        });
        self.session.wait(&self.sql, fetched)
    }
}

impl Drop for CopyOut<'_> {
    fn drop(&mut self) {
        if !self.is_done {
            self.session.give_up();
        }
    }
}
