//! The server's side of the handshake, correct or not.

use std::time::Duration;

use rmpv::Value;
use sha2::{Digest, Sha512};

use super::wire::{WireError, binary, text};

/// The form of nonce and salt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Bytes, as Fluentd sends.
    Bytes,
    /// A string that is not UTF-8, as Fluent Bit sends.
    Text,
}

/// A deviation of the server from the protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum HandshakeFault {
    /// No deviation.
    None,
    /// The PONG accepts, and its digest is of another key.
    Lie,
    /// The PONG refuses, with this reason and without name and digest.
    Refuse(&'static str),
    /// The connection closes instead of the PONG, as Fluent Bit does if the key is wrong.
    CloseForPong,
    /// The PONG never comes.
    NoPong,
    /// The PONG comes byte by byte.
    SlowPong,
    /// These bytes come instead of the PONG.
    Pong(Vec<u8>),
    /// These bytes come instead of the HELO.
    Helo(Vec<u8>),
    /// The HELO has a nonce of this many bytes.
    HugeHelo(usize),
    /// The HELO comes this late.
    LateHelo(Duration),
}

/// The server's requirements before it accepts events.
#[derive(Clone, Debug)]
pub(crate) struct Greeting {
    pub(crate) key: String,
    pub(crate) hostname: String,
    /// Names and passwords. If empty, no user is required.
    pub(crate) users: Vec<(String, String)>,
    pub(crate) nonce: Vec<u8>,
    /// The salt of passwords. Fluentd and Fluent Bit send it even if no user is required.
    pub(crate) auth: Vec<u8>,
    pub(crate) form: Form,
    /// The keepalive option of the HELO. If false, the connection closes with the first ack.
    pub(crate) keepalive: Option<bool>,
    pub(crate) fault: HandshakeFault,
}

impl Greeting {
    /// Requires this key and no user, as Fluentd does.
    pub(crate) fn with_key(key: &str) -> Greeting {
        Greeting {
            key: key.to_owned(),
            hostname: "server.example".to_owned(),
            users: Vec::new(),
            nonce: (0x00..0x10).collect(),
            auth: (0x10..0x20).collect(),
            form: Form::Bytes,
            keepalive: Some(true),
            fault: HandshakeFault::None,
        }
    }

    /// Requires a user as well.
    pub(crate) fn with_user(mut self, name: &str, password: &str) -> Greeting {
        self.users.push((name.to_owned(), password.to_owned()));
        self
    }

    /// Sends no salt for passwords, as some servers without users do.
    pub(crate) fn without_salt(mut self) -> Greeting {
        self.auth.clear();
        self
    }

    pub(crate) fn with_fault(mut self, fault: HandshakeFault) -> Greeting {
        self.fault = fault;
        self
    }

    /// Returns the first bytes of the connection.
    pub(crate) fn helo(&self) -> Vec<u8> {
        let string = match self.form {
            Form::Bytes => binary,
            Form::Text => text,
        };
        let nonce = match self.fault {
            HandshakeFault::Helo(ref bytes) => return bytes.clone(),
            HandshakeFault::HugeHelo(size) => vec![b'n'; size],
            _ => self.nonce.clone(),
        };
        let mut bytes = vec![0x92];
        text(b"HELO", &mut bytes);
        bytes.push(0x82 + u8::from(self.keepalive.is_some()));
        text(b"nonce", &mut bytes);
        string(&nonce, &mut bytes);
        text(b"auth", &mut bytes);
        if self.auth.is_empty() {
            text(b"", &mut bytes);
        } else {
            string(&self.auth, &mut bytes);
        }
        if let Some(keepalive) = self.keepalive {
            text(b"keepalive", &mut bytes);
            bytes.push(0xc2 + u8::from(keepalive));
        }
        bytes
    }

    /// Returns the answer to a PING, and true if it accepts.
    pub(crate) fn pong(&self, ping: &Ping) -> (Vec<u8>, bool) {
        let expected = digest(&[&ping.salt, ping.hostname.as_bytes(), &self.nonce, self.key.as_bytes()]);
        let known = |(name, password): &(String, String)| {
            *name == ping.username && digest(&[&self.auth, name.as_bytes(), password.as_bytes()]) == ping.password
        };
        let reason = match &self.fault {
            HandshakeFault::Refuse(reason) => reason,
            _ if ping.digest != expected => "shared_key mismatch",
            _ if !self.users.is_empty() && !self.users.iter().any(known) => "username/password mismatch",
            _ => "",
        };
        let yes = reason.is_empty();
        let key = if self.fault == HandshakeFault::Lie { "another" } else { &self.key };
        let proof = digest(&[&ping.salt, self.hostname.as_bytes(), &self.nonce, key.as_bytes()]);
        let mut bytes = vec![0x95];
        text(b"PONG", &mut bytes);
        bytes.push(0xc2 + u8::from(yes));
        text(reason.as_bytes(), &mut bytes);
        text(if yes { self.hostname.as_bytes() } else { b"" }, &mut bytes);
        text(if yes { proof.as_bytes() } else { b"" }, &mut bytes);
        (bytes, yes)
    }
}

/// The PING of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ping {
    pub(crate) hostname: String,
    pub(crate) salt: Vec<u8>,
    pub(crate) digest: String,
    pub(crate) username: String,
    pub(crate) password: String,
    pub(crate) bytes: Vec<u8>,
}

impl Ping {
    /// Accepts only what the strictest server accepts: six strings, none of bytes, in less than 1 KiB.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Ping, WireError> {
        let bad = |reason: &str| WireError::new(format!("PING: {reason}"));
        let value = rmpv::decode::read_value(&mut &bytes[..]).map_err(|error| bad(&error.to_string()))?;
        let Value::Array(elements) = value else { return Err(bad("no array")) };
        let [word, hostname, salt, digest, username, password] = elements.as_slice() else {
            return Err(bad("not six elements"));
        };
        if bytes.len() >= 1024 {
            return Err(bad("1 KiB or more"));
        }
        let text = |value: &Value| value.as_str().map(str::to_owned).ok_or_else(|| bad("an element is no text"));
        if text(word)? != "PING" {
            return Err(bad("it is none"));
        }
        Ok(Ping {
            hostname: text(hostname)?,
            salt: text(salt)?.into_bytes(),
            digest: text(digest)?,
            username: text(username)?,
            password: text(password)?,
            bytes: bytes.to_vec(),
        })
    }
}

/// Returns the hexadecimal digits of SHA-512 over these parts.
pub(crate) fn digest(parts: &[&[u8]]) -> String {
    let mut hash = Sha512::new();
    for part in parts {
        hash.update(part);
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
