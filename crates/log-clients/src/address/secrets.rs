//! Finds secrets in the text of an address, before a message can repeat them.

use super::error::AddressError;
use super::parameters::{self, is_close, percent_decode};

/// The kind of a secret.
#[derive(Clone, Copy)]
enum Secret {
    User,
    Password,
    Key,
    Other,
}

/// Returns an error if the text holds a secret. `base` is the part before the parameters.
pub(super) fn check(base: &str, query: Option<&str>) -> Result<(), AddressError> {
    if is_network(base) && base.contains('@') {
        return Err(refusal(Secret::User, base));
    }
    for name in query.into_iter().flat_map(|query| query.split('&')) {
        let name = name.split_once('=').map_or(name, |(name, _)| name);
        // The password may have been cut at its question mark.
        if is_network(base) && name.contains('@') {
            return Err(refusal(Secret::User, base));
        }
        if let Some(secret) = parameter_kind(name) {
            return Err(refusal(secret, base));
        }
    }
    Ok(())
}

/// Replaces the error for a host or a port: before an `@`, the text is a user and a password.
pub(super) fn hide_user(error: AddressError, base: &str, query: Option<&str>) -> AddressError {
    match error {
        AddressError::Host(_) | AddressError::Port { .. } if query.is_some_and(|query| query.contains('@')) => {
            refusal(Secret::User, base)
        }
        error => error,
    }
}

/// Returns whether an `@` separates a user from a host, and is not part of a path.
fn is_network(base: &str) -> bool {
    !["unix:", "forward+unix:", "/", "."].iter().any(|path| base.starts_with(path))
}

/// Returns the kind of secret that an unknown parameter stands for.
fn parameter_kind(name: &str) -> Option<Secret> {
    let name = String::from_utf8_lossy(&percent_decode(name).unwrap_or_else(|| name.into())).to_ascii_lowercase();
    if parameters::exists(&name) || name.contains("file") {
        return None;
    }
    let has = |parts: &[&str]| parts.iter().any(|part| name.contains(part));
    if has(&["pass", "pwd"]) || is_close(&name, "password") {
        Some(Secret::Password)
    } else if has(&["key"]) || is_close(&name, "shared-key") {
        Some(Secret::Key)
    } else if has(&["secret", "token", "auth", "cred"]) || is_close(&name, "secret") || is_close(&name, "token") {
        Some(Secret::Other)
    } else {
        None
    }
}

fn refusal(secret: Secret, base: &str) -> AddressError {
    let what = match secret {
        Secret::User => "a user or a password",
        Secret::Password => "a password",
        Secret::Key => "a key",
        Secret::Other => "a secret or a token",
    };
    let instead = match secret {
        _ if base.starts_with("syslog") => {
            "syslog has none; with syslog+tls://, name the files of a client certificate and its key: \
             `cert=FILE&key=FILE`"
        }
        Secret::User => "write `user=NAME&password-file=FILE` behind a `?`",
        Secret::Password => "write it into a file, and name the file: `password-file=FILE`",
        Secret::Key => "write it into a file, and name the file: `shared-key-file=FILE`",
        Secret::Other => {
            "servers take passwords and shared keys, from files: `password-file=FILE`, `shared-key-file=FILE`"
        }
    };
    AddressError::Secret { what, instead }
}

#[cfg(test)]
mod tests {
    use crate::{Address, AddressError};

    fn refused(text: &str) -> String {
        let error = text.parse::<Address>().unwrap_err();
        assert!(matches!(error, AddressError::Secret { .. }), "{text}: {error}");
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("s3c") && !shown.contains("example"), "{shown}");
        error.to_string()
    }

    #[test]
    fn users_before_the_host_are_refused() {
        for text in [
            "forward://kata:s3cret@log.example",
            "forward+tls://s3cret@log.example:24224?standby",
            "http://kata:s3cret@log.example",
            "kata:s3cret@log.example",
            "forward://kata:s3c?ret@log.example",
            "forward://kata:123?s3cret@log.example",
            "forward://kata:s3c?ret=1&@log.example",
            "forward://kata:s3c?a=ret@log.example",
            "forward://kata:s3c/ret@log.example",
            "forward://kata:s3c&password-file=ret@log.example",
        ] {
            assert!(refused(text).contains("user=NAME&password-file=FILE"), "{text}: {}", refused(text));
        }
        assert!(refused("syslog+tls://kata:s3cret@log.example").contains("cert=FILE&key=FILE"));
    }

    #[test]
    fn parameters_that_are_secrets_are_refused() {
        for (text, instead) in [
            ("forward://log.example?password=s3cret", "password-file=FILE"),
            ("forward://log.example?standby&passwrod=s3cret", "password-file=FILE"),
            ("forward://log.example?PASSWD=s3cret", "password-file=FILE"),
            ("forward://log.example?pass%77ord=s3cret", "password-file=FILE"),
            ("forward://log.example?pasword=s3cret", "password-file=FILE"),
            ("forward://log.example?shared-key=s3cret", "shared-key-file=FILE"),
            ("forward://log.example?shared_key=s3cret", "shared-key-file=FILE"),
            ("unix:/run/a.sock?token=s3cret", "shared-key-file=FILE"),
            ("http://log.example?access_token=s3cret", "shared-key-file=FILE"),
            ("syslog+tls://log.example?token=s3cret", "cert=FILE&key=FILE"),
        ] {
            assert!(refused(text).contains(instead), "{text}: {}", refused(text));
        }
    }

    #[test]
    fn other_texts_hold_no_secret() {
        for text in [
            "unix:/run/user@1000.sock",
            "forward+tls://a?ca=/etc/user@host.pem&key=/k&cert=/c",
            "forward://a?user=kata@example.org",
        ] {
            assert!(text.parse::<Address>().is_ok(), "{text}");
        }
        for text in ["/run/a@b.sock", "forward://a?shared_key_file=/k", "forward://a?mode=a@b", "forward://a?pods=1"] {
            let error = text.parse::<Address>().unwrap_err();
            assert!(!matches!(error, AddressError::Secret { .. }), "{text}: {error}");
        }
    }
}
