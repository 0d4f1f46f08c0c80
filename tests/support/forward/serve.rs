//! One connection by the script: handshake, requests, replies.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::connection::{Connection, End, Socket};
use super::decompress::decompressed;
use super::event::events;
use super::faults::faults;
use super::handshake::{Greeting, HandshakeFault, Ping};
use super::script::Reply;
use super::state::{Request, State};
use super::wire::{Frame, ack, ack_of_bytes};

/// The rest between two bytes sent separately.
const BYTE_PAUSE: Duration = Duration::from_millis(3);

/// Accepts connections until the server stops, and then closes them.
pub(super) fn accept(state: &Arc<State>, accept: impl Fn() -> io::Result<Socket>) {
    let open: Mutex<Vec<Option<Socket>>> = Mutex::default();
    std::thread::scope(|scope| {
        while let Ok(socket) = accept() {
            if state.stopped() {
                break;
            }
            let Ok(closer) = socket.another() else { continue };
            let number = {
                let mut log = state.log();
                log.connections += 1;
                log.connections - 1
            };
            let mut sockets = open.lock().unwrap();
            sockets.push(Some(closer));
            let place = sockets.len() - 1;
            drop(sockets);
            let (open, state) = (&open, Arc::clone(state));
            scope.spawn(move || {
                let end = serve(socket, number, &state);
                state.log().ends.push((number, end));
                // A second handle would keep the connection open.
                if let Some(socket) = open.lock().unwrap()[place].take() {
                    drop(socket);
                }
                state.notify();
            });
        }
        for socket in open.lock().unwrap().iter().flatten() {
            socket.close();
        }
    });
}

/// Serves a connection. Describes how it ended.
fn serve(socket: Socket, number: usize, state: &State) -> String {
    let script = state.script();
    let mut connection = match Connection::new(socket, script.tls.clone(), (script.connection_scripts)(number), state) {
        Ok(connection) => connection,
        Err(error) => return format!("TLS: {error}"),
    };
    let mut once = false;
    if let Some(greeting) = &script.greeting {
        once = greeting.keepalive == Some(false);
        if let Err(end) = shake_hands(&mut connection, greeting, state) {
            return end;
        }
    }
    let mut held = Vec::new();
    loop {
        let bytes = match connection.request() {
            Ok(bytes) => bytes,
            Err(end) => return describe(end, state),
        };
        let (reply, chunk) = match accept_request(bytes, number, state) {
            Ok(taken) => taken,
            Err(fault) => {
                report_fault(state, fault);
                return "a bad request".to_owned();
            }
        };
        match send_reply(&mut connection, &reply, &chunk, &mut held, state) {
            Ok(true) if !once => {}
            Ok(_) => return format!("closed after {reply:?}"),
            Err(error) => return error.to_string(),
        }
    }
}

fn describe(end: End, state: &State) -> String {
    match end {
        End::WireError(bad) => {
            report_fault(state, bad.to_string());
            bad.to_string()
        }
        End::Failed(error) => error.to_string(),
        other => format!("{other:?}"),
    }
}

fn report_fault(state: &State, fault: String) {
    state.log().faults.push(fault);
}

/// Exchanges HELO, PING, PONG.
fn shake_hands(connection: &mut Connection<'_>, greeting: &Greeting, state: &State) -> Result<(), String> {
    let failed = |error: io::Error| error.to_string();
    if let HandshakeFault::LateHelo(time) = greeting.fault {
        state.rest(time);
    }
    connection.send(&greeting.helo()).map_err(failed)?;
    let bytes = connection.greeting().map_err(|end| describe(end, state))?;
    let ping = Ping::parse(&bytes).map_err(|bad| {
        report_fault(state, bad.to_string());
        bad.to_string()
    })?;
    if connection.has_more() {
        report_fault(state, "bytes behind the PING before the PONG".to_owned());
    }
    let (pong, yes) = greeting.pong(&ping);
    state.log().pings.push(ping);
    state.notify();
    match &greeting.fault {
        HandshakeFault::CloseForPong => return Err("closed in place of the PONG".to_owned()),
        HandshakeFault::NoPong => {
            state.wait_for_stop();
            return Err("no PONG".to_owned());
        }
        HandshakeFault::SlowPong => send_slowly(connection, &pong, state).map_err(failed)?,
        HandshakeFault::Pong(bytes) => connection.send(bytes).map_err(failed)?,
        _ => connection.send(&pong).map_err(failed)?,
    }
    if yes { Ok(()) } else { Err("refused".to_owned()) }
}

/// Checks a request and keeps its events. Returns the reply, and the id to acknowledge.
fn accept_request(bytes: Vec<u8>, connection: usize, state: &State) -> Result<(Reply, Option<Vec<u8>>), String> {
    let frame = Frame::parse(&bytes).map_err(|bad| bad.to_string())?;
    let events = events(&frame).map_err(|bad| bad.to_string())?;
    let script = state.script();
    let poisoned = script.poison.is_some_and(|marker| {
        decompressed(&frame).is_ok_and(|bytes| bytes.windows(marker.len()).any(|window| window == marker))
    });
    let found = faults(&frame, &events);
    let chunk = frame.chunk.map(<[u8]>::to_vec);
    let mut request = Request {
        number: 0,
        connection,
        tag: String::from_utf8_lossy(frame.tag).into_owned(),
        chunk: chunk.clone(),
        mode: frame.mode(),
        events: events.len(),
        at: Instant::now(),
        bytes: Vec::new(),
    };
    request.bytes = bytes;
    let mut log = state.log();
    request.number = log.requests.len();
    let reply = if poisoned { Reply::Refuse } else { (script.replies)(&request) };
    log.requests.push(request);
    log.faults.extend(found);
    if reply.takes() {
        log.events.extend(events);
    }
    drop(log);
    state.notify();
    Ok((reply, chunk))
}

/// Sends the reply. Returns true if the connection stays open. A client that wants no ack gets none.
fn send_reply(
    connection: &mut Connection<'_>,
    reply: &Reply,
    chunk: &Option<Vec<u8>>,
    held: &mut Vec<u8>,
    state: &State,
) -> io::Result<bool> {
    let ours = chunk.as_deref().map_or_else(Vec::new, ack);
    let mut bytes = std::mem::take(held);
    match reply {
        Reply::Ack => bytes.extend(ours),
        Reply::Late(time) => {
            if state.rest(*time) {
                return Ok(false);
            }
            bytes.extend(ours);
        }
        Reply::AckOfBytes => bytes.extend(chunk.as_deref().map_or_else(Vec::new, ack_of_bytes)),
        Reply::Split => {
            bytes.extend(ours);
            send_slowly(connection, &bytes, state)?;
            return Ok(true);
        }
        Reply::Hold => {
            bytes.extend(ours);
            *held = bytes;
            return Ok(true);
        }
        Reply::Twice => bytes.extend([ours.as_slice(), &ours].concat()),
        Reply::Silence => {}
        Reply::WrongId => bytes.extend(ack(b"AAAAAAAAAAAAAAAAAAAAAA==")),
        Reply::Bytes(other) => bytes.extend_from_slice(other),
        Reply::Lose | Reply::Refuse => return Ok(false),
        Reply::Nack | Reply::NackOnly => bytes.push(0x80),
    }
    if !bytes.is_empty() {
        connection.send(&bytes)?;
    }
    Ok(*reply != Reply::Nack)
}

fn send_slowly(connection: &mut Connection<'_>, bytes: &[u8], state: &State) -> io::Result<()> {
    for byte in bytes {
        connection.send(&[*byte])?;
        state.rest(BYTE_PAUSE);
    }
    Ok(())
}
