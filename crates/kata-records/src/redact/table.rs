//! The closed list of keys whose values are secret.

/// The treatment of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The value is a secret.
    Value,
    /// A quoted value is a secret; a bare word after the key is mostly prose.
    Quoted,
    /// Everything behind the key is a secret, up to the end of the string.
    Rest,
    /// The value is that of an HTTP header: a scheme and credentials.
    Header,
    /// The value is a list of `NAME=value`, of which the values are secrets.
    Entries,
    /// The value is a map, of which the values are secrets.
    Map,
}

/// The way a row compares with a key. Keys are compared in lower case and without `-`, `_` and `.`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Match {
    /// The key is the name.
    Exact,
    /// The key ends in the name, as `db_password` and `accessToken` do.
    End,
    /// The key is the name, or ends in `_`, `-` or `.` and the name: `db_pass`, but not `bypass`.
    Word,
}

use Kind::{Entries, Header, Map, Quoted, Rest, Value};
use Match::{End, Exact, Word};

/// The name, the comparison, the treatment, and the reason.
type Row = (&'static [u8], Match, Kind, &'static str);

/// The keys. `key` alone is not among them because error texts use it for names, nor is `pwd`, the working directory.
const ROWS: &[Row] = &[
    (b"password", End, Value, "credentials of registries, databases and mounts"),
    (b"passwords", End, Value, "several of them"),
    (b"passwd", End, Value, "the same in short; options of mounts"),
    (b"passphrase", End, Value, "encrypted images and private keys"),
    (b"pass", Word, Value, "options of mounts (`pass=`), `DB_PASS`"),
    (b"secret", End, Value, "client secrets; option of mounts of Ceph"),
    (b"secrets", End, Value, "several of them; the resources of a key broker"),
    (b"secretdata", End, Value, "content of a Kubernetes secret"),
    (b"secretvalue", End, Value, "content of a secret store"),
    (b"secretstring", End, Value, "AWS Secrets Manager"),
    (b"secretid", End, Value, "the secret half of a Vault AppRole login"),
    (b"token", End, Value, "API, service account, identity, registry and key broker tokens"),
    (b"apikey", End, Value, "API keys"),
    (b"accesskey", End, Value, "object storage"),
    (b"secretkey", End, Value, "object storage"),
    (b"privatekey", End, Value, "key material; `kbs_auth_private_key`"),
    (b"encryptionkey", End, Value, "disks and images"),
    (b"signingkey", End, Value, "key material"),
    (b"sharedkey", End, Value, "key material"),
    (b"masterkey", End, Value, "key material"),
    (b"accountkey", End, Value, "Azure storage: mounts and connection strings"),
    (b"credential", End, Value, "credentials of mounts and registries"),
    (b"credentials", End, Value, "the same; option of CIFS mounts"),
    (b"creds", End, Value, "the same in short"),
    (b"auth", Exact, Quoted, "registry configuration: base64 of `user:password`"),
    (b"auths", Exact, Map, "registry configuration: credentials by registry"),
    (b"registryauth", End, Value, "`X-Registry-Auth`, `--registry-auth`"),
    (b"basicauth", End, Value, "`user:password`"),
    (b"authorization", End, Header, "HTTP header"),
    (b"setcookie", End, Rest, "HTTP header: a session"),
    (b"initdata", End, Value, "configuration of a confidential guest, with keys and certificates"),
    (b"agentpolicy", End, Value, "the policy names environments and commands of a workload"),
    (b"policy", Exact, Quoted, "`SetPolicyRequest`; a bare word is a cause of a refusal"),
    (b"setpolicy", Exact, Rest, "cloud-api-adaptor: `SetPolicy: policy:…`"),
    (b"env", Word, Entries, "environment of a process"),
    (b"envs", Exact, Entries, "environment in CRI requests"),
    (b"environ", Word, Entries, "environment of a process; `COREDUMP_ENVIRON`"),
    (b"envvars", End, Entries, "environment in logs of runtimes"),
    (b"cookie", Exact, Rest, "HTTP header: a session"),
    (b"environment", Exact, Entries, "environment of a process or unit"),
    (b"annotations", End, Map, "annotations carry initdata, configuration and whole manifests"),
];

/// The longest part of a key that is compared.
const LIMIT: usize = 64;

/// The joints, a bit for each by its last five bits.
const JOINTS: u32 = 1 << fold(b'-') | 1 << fold(b'_') | 1 << fold(b'.');

/// The last three letters of the names: a bit for the third last, in the row of the last two. A joint can stand before
/// the last two letters of every name.
static LAST: [u32; 1 << 10] = {
    let mut thirds = [0; 1 << 10];
    let mut row = 0;
    while row < ROWS.len() {
        let Some([third, second, last]) = ROWS[row].0.last_chunk() else { panic!("a name has three letters") };
        thirds[fold(*second) << 5 | fold(*last)] |= 1 << fold(*third) | JOINTS;
        row += 1;
    }
    thirds
};

/// The fourth last letters of the names, a bit for each, in the row of the last two. A joint can stand there too, and
/// anything before names of three letters.
static FOURTHS: [u32; 1 << 10] = {
    let mut fourths = [JOINTS; 1 << 10];
    let mut row = 0;
    while row < ROWS.len() {
        let name = ROWS[row].0;
        let end = name.len();
        let letters = if end > 3 { 1 << fold(name[end - 4]) } else { u32::MAX };
        fourths[fold(name[end - 2]) << 5 | fold(name[end - 1])] |= letters;
        row += 1;
    }
    fourths
};

/// The rows whose names end in each letter, a bit for each.
static BY_LAST: [u64; 32] = {
    assert!(ROWS.len() <= 64, "the rows are the bits of a number");
    let mut rows = [0; 32];
    let mut row = 0;
    while row < ROWS.len() {
        let name = ROWS[row].0;
        rows[fold(name[name.len() - 1])] |= 1 << row;
        row += 1;
    }
    rows
};

/// Returns the last five bits of a byte, which are the same for a letter in any case. Some other bytes share them.
const fn fold(byte: u8) -> usize {
    (byte & 31) as usize
}

/// Returns whether a name ends in a byte.
pub(super) const fn may_be_last(byte: u8) -> bool {
    byte.is_ascii_alphabetic() && BY_LAST[fold(byte)] != 0
}

/// Tests the last three letters of a key. `false` proves that the key is not in the list.
#[inline]
pub(super) fn may_end(key: &[u8]) -> bool {
    key.last_chunk()
        .is_some_and(|[third, second, last]| LAST[fold(*second) << 5 | fold(*last)] >> fold(*third) & 1 != 0)
}

/// Tests the last four bytes of a key, the last one highest. `false` proves that no key with them is in the list.
#[inline(always)]
pub(super) fn may_end_in(end: u32) -> bool {
    let [fourth, third, second, last] = end.to_le_bytes();
    let row = fold(second) << 5 | fold(last);
    // A joint among the last three moves the letters before it.
    LAST[row] >> fold(third) & 1 != 0 && (FOURTHS[row] >> fold(fourth) & 1 != 0 || is_joint(third))
}

/// Returns the treatment of the values of a key, or `None` if they are not secret.
pub(super) fn kind(key: &[u8]) -> Option<Kind> {
    if !may_end(key) {
        return None;
    }
    let mut folded = [0; LIMIT];
    let mut start = LIMIT;
    for byte in key.iter().rev().filter(|byte| !is_joint(**byte)) {
        let Some(place) = start.checked_sub(1).and_then(|start| folded.get_mut(start)) else { break };
        *place = byte.to_ascii_lowercase();
        start -= 1;
    }
    let folded = folded.get(start..)?;
    let mut rows = BY_LAST[fold(*folded.last()?)];
    while rows != 0 {
        let row = ROWS.get(rows.trailing_zeros() as usize)?;
        if matches(row, folded, key) {
            return Some(row.2);
        }
        rows &= rows - 1;
    }
    None
}

const fn is_joint(byte: u8) -> bool {
    matches!(byte, b'-' | b'_' | b'.')
}

fn matches((name, form, _, _): &Row, folded: &[u8], key: &[u8]) -> bool {
    match form {
        Exact => folded == *name,
        End => folded.ends_with(name),
        Word => {
            let joint = key.len().checked_sub(name.len() + 1).and_then(|at| key.get(at));
            folded == *name || (folded.ends_with(name) && joint.is_some_and(|byte| is_joint(*byte)))
        }
    }
}

/// The first letters of the keys of lists and maps, a bit for each by its last five bits.
const CONTAINER_FIRST: u32 = {
    let (mut letters, mut row) = (0, 0);
    while row < ROWS.len() {
        if matches!(ROWS[row].2, Entries | Map) {
            letters |= 1 << (ROWS[row].0[0] & 31);
        }
        row += 1;
    }
    letters
};

/// Returns whether a word at the end of a text can be the beginning of a key of a list or map of secrets.
pub(super) fn begins_container(word: &[u8]) -> bool {
    let begins = |row: &&Row| {
        row.0.get(..word.len()).is_some_and(|head| head.eq_ignore_ascii_case(word)) && matches!(row.2, Entries | Map)
    };
    let may_begin = word.first().is_some_and(|first| CONTAINER_FIRST >> (first.to_ascii_lowercase() & 31) & 1 != 0);
    may_begin && ROWS.iter().any(|row| begins(&row))
}

#[cfg(test)]
pub(super) fn names() -> impl Iterator<Item = (&'static [u8], Kind, &'static str)> {
    ROWS.iter().map(|row| (row.0, row.2, row.3))
}
