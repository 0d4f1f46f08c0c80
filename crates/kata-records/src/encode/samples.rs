//! Fields and facts for the tests of encoders.

use crate::component::Component;
use crate::flaw::Flaws;
use crate::origin::Origin;
use crate::record::{Escaping, Facts, Field, Level, OwnedKey, PayloadFormat, Text, Value};
use crate::time::UtcTimestamp;

/// Returns a text in this form.
pub(super) fn text<'b, B: AsRef<[u8]> + ?Sized>(bytes: &'b B, escaping: Escaping) -> Text<'b> {
    Text { bytes: bytes.as_ref(), escaping }
}

/// Returns a field; a plain string stands for a text in UTF-8.
pub(super) fn field<'b>(name: &str, value: impl Into<Value<'b>>) -> Field<'b> {
    Field::new(OwnedKey::new(name).leaked(), value.into())
}

/// Returns the facts of an entry of kata-runtime at level `info`. An empty string stands for no time.
pub(super) fn facts(time: &str) -> Facts {
    Facts {
        time: UtcTimestamp::parse(time.as_bytes()),
        level: Some(Level::Info),
        component: Component::Runtime,
        format: PayloadFormat::Logfmt,
        origin: Origin::Host,
        flaws: Flaws::default(),
    }
}

impl<'b> From<Text<'b>> for Value<'b> {
    fn from(text: Text<'b>) -> Value<'b> {
        Value::Text(text)
    }
}

impl<'b> From<&'b str> for Value<'b> {
    fn from(content: &'b str) -> Value<'b> {
        Value::Text(text(content, Escaping::Utf8))
    }
}
