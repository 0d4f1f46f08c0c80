//! Sends windows of messages, and sends again those that a connection may have lost when it broke.
//!
//! What was written is in a buffer of this system or of the server's, and nothing says when the server has read it. So
//! with each connection the last of it is kept, and sent again where the connection turns out to be broken, before
//! anything new. A server that closes a connection in good order has read all of it: its system answers with a reset if
//! it has not, and if more arrives later.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Framing, SyslogClientSettings};
use crate::address::Place;
use crate::chunk::{Chunk, Refused};
use crate::client::Client;
use crate::error::{Cause, NetError};
use crate::event::{Event, Observer};
use crate::net::connection::{Connection, Limit, UNACKNOWLEDGED};
use crate::net::peers::Peers;
use crate::shutdown::Shutdown;
use crate::status::{Counters, Live};

/// As many bytes of what was written last are kept, or as many as the last window has.
const KEPT: usize = 1 << 20;

/// For so long they are: a system that has acknowledged nothing by then has broken the connection.
const SETTLED: Duration = UNACKNOWLEDGED.saturating_add(Duration::from_secs(30));

/// What was written so long before the server closed the connection was on no way any more.
const ARRIVED: Duration = Duration::from_secs(1);

/// How long a server may take to read what there is, and to close the connection, once it is told that no more comes.
const CLOSING: Duration = Duration::from_secs(2);

/// How often that is tried before it is left to luck.
const ROUNDS: usize = 3;

/// After so many datagrams there is a pause: the buffers of a receiver hold some hundred.
const BURST: usize = 32;
const PAUSE: Duration = Duration::from_millis(1);

/// Delivers messages to servers of syslog.
#[derive(Debug)]
pub(crate) struct SyslogClient {
    peers: Peers<Line>,
    framing: Framing,
    /// What is to be sent, the oldest first.
    queue: VecDeque<Chunk>,
    request: Vec<u8>,
}

/// An open connection, and what was written to it last.
#[derive(Debug)]
struct Line {
    net: Connection,
    sent: VecDeque<(Instant, Chunk)>,
}

impl SyslogClient {
    /// Checks the settings and reads the files that they name. It does not connect.
    ///
    /// # Errors
    /// If the settings have no meaning, name files that cannot be used, or ask for what this build leaves out.
    pub(crate) fn new(settings: SyslogClientSettings, observer: Observer) -> Result<SyslogClient, NetError> {
        let SyslogClientSettings { net, framing } = settings;
        Ok(SyslogClient { peers: Peers::new(net, observer)?, framing, queue: VecDeque::new(), request: Vec::new() })
    }

    /// Says what may be lost, and forgets it.
    fn give_up(&mut self) {
        let messages: usize = self.queue.drain(..).map(|chunk| chunk.len()).sum();
        if messages > 0 {
            self.peers.observe(&Event::MessagesInDoubt { messages });
        }
    }

    /// Looks which connections have broken, and takes back what they may have lost.
    fn look(&mut self) {
        for index in 0..self.peers.len() {
            let Some(line) = self.peers.connection(index) else { continue };
            match line.listen() {
                Ok(()) => line.forget(),
                Err(cause) => {
                    let arrived = line.sent.back().is_none_or(|(at, _)| at.elapsed() >= ARRIVED);
                    let read = arrived && matches!(cause, Cause::Closed) && line.net.fault().is_none();
                    if let Some(line) = self.peers.take(index).filter(|_| !read) {
                        self.doubt(line);
                    }
                }
            }
        }
    }

    /// Sends what is to be sent.
    fn drain(&mut self, stop: &dyn Shutdown) -> Result<(), NetError> {
        self.peers.begin();
        while !self.queue.is_empty() {
            let index = self.peers.next(stop)?;
            let Some(chunk) = self.queue.pop_front() else { break };
            let result = match self.line(index, stop) {
                Ok(mut line) => match self.write(index, &mut line, &chunk, stop) {
                    Ok(()) => Ok(line),
                    Err(cause) => Err((cause, Some(line))),
                },
                Err(cause) => Err((cause, None)),
            };
            match result {
                Ok(mut line) => {
                    line.sent.push_back((Instant::now(), chunk));
                    line.forget();
                    self.peers.keep(index, line);
                    self.peers.succeeded(index);
                    self.peers.replaced(index).for_each(|other| self.close(other, stop));
                }
                Err((cause, line)) => {
                    self.queue.push_front(chunk);
                    if let Some(line) = line {
                        self.doubt(line);
                    }
                    self.peers.failed(index, cause)?;
                }
            }
        }
        Ok(())
    }

    /// The connection to a server, or a new one.
    fn line(&mut self, index: usize, stop: &dyn Shutdown) -> Result<Line, Cause> {
        if let Some(line) = self.peers.take(index) {
            return Ok(line);
        }
        let net = self.peers.open(index, self.peers.patience(index), stop)?;
        self.peers.met(index);
        Ok(Line { net, sent: VecDeque::new() })
    }

    /// Writes messages, and looks whether the connection outlives it.
    fn write(&mut self, index: usize, line: &mut Line, chunk: &Chunk, stop: &dyn Shutdown) -> Result<(), Cause> {
        let time = self.peers.settings.write_timeout;
        let messages = (0..chunk.len()).map(|number| chunk.bytes(&(number..number + 1)));
        if let Some(Place::Udp { .. }) = self.peers.place(index) {
            for (number, message) in messages.enumerate() {
                if number > 0 && number % BURST == 0 {
                    std::thread::sleep(PAUSE);
                }
                line.net.send(message, time, stop, |_| None)?;
            }
        } else {
            self.request.clear();
            messages.for_each(|message| frame(self.framing, message, &mut self.request));
            line.net.send(&self.request, time, stop, |_| None)?;
        }
        line.listen()
    }

    /// Closes a connection in good order.
    fn close(&mut self, index: usize, stop: &dyn Shutdown) {
        let Some(mut line) = self.peers.take(index) else { return };
        if let Some(Place::Udp { .. }) = self.peers.place(index) {
            if line.listen().is_err() {
                self.doubt(line);
            }
            return;
        }
        line.net.finish();
        let limit = Limit::new(CLOSING, stop);
        loop {
            line.net.input.clear();
            match line.net.hear(&limit) {
                Ok(true) => {}
                // A server that keeps its side open: nothing speaks against it.
                Ok(false) | Err(Cause::Stopped) => return,
                Err(Cause::Closed) if line.net.fault().is_none() => return,
                Err(_) => return self.doubt(line),
            }
        }
    }

    /// Takes back what a connection may have lost, to be sent before anything else.
    fn doubt(&mut self, line: Line) {
        self.peers.counters.resent += line.sent.len() as u64;
        line.sent.into_iter().rev().for_each(|(_, chunk)| self.queue.push_front(chunk));
    }
}

impl Client for SyslogClient {
    fn deliver(&mut self, chunk: &Chunk, stop: &dyn Shutdown) -> Result<Vec<Refused>, NetError> {
        self.look();
        self.queue.push_back(chunk.clone());
        self.drain(stop).inspect_err(|_| {
            self.queue.pop_back();
            self.give_up();
        })?;
        Ok(Vec::new())
    }

    fn is_in_doubt(&self) -> bool {
        self.peers.iter().any(|line| !line.sent.is_empty())
    }

    fn settle(&mut self, stop: &dyn Shutdown) -> Result<(), NetError> {
        self.look();
        self.drain(stop).inspect_err(|_| self.give_up())
    }

    fn finish(&mut self, stop: &dyn Shutdown) -> Result<(), NetError> {
        for _ in 0..ROUNDS {
            (0..self.peers.len()).for_each(|index| self.close(index, stop));
            if self.queue.is_empty() {
                return Ok(());
            }
            self.drain(stop).inspect_err(|_| self.give_up())?;
        }
        (0..self.peers.len()).for_each(|index| self.close(index, stop));
        self.give_up();
        Ok(())
    }

    fn live(&self) -> Arc<Live> {
        Arc::clone(&self.peers.live)
    }

    fn counters(&self) -> &Counters {
        &self.peers.counters
    }
}

impl Line {
    /// Looks whether the connection is still there. What a server says has no meaning.
    fn listen(&mut self) -> Result<(), Cause> {
        loop {
            self.net.input.clear();
            if !self.net.receive()? {
                return Ok(());
            }
        }
    }

    /// Forgets what has arrived by now, and what is more than is kept.
    fn forget(&mut self) {
        let mut kept: usize = self.sent.iter().map(|(_, chunk)| chunk.encoded().len()).sum();
        while let Some((at, chunk)) = self.sent.front()
            && (at.elapsed() >= SETTLED || kept > KEPT && self.sent.len() > 1)
        {
            kept -= chunk.encoded().len();
            self.sent.pop_front();
        }
    }
}

/// Appends a message so that the receiver knows where it ends (RFC 6587, section 3.4).
fn frame(framing: Framing, message: &[u8], out: &mut Vec<u8>) {
    match framing {
        Framing::Octet => {
            out.extend_from_slice(itoa::Buffer::new().format(message.len()).as_bytes());
            out.push(b' ');
            out.extend_from_slice(message);
        }
        Framing::Lf => {
            out.extend_from_slice(message);
            out.push(b'\n');
        }
    }
}

#[cfg(test)]
mod tests;
