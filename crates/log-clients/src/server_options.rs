//! Settings that an address can have for its server alone.

use std::path::PathBuf;

use crate::named_enum::named_enum;

/// Settings of one server, from the parameters of its address. A value of `None` leaves the setting of all servers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerOptions {
    /// A PEM file of trusted authorities. It also turns off an `insecure` of all servers.
    pub ca: Option<PathBuf>,
    /// A PEM file with the certificate of this client, followed by intermediate certificates.
    pub cert: Option<PathBuf>,
    /// A PEM file with the key of the client certificate.
    pub key: Option<PathBuf>,
    /// True to trust every certificate.
    pub insecure: Option<bool>,
    /// The form of requests of the forward protocol.
    pub mode: Option<ForwardMode>,
    /// True to send times as whole seconds by the forward protocol.
    pub time_as_integer: Option<bool>,
    /// The user name for the forward protocol.
    pub user: Option<String>,
    /// A file with the key that client and server share. A line end after the key is not part of it.
    pub shared_key_file: Option<PathBuf>,
    /// A file with the password of the user. A line end after the password is not part of it.
    pub password_file: Option<PathBuf>,
    /// The framing of syslog messages on TCP and TLS.
    pub framing: Option<Framing>,
}

/// The form of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ForwardMode {
    /// All entries in one binary value (`PackedForward`). Every receiver accepts it.
    #[default]
    Packed,
    /// All entries as an array (`Forward`).
    Forward,
    /// Each entry as its own request (`Message`).
    Message,
    /// `Packed`, compressed with gzip (`CompressedPackedForward`).
    Gzip,
    /// `Packed`, compressed with zstd. Receivers without zstd acknowledge the chunk and drop its entries.
    Zstd,
}

named_enum!(ForwardMode {
    Packed = "packed": "The entries in one piece; every receiver takes it",
    Forward = "forward": "The entries as an array",
    Message = "message": "Each entry by itself",
    Gzip = "gzip": "Packed, compressed with gzip",
    Zstd = "zstd": "Packed, compressed with zstd; receivers that do not know it acknowledge it and keep nothing",
});

/// The framing of messages on a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Framing {
    /// The length before each message (octet counting).
    #[default]
    Octet,
    /// A line end after each message. The message must not contain a line end.
    Lf,
}

named_enum!(Framing {
    Octet = "octet": "Each after its length",
    Lf = "lf": "A line each; line ends inside are written as \\n",
});
