//! The handshake: both sides prove that they know the shared key, and the client authenticates its user.

use std::fmt::Write as _;
use std::time::Duration;

use sha2::{Digest as _, Sha512};

use super::connection::ForwardConnection;
use super::reply::Value;
use super::settings::{ForwardClientSettings, Secret};
use crate::chunk::string;
use crate::error::{Cause, NetError};
use crate::net::connection::Deadline;
use crate::shutdown::Shutdown;

/// The longest host name and user. Servers read PING at once, into a buffer of one kilobyte.
const MAX_NAME: usize = 255;

/// The identity of this client for servers with a shared key.
#[derive(Debug)]
pub(super) struct ClientIdentity {
    hostname: String,
    key: Secret,
    user: Option<(String, Secret)>,
}

impl ClientIdentity {
    /// Creates the identity from the settings; `None` without a shared key.
    pub(super) fn new(settings: &ForwardClientSettings) -> Result<Option<ClientIdentity>, NetError> {
        let user = match (&settings.user, &settings.password) {
            (Some(user), Some(password)) => Some((user.clone(), password.clone())),
            (None, None) => None,
            (Some(_), None) => {
                return Err(NetError::Settings(
                    "the user has no password; write `password-file=FILE` in the address, or set the password for all \
                     servers",
                ));
            }
            (None, Some(_)) => {
                return Err(NetError::Settings(
                    "the password has no user; write `user=NAME` in the address, or set the user for all servers",
                ));
            }
        };
        let Some(key) = &settings.shared_key else {
            if user.is_some() {
                return Err(NetError::Settings(
                    "the user has no shared key; write `shared-key-file=FILE` in the address, or set the key for all \
                     servers; it is the key of the server, and may be empty",
                ));
            }
            return Ok(None);
        };
        let hostname = settings.hostname.clone().unwrap_or_else(|| {
            let system = rustix::system::uname();
            String::from_utf8_lossy(system.nodename().to_bytes()).into_owned()
        });
        let longest = user.as_ref().map_or(0, |(user, _)| user.len()).max(hostname.len());
        if longest > MAX_NAME {
            return Err(NetError::Settings("the host name or the user has more than 255 bytes"));
        }
        Ok(Some(ClientIdentity { hostname, key: key.clone(), user }))
    }
}

/// Generates a random salt. It is printable, because some servers treat it as text.
pub(super) fn salt() -> Result<String, Cause> {
    let mut random = [0; 16];
    let filled = rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty());
    match filled {
        Ok(count) if count == random.len() => Ok(hex(&random)),
        Ok(_) => Err(Cause::Broken(std::io::Error::other("the system has no randomness"))),
        Err(error) => Err(Cause::Broken(error.into())),
    }
}

/// Performs the handshake on a new connection. Nothing may be sent before it.
pub(super) fn perform(
    connection: &mut ForwardConnection,
    identity: &ClientIdentity,
    salt: &str,
    time: Duration,
    shutdown: &dyn Shutdown,
) -> Result<(), Cause> {
    let deadline = Deadline::new(time, shutdown);
    let Some((helo, raw)) = connection.next_reply(&deadline)? else { return Err(Cause::NoHelo(time)) };
    let Some(Value::Map(_)) = helo.message("HELO").and_then(<[_]>::first) else { return Err(Cause::Garbage(raw)) };
    let helo = Helo::new(&helo);
    connection.send(&ping(identity, &helo, salt), time, shutdown).map_err(closed_in_handshake)?;
    let Some((pong, raw)) = connection.next_reply(&deadline).map_err(closed_in_handshake)? else {
        return Err(Cause::HandshakeTimeout(time));
    };
    let Some([Value::Bool(accepted), reason, hostname, digest, ..]) = pong.message("PONG") else {
        return Err(Cause::Garbage(raw));
    };
    let [reason, hostname, digest] = [reason, hostname, digest].map(|value| value.bytes().unwrap_or_default());
    if !accepted {
        return Err(Cause::Denied(reason.to_vec()));
    }
    if hostname == identity.hostname.as_bytes() {
        return Err(Cause::SameHostname(identity.hostname.clone()));
    }
    if !constant_time_eq(
        digest,
        hex_digest(&[salt.as_bytes(), hostname, &helo.nonce, identity.key.reveal()]).as_bytes(),
    ) {
        return Err(Cause::WrongDigest);
    }
    connection.keepalive = helo.keepalive;
    Ok(())
}

/// The challenge of a server.
struct Helo {
    nonce: Vec<u8>,
    /// The salt for the password. Fluentd and Fluent Bit send one even if they require no user.
    auth: Vec<u8>,
    keepalive: bool,
}

impl Helo {
    fn new(message: &Value) -> Helo {
        let options = message.message("HELO").and_then(<[_]>::first);
        let bytes = |key| options?.get(key)?.bytes().map(<[u8]>::to_vec);
        let keepalive = !matches!(options.and_then(|map| map.get("keepalive")), Some(Value::Bool(false)));
        Helo { nonce: bytes("nonce").unwrap_or_default(), auth: bytes("auth").unwrap_or_default(), keepalive }
    }
}

/// Encodes the answer to HELO. Servers expect every element as `str`.
///
/// A salt does not prove that the server requires a user, so a client without one answers with an empty user and
/// password. A server with users refuses that answer.
fn ping(identity: &ClientIdentity, helo: &Helo, salt: &str) -> Vec<u8> {
    let hostname = identity.hostname.as_bytes();
    let digest = hex_digest(&[salt.as_bytes(), hostname, &helo.nonce, identity.key.reveal()]);
    let (user, password) = if helo.auth.is_empty() {
        ("", String::new())
    } else {
        let user = identity.user.as_ref();
        let (user, password) = user.map_or(("", &[][..]), |(user, password)| (user.as_str(), password.reveal()));
        (user, hex_digest(&[&helo.auth, user.as_bytes(), password]))
    };
    let mut message = vec![0x96];
    for element in [b"PING", hostname, salt.as_bytes(), digest.as_bytes(), user.as_bytes(), password.as_bytes()] {
        string(element, &mut message);
    }
    message
}

/// Maps a closed connection to a failed handshake. Some servers close without a reply if the key is wrong.
fn closed_in_handshake(cause: Cause) -> Cause {
    if matches!(cause, Cause::Closed | Cause::Broken(_)) { Cause::ClosedInHandshake } else { cause }
}

fn hex_digest(parts: &[&[u8]]) -> String {
    let mut hash = Sha512::new();
    parts.iter().for_each(|part| hash.update(part));
    hex(&hash.finalize())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Compares in constant time, so that timing reveals nothing about the digest.
fn constant_time_eq(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len() && one.iter().zip(other).fold(0, |sum, (a, b)| sum | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::super::reply::take;
    use super::super::tests::{HELO, HELO_NO_AUTH, HELO_STR, SALT, hex as bytes};
    use super::*;

    const KEY_DIGEST: &str = "c65d8fc091762659a07f064520b96229988fa77a6080c267d5b1927b5f750280f45e0c\
                              ed2c62f7b94bd5b99ef9\
                              8bb729a73ba3f8f3937596e2b56482e46b2c26";
    const PASSWORD_DIGEST: &str = "30b20463f8b9c7cc1cc569069869d8410472c98cd64c39d89e5f6c182062b6321\
                                   2b4cf96669f006573f78a\
                                   95722a9c7e3314a7209ac830bd4c8e6fc9660dcb47";

    fn identity() -> ClientIdentity {
        let settings = ForwardClientSettings {
            hostname: Some("client.example".to_owned()),
            shared_key: Some(Secret::new("secret")),
            user: Some("kata".to_owned()),
            password: Some(Secret::new("s3cret")),
            ..ForwardClientSettings::default()
        };
        ClientIdentity::new(&settings).unwrap().unwrap()
    }

    fn helo(wire: &str) -> Helo {
        Helo::new(&take(&mut bytes(wire)).unwrap())
    }

    #[test]
    fn both_forms_of_helo_get_one_answer() {
        for wire in [HELO, HELO_STR] {
            let ping = ping(&identity(), &helo(wire), SALT);
            assert_eq!(ping.len(), 320);
            let mut expected = b"\x96\xa4PING\xaeclient.example\xd9\x20".to_vec();
            expected.extend_from_slice(SALT.as_bytes());
            expected.extend_from_slice(format!("\u{0}{KEY_DIGEST}").as_bytes());
            expected.splice(expected.len() - 129..expected.len() - 128, [0xd9, 0x80]);
            expected.extend_from_slice(b"\xa4kata\xd9\x80");
            expected.extend_from_slice(PASSWORD_DIGEST.as_bytes());
            assert_eq!(ping, expected);
            let whole = hex(&sha2::Sha256::digest(&ping));
            assert_eq!(whole, "cd0f7cd1ba7b01fe7f241a72cfbbc934d736c2609fe8371fd4d0c248b4d68619");
        }
    }

    #[test]
    fn the_user_is_sent_only_on_request() {
        let ping = ping(&identity(), &helo(HELO_NO_AUTH), SALT);
        assert_eq!(ping.len(), 187);
        assert!(ping.ends_with(b"\xa0\xa0"));
    }

    #[test]
    fn helo_announces_keepalive() {
        assert!(helo(HELO).keepalive && helo(HELO_STR).keepalive);
        let denied = HELO.strip_suffix("c3").unwrap().to_owned() + "c2";
        assert!(!helo(&denied).keepalive);
        assert_eq!(helo(HELO).nonce, helo(HELO_STR).nonce);
    }

    #[test]
    fn contradictory_settings_are_refused() {
        let refused = |settings: ForwardClientSettings| ClientIdentity::new(&settings).unwrap_err().to_string();
        let (user, password) = (Some("u".to_owned()), Some(Secret::new("p")));
        let shared_key = Some(Secret::new(""));
        let none = ForwardClientSettings::default;
        assert!(ClientIdentity::new(&none()).unwrap().is_none());
        assert!(
            refused(ForwardClientSettings { user: user.clone(), ..none() })
                .contains("the user has no password; write `password-file=FILE`")
        );
        assert!(
            refused(ForwardClientSettings { password: password.clone(), ..none() })
                .contains("the password has no user; write `user=NAME`")
        );
        assert!(
            refused(ForwardClientSettings { user, password, ..none() })
                .contains("the user has no shared key; write `shared-key-file=FILE`")
        );
        let long = ForwardClientSettings { shared_key: shared_key.clone(), hostname: Some("h".repeat(256)), ..none() };
        assert!(refused(long).contains("255"));
        let identity = ClientIdentity::new(&ForwardClientSettings { shared_key, ..none() }).unwrap().unwrap();
        assert!(!identity.hostname.is_empty() && identity.key.reveal().is_empty());
    }

    #[test]
    fn salts_are_printable_and_new() {
        let (one, other) = (salt().unwrap(), salt().unwrap());
        assert!(one.len() == 32 && one != other && one.bytes().all(|letter| letter.is_ascii_hexdigit()));
    }
}
