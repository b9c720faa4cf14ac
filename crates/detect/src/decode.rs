//! Entry → typed fields, a log source, and the inputs that an attacker may have written. Nothing is lost: the raw
//! message is always a field. Work is linear in the length of the entry.

mod header;
mod json;
mod web;

use std::borrow::Cow;

use sentinelflow_domain::log_entry::LogEntry;

use crate::{
    decode::json::Flattened,
    event::{Event, Field, Origin, Value},
    payload::decode::{Plus, rounds},
};

/// An event and those of its fields that somebody outside may have written.
#[derive(Debug, Default)]
pub(crate) struct Decoded<'a> {
    pub event: Event<'a>,
    pub inputs: Vec<Input<'a>>,
}

/// A field to be searched for payloads.
#[derive(Debug)]
pub(crate) struct Input<'a> {
    pub field: usize,
    pub context: Context,
    /// What the sender calls it, such as the parameter's name.
    pub name: Cow<'a, str>,
}

/// Where a text stands decides what it may hold: SQL is an attack in a parameter and an everyday thing in a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Context {
    /// Sentences and log lines.
    Prose,
    /// A request header such as the user agent.
    Header,
    /// The path of a request.
    Path,
    /// One raw value whose origin is not told.
    Value,
    /// A parameter of a request.
    Parameter,
}

impl<'a> Decoded<'a> {
    /// Pushes a value as a field and as an input, and every form that decoding gives it.
    fn push_input(
        &mut self,
        field_name: &'static str,
        raw: Cow<'a, str>,
        origin: Origin,
        context: Context,
        name: Cow<'a, str>,
        plus: Plus,
    ) {
        let forms = rounds(&raw, plus);
        self.inputs.push(Input { field: self.event.fields.len(), context, name: name.clone() });
        self.event.push(field_name, Value::Text(raw), origin);
        for (form, rounds) in forms.into_iter().zip(1..) {
            self.inputs.push(Input { field: self.event.fields.len(), context, name: name.clone() });
            self.event.push(field_name, Value::Text(Cow::Owned(form)), Origin::Decoded { rounds });
        }
    }
}

/// Decodes an entry.
pub(crate) fn decode(entry: &LogEntry) -> Decoded<'_> {
    let mut decoded = Decoded::default();
    decoded.event.fields.reserve(24);
    envelope(entry, &mut decoded.event);
    let metadata = decoded.event.fields.len();
    if json::flatten(entry.metadata.as_str(), Origin::Metadata, &mut decoded.event) == Flattened::InPart {
        decoded.event.push("metadata", Value::Text(entry.metadata.as_str().into()), Origin::Metadata);
    }
    let end = decoded.event.fields.len();
    message(entry.message.as_str(), &mut decoded);
    metadata_inputs(metadata..end, &mut decoded);
    decoded
}

fn envelope<'a>(entry: &'a LogEntry, event: &mut Event<'a>) {
    event.push("message", Value::Text(entry.message.as_str().into()), Origin::Message);
    event.push("source", Value::Text(entry.source.as_str().into()), Origin::Metadata);
    event.push("severity_level", Value::Text(entry.severity_level.as_str().into()), Origin::Metadata);
    #[expect(clippy::cast_precision_loss, reason = "a rule compares numbers as floats")]
    event.push("event_id", Value::Number(entry.event_id as f64), Origin::Metadata);
}

fn message<'a>(message: &'a str, decoded: &mut Decoded<'a>) {
    let header = header::split(message);
    let named = [("host", header.host), ("program", header.program), ("pid", header.pid)];
    for (name, value) in named {
        if let Some(value) = value {
            decoded.event.push(name, Value::Text(value.into()), Origin::Message);
        }
    }
    let text = header.text;
    decoded.event.push("text", Value::Text(text.into()), Origin::Message);
    if let Some(request) = web::request(text) {
        web::decode_request(&request, decoded);
        return;
    }
    let context = if is_prose(message) { Context::Prose } else { Context::Value };
    decoded.push_input("payload", message.into(), Origin::Message, context, "message".into(), Plus::Literal);
}

/// Searches those members of metadata that carry parts of a request, and other texts as raw values.
fn metadata_inputs(members: std::ops::Range<usize>, decoded: &mut Decoded<'_>) {
    for index in members {
        let Field { name, value: Value::Text(text), .. } = &decoded.event.fields[index] else { continue };
        let (name, text) = (name.clone(), text.clone());
        match role(&name) {
            Some(Role::Target) => web::decode_target(&text, Origin::Metadata, decoded),
            Some(Role::Form) if text.contains('=') => {
                web::decode_parameters(&text, Origin::Metadata, decoded);
            }
            Some(Role::Form | Role::Parameter) => {
                decoded.push_input("payload", text, Origin::Metadata, Context::Parameter, name, Plus::Space);
            }
            Some(Role::Header) => {
                decoded.inputs.push(Input { field: index, context: Context::Header, name });
            }
            None => {}
        }
    }
}

/// What a member of metadata means to a web server.
enum Role {
    Target,
    Form,
    Parameter,
    Header,
}

fn role(name: &str) -> Option<Role> {
    let parts = || name.split('.');
    let is_any =
        |names: &[&str]| parts().any(|part| names.iter().any(|name| part.eq_ignore_ascii_case(name)));
    if is_any(&[
        "params",
        "parameters",
        "param",
        "args",
        "form",
        "post",
        "fields",
        "cookies",
        "payload",
        "input",
    ]) {
        return Some(Role::Parameter);
    }
    if is_any(&["query", "query_string", "querystring", "body", "request_body", "post_data"]) {
        return Some(Role::Form);
    }
    if is_any(&["path", "uri", "url", "request_uri", "target", "endpoint"]) {
        return Some(Role::Target);
    }
    is_any(&["user_agent", "useragent", "user-agent", "referer", "referrer", "headers", "cookie"])
        .then_some(Role::Header)
}

/// Whether a text reads like a sentence or a log line: a run of plain words.
fn is_prose(text: &str) -> bool {
    const WORDS_IN_A_ROW: u32 = 4;
    let mut run = 0;
    for word in text.split(' ').take(200) {
        let is_plain =
            word.len() >= 2 && word.bytes().all(|b| b.is_ascii_alphabetic() || b",.:".contains(&b));
        run = if is_plain { run + 1 } else { 0 };
        if run >= WORDS_IN_A_ROW {
            return true;
        }
    }
    false
}
