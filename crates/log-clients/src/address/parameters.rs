//! The parameters of addresses: `?name=value&name`, with percent-encoded values.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::PathBuf;
use std::str::FromStr;

use super::error::AddressError;
use super::{Address, DEFAULT_WEIGHT, Protocol, Transport};
use crate::named_enum::UnknownName;

/// A parameter. One declaration parses it, writes it and says where it has an effect.
struct Parameter {
    name: &'static str,
    scope: Scope,
    /// Sets the value. The error is the reason that the value is invalid.
    set: fn(&mut Address, Value) -> Result<(), String>,
    /// Returns the value, unless it is the default. An empty value stands for the name alone.
    get: fn(&Address) -> Option<OsString>,
}

/// The value of a parameter, decoded; `None` if the name stands alone.
type Value = Option<OsString>;

/// The servers at which a parameter has an effect.
#[derive(Clone, Copy)]
enum Scope {
    All,
    Tls,
    Forward,
    SyslogStream,
}

/// Returns the parameter for a field of the options of one server.
macro_rules! option {
    ($name:literal, $scope:ident, $field:ident, $parse:expr, $show:expr) => {
        Parameter {
            name: $name,
            scope: Scope::$scope,
            set: |to, value| $parse(value).map(|parsed| to.options.$field = Some(parsed)),
            get: |of| of.options.$field.clone().map($show),
        }
    };
}

/// All parameters, in the order of the canonical form.
const PARAMETERS: [Parameter; 13] = [
    Parameter {
        name: "weight",
        scope: Scope::All,
        set: |to, value| weight(value).map(|weight| to.weight = weight),
        get: |of| (of.weight != DEFAULT_WEIGHT).then(|| of.weight.to_string().into()),
    },
    Parameter {
        name: "standby",
        scope: Scope::All,
        set: |to, value| flag(value).map(|flag| to.standby = flag),
        get: |of| of.standby.then(OsString::new),
    },
    Parameter {
        name: "server-name",
        scope: Scope::Tls,
        set: |to, value| {
            let name = text(value)?;
            if let Transport::Tls { server_name, .. } = &mut to.transport {
                *server_name = Some(name);
            }
            Ok(())
        },
        get: |of| match &of.transport {
            Transport::Tls { server_name, .. } => server_name.clone().map(OsString::from),
            _ => None,
        },
    },
    option!("ca", Tls, ca, path, OsString::from),
    option!("cert", Tls, cert, path, OsString::from),
    option!("key", Tls, key, path, OsString::from),
    option!("insecure", Tls, insecure, flag, flag_text),
    option!("mode", Forward, mode, word, |word| word.name().into()),
    option!("time-as-integer", Forward, time_as_integer, flag, flag_text),
    option!("user", Forward, user, text, OsString::from),
    option!("shared-key-file", Forward, shared_key_file, path, OsString::from),
    option!("password-file", Forward, password_file, path, OsString::from),
    option!("framing", SyslogStream, framing, word, |word| word.name().into()),
];

impl Scope {
    fn includes(self, address: &Address) -> bool {
        let forward = address.protocol == Protocol::Forward;
        match self {
            Scope::All => true,
            Scope::Tls => matches!(address.transport, Transport::Tls { .. }),
            Scope::Forward => forward,
            Scope::SyslogStream => !forward && !matches!(address.transport, Transport::Udp { .. }),
        }
    }

    fn description(self) -> &'static str {
        match self {
            Scope::All => "it is for all servers",
            Scope::Tls => "it is for servers with TLS, forward+tls:// and syslog+tls://",
            Scope::Forward => "it is for servers of the forward protocol",
            Scope::SyslogStream => "it is for syslog+tcp:// and syslog+tls://",
        }
    }
}

/// Returns whether a parameter has this name.
pub(super) fn exists(name: &str) -> bool {
    PARAMETERS.iter().any(|parameter| parameter.name == name)
}

/// Sets the parameters of an address. `base` is the text before the parameters, for messages.
pub(super) fn parse(query: &str, base: &str, address: &mut Address) -> Result<(), AddressError> {
    let mut seen = Vec::new();
    for text in query.split('&') {
        let (name, value) = text.split_once('=').map_or((text, None), |(name, value)| (name, Some(value)));
        let Some(parameter) = PARAMETERS.iter().find(|parameter| parameter.name == name) else {
            let advice = advice(name, address);
            return Err(AddressError::Parameter { parameter: name.to_owned(), address: base.to_owned(), advice });
        };
        let Parameter { name: parameter, scope, set, .. } = parameter;
        if !scope.includes(address) {
            let reason = scope.description();
            return Err(AddressError::NoEffect { parameter, address: base.to_owned(), reason });
        }
        if seen.contains(parameter) {
            return Err(AddressError::Repeated { parameter, address: base.to_owned() });
        }
        seen.push(parameter);
        decode_value(value).and_then(|value| set(address, value)).map_err(|reason| AddressError::Value {
            parameter,
            address: base.to_owned(),
            reason,
        })?;
    }
    if address.options.insecure == Some(true) && address.options.ca.is_some() {
        let reason = "`insecure` trusts every certificate";
        return Err(AddressError::NoEffect { parameter: "ca", address: base.to_owned(), reason });
    }
    Ok(())
}

/// Returns the parameters of an address in canonical form, without those that have their default.
pub(super) fn shown(address: &Address) -> String {
    let set = PARAMETERS.iter().filter_map(|parameter| {
        let value = (parameter.get)(address)?;
        let equals = if value.is_empty() { "" } else { "=" };
        Some(format!("{}{equals}{}", parameter.name, percent_encode(&value)))
    });
    set.collect::<Vec<_>>().join("&")
}

/// Returns the parameter that an unknown one may be meant for, or all that have an effect at this server.
fn advice(name: &str, address: &Address) -> String {
    let named = |parameter: &&Parameter| {
        // Settings of all servers often have the name of the parameter with a prefix.
        let written = name.replace('_', "-").to_ascii_lowercase();
        is_close(&written, parameter.name) || written.rsplit_once('-').is_some_and(|(_, end)| end == parameter.name)
    };
    let mut effective = PARAMETERS.iter().filter(|parameter| parameter.scope.includes(address));
    match effective.clone().find(named) {
        Some(meant) => format!("did you mean `{}`?", meant.name),
        None => {
            let last = effective.next_back().map_or("", |parameter| parameter.name);
            let others: Vec<&str> = effective.map(|parameter| parameter.name).collect();
            format!("there are {} and {last}", others.join(", "))
        }
    }
}

/// Returns whether a text is a misspelling of a name: one edit in three letters.
pub(super) fn is_close(text: &str, name: &str) -> bool {
    edit_distance(text, name) <= name.len() / 3
}

/// Returns the number of letters to insert, to remove or to replace.
fn edit_distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (index, letter) in one.bytes().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], index + 1);
        for (column, against) in other.bytes().enumerate() {
            let replaced = diagonal + usize::from(letter != against);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row.last().copied().unwrap_or_default()
}

fn decode_value(value: Option<&str>) -> Result<Value, String> {
    match value {
        None => Ok(None),
        Some("") => Err("its value is empty".to_owned()),
        Some(text) => match percent_decode(text) {
            Some(bytes) if bytes.contains(&0) => Err("its value has a NUL byte".to_owned()),
            Some(bytes) => Ok(Some(OsString::from_vec(bytes))),
            None => Err("a `%` in its value needs two hexadecimal digits; write `%25` for the sign itself".to_owned()),
        },
    }
}

/// Decodes `%` and two hexadecimal digits to a byte. Returns `None` if the digits are missing.
pub(super) fn percent_decode(text: &str) -> Option<Vec<u8>> {
    let mut pieces = text.split('%');
    let mut bytes = pieces.next()?.as_bytes().to_vec();
    for piece in pieces {
        let (digits, rest) = piece.split_at_checked(2)?;
        bytes.push(u8::from_str_radix(digits, 16).ok().filter(|_| !digits.contains('+'))?);
        bytes.extend_from_slice(rest.as_bytes());
    }
    Some(bytes)
}

/// Encodes all bytes but letters, digits and some signs. Commas are encoded, so that a list of addresses can be split.
fn percent_encode(value: &OsStr) -> String {
    let encode = |text: String, byte: &u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' | b':' | b'@' => {
            text + char::from(*byte).encode_utf8(&mut [0; 4])
        }
        byte => text + &format!("%{byte:02X}"),
    };
    value.as_bytes().iter().fold(String::new(), encode)
}

fn given(value: Value, expected: &str) -> Result<OsString, String> {
    value.ok_or_else(|| format!("it has no value; write {expected}"))
}

fn path(value: Value) -> Result<PathBuf, String> {
    given(value, "the path of a file").map(PathBuf::from)
}

fn text(value: Value) -> Result<String, String> {
    given(value, "a name")?.into_string().map_err(|_| "its value is not UTF-8".to_owned())
}

fn word<T: FromStr<Err = UnknownName>>(value: Value) -> Result<T, String> {
    let value = value.unwrap_or_default();
    value.to_string_lossy().parse().map_err(|error: UnknownName| error.to_string())
}

fn flag(value: Value) -> Result<bool, String> {
    match value.as_deref().map(OsStr::as_bytes) {
        None | Some(b"true") => Ok(true),
        Some(b"false") => Ok(false),
        Some(other) => Err(format!("\"{}\" is neither true nor false", other.escape_ascii())),
    }
}

fn flag_text(flag: bool) -> OsString {
    if flag { OsString::new() } else { "false".into() }
}

fn weight(value: Value) -> Result<u32, String> {
    let value = given(value, "a number")?;
    let number = value.to_str().and_then(|text| text.parse().ok()).filter(|weight| *weight > 0);
    number.ok_or_else(|| format!("\"{}\" is no number from 1 to {}", value.as_bytes().escape_ascii(), u32::MAX))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;

    use crate::{Address, AddressError, ForwardMode, Framing, ServerOptions, Transport};

    fn parsed(text: &str) -> Address {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn parameters_set_their_option_alone() {
        let none = ServerOptions::default;
        let path = |path: &str| Some(path.into());
        for (text, options) in [
            ("forward+tls://a?ca=/ca", ServerOptions { ca: path("/ca"), ..none() }),
            ("syslog+tls://a?cert=c", ServerOptions { cert: path("c"), ..none() }),
            ("syslog+tls://a?key=k", ServerOptions { key: path("k"), ..none() }),
            ("forward+tls://a?insecure", ServerOptions { insecure: Some(true), ..none() }),
            ("forward+tls://a?insecure=true", ServerOptions { insecure: Some(true), ..none() }),
            ("forward+tls://a?insecure=false", ServerOptions { insecure: Some(false), ..none() }),
            ("forward://a?mode=zstd", ServerOptions { mode: Some(ForwardMode::Zstd), ..none() }),
            ("unix:/a?mode=packed", ServerOptions { mode: Some(ForwardMode::Packed), ..none() }),
            ("forward://a?time-as-integer", ServerOptions { time_as_integer: Some(true), ..none() }),
            ("forward://a?user=kata%20%C3%A9", ServerOptions { user: Some("kata é".to_owned()), ..none() }),
            ("forward://a?shared-key-file=k", ServerOptions { shared_key_file: path("k"), ..none() }),
            ("forward://a?password-file=p", ServerOptions { password_file: path("p"), ..none() }),
            ("syslog+tcp://a?framing=lf", ServerOptions { framing: Some(Framing::Lf), ..none() }),
            ("forward+tls://a?weight=2&server-name=b&standby", none()),
        ] {
            assert_eq!(parsed(text).options, options, "{text}");
        }
    }

    #[test]
    fn values_are_percent_decoded() {
        let address = parsed("forward+tls://a?ca=/my%20ca%26%2c%25%ff=.pem&server-name=b%2Ec");
        let ca = <std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(b"/my ca&,%\xff=.pem");
        assert_eq!(address.options.ca.as_deref(), Some(Path::new(ca)));
        assert!(matches!(&address.transport, Transport::Tls { server_name: Some(name), .. } if name == "b.c"));
        let canonical = "forward+tls://a:24224?server-name=b.c&ca=/my%20ca%26%2C%25%FF%3D.pem";
        assert_eq!(address.to_string(), canonical);
        assert_eq!(parsed(canonical), address);
    }

    #[test]
    fn errors_name_the_parameter() {
        for (text, part) in [
            (
                "forward://a?weight=0",
                "the parameter `weight` of \"forward://a\" cannot be used: \"0\" is no number from 1",
            ),
            ("forward://a?weight", "`weight` of \"forward://a\" cannot be used: it has no value; write a number"),
            ("forward://a?standby=yes", "\"yes\" is neither true nor false"),
            ("forward://a?standby=", "`standby` of \"forward://a\" cannot be used: its value is empty"),
            ("forward+tls://a?server-name=", "`server-name` of \"forward+tls://a\" cannot be used: its value is empty"),
            (
                "forward+tls://a?ca",
                "`ca` of \"forward+tls://a\" cannot be used: it has no value; write the path of a file",
            ),
            ("forward+tls://a?ca=%", "a `%` in its value needs two hexadecimal digits"),
            ("forward+tls://a?ca=%0", "two hexadecimal digits"),
            ("forward+tls://a?ca=%+f", "two hexadecimal digits"),
            ("forward+tls://a?ca=%0é", "two hexadecimal digits"),
            ("forward+tls://a?ca=a%00", "NUL"),
            ("forward://a?user=%ff", "not UTF-8"),
            (
                "forward://a?mode=msgpack",
                "\"msgpack\" is no such value: expected one of packed, forward, message, gzip, zstd",
            ),
            ("forward://a?mode", "expected one of packed"),
            ("syslog+tcp://a?framing=crlf", "expected one of octet, lf"),
            ("forward://a?mode=gzip&mode=gzip", "\"forward://a\" has the parameter `mode` twice"),
            ("forward://a?standby&standby=false", "`standby` twice"),
        ] {
            let error = text.parse::<Address>().unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn parameters_without_an_effect_are_refused() {
        for (text, parameter, reason) in [
            ("forward://a?ca=/ca", "ca", "forward+tls:// and syslog+tls://"),
            ("syslog+tcp://a?cert=/c", "cert", "TLS"),
            ("unix:/a?key=/k", "key", "TLS"),
            ("syslog+udp://a?insecure", "insecure", "TLS"),
            ("syslog+udp://a?server-name=b", "server-name", "TLS"),
            ("syslog+tls://a?mode=gzip", "mode", "forward protocol"),
            ("syslog+tls://a?user=kata", "user", "forward protocol"),
            ("syslog+tls://a?password-file=p", "password-file", "forward protocol"),
            ("syslog+udp://a?framing=lf", "framing", "syslog+tcp:// and syslog+tls://"),
            ("forward://a?framing=lf", "framing", "syslog+tcp:// and syslog+tls://"),
            ("forward+tls://a?ca=/ca&insecure", "ca", "`insecure` trusts every certificate"),
        ] {
            let error = text.parse::<Address>().unwrap_err();
            assert!(
                matches!(&error, AddressError::NoEffect { parameter: named, .. } if *named == parameter),
                "{error}"
            );
            assert!(error.to_string().contains(reason), "{error}");
        }
    }

    #[test]
    fn unknown_parameters_get_advice() {
        for (text, advice) in [
            ("forward+tls://a?tls-ca=/ca", "unknown parameter \"tls-ca\" of \"forward+tls://a\"; did you mean `ca`?"),
            ("forward+tls://a?inscure", "did you mean `insecure`?"),
            ("forward://a?mod=gzip", "did you mean `mode`?"),
            ("forward://a?forward_mode=gzip", "did you mean `mode`?"),
            ("forward://a?Standby", "did you mean `standby`?"),
            ("forward://a?shared_key_file=/k", "did you mean `shared-key-file`?"),
            ("syslog+tcp://a?mod=gzip", "there are weight, standby and framing"),
            ("syslog+udp://a?color=red", "there are weight and standby"),
            ("forward://a?", "unknown parameter \"\""),
            ("forward://a?standby&", "unknown parameter \"\""),
            ("forward://a?a%0a\n=1", "unknown parameter \"a%0a\\n\""),
        ] {
            let error = text.parse::<Address>().unwrap_err().to_string();
            assert!(error.contains(advice), "{text}: {error}");
        }
        let error = "forward://a?color=purple".parse::<Address>().unwrap_err().to_string();
        assert!(!error.contains("purple"), "{error}");
    }

    proptest! {
        #[test]
        fn a_canonical_form_parses_to_the_address(
            path in "[^\u{0}]{1,12}", user in "\\PC{1,12}", weight in 1_u32.., standby: bool, insecure: Option<bool>
        ) {
            let mut address = parsed("forward+tls://[::1]");
            (address.weight, address.standby) = (weight, standby);
            address.options.cert = Some(path.into());
            address.options.insecure = insecure;
            address.options.user = Some(user);
            let shown = address.to_string();
            prop_assert!(!shown.contains([',', ' ', '\n']));
            prop_assert_eq!(parsed(&shown), address);
        }
    }
}
