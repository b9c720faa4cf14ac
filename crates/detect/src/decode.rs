//! Entry → typed fields, a log source, and the inputs that an attacker may have written. Nothing is lost: the raw
//! message is always a field. Work is linear in the length of the entry.

mod attributes;
mod auth;
mod cef;
mod context;
mod ftp;
mod header;
mod json;
mod key_value;
mod leef;
mod mail;
mod named;
mod names;
mod platform;
mod server_error;
pub(crate) mod vocabulary;
mod w3c;
mod web;
mod windows_xml;

use std::{borrow::Cow, ops::Range, sync::LazyLock};

use sentinelflow_domain::log_entry::LogEntry;

use crate::{
    decode::{json::Flattened, names::Names},
    event::{Event, Field, LogSource, Origin, Value},
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
        let raw_field = self.event.fields.len();
        self.event.push(field_name, Value::Text(raw), origin);
        self.push_forms(forms, field_name, context, &name);
        self.inputs.push(Input { field: raw_field, context, name });
    }

    /// Pushes what decoding made of a text.
    #[expect(clippy::ptr_arg, reason = "a borrowed name stays borrowed when it is cloned")]
    fn push_forms(
        &mut self,
        forms: Vec<String>,
        field_name: &'static str,
        context: Context,
        name: &Cow<'a, str>,
    ) {
        for (form, rounds) in forms.into_iter().zip(1..) {
            self.inputs.push(Input { field: self.event.fields.len(), context, name: name.clone() });
            self.event.push(field_name, Value::Text(Cow::Owned(form)), Origin::Decoded { rounds });
        }
    }
}

/// Decodes an entry.
pub(crate) fn decode(entry: &LogEntry) -> Decoded<'_> {
    let mut decoded = Decoded::default();
    decoded.event.fields.reserve(48);
    envelope(entry, &mut decoded.event);
    let metadata = decoded.event.fields.len();
    if json::flatten(entry.metadata.as_str(), Origin::Metadata, &mut decoded.event) == Flattened::InPart {
        decoded.event.push("metadata", Value::Text(entry.metadata.as_str().into()), Origin::Metadata);
    }
    let sent_end = message(entry.message.as_str(), &mut decoded);
    platform::recognise(&mut decoded.event);
    if is_report(decoded.event.log_source) {
        // However it is rendered, it was not typed by anybody: `cmd.exe` stands in it because it ran.
        decoded.inputs.iter_mut().for_each(|input| input.context = Context::Prose);
    } else {
        member_inputs(metadata..sent_end, &mut decoded);
    }
    vocabulary::complete(entry.message.as_str(), &mut decoded.event);
    decoded
}

/// Whether an event is what a platform reports: command lines and policies, which are not input from outside.
fn is_report(log_source: LogSource) -> bool {
    match log_source.product {
        Some("linux") => !matches!(log_source.service, Some("postfix" | "dovecot" | "vsftpd")),
        Some("windows" | "aws" | "kubernetes" | "okta") => true,
        _ => false,
    }
}

/// Where the envelope puts the message.
const MESSAGE_FIELD: usize = 0;

fn envelope<'a>(entry: &'a LogEntry, event: &mut Event<'a>) {
    event.push("message", Value::Text(entry.message.as_str().into()), Origin::Message);
    event.push("source", Value::Text(entry.source.as_str().into()), Origin::Metadata);
    event.push("severity_level", Value::Text(entry.severity_level.as_str().into()), Origin::Metadata);
    #[expect(clippy::cast_precision_loss, reason = "a rule compares numbers as floats")]
    event.push("event_id", Value::Number(entry.event_id as f64), Origin::Metadata);
}

/// Decodes the message; returns where the fields end that the sender named, in metadata or a JSON message.
fn message<'a>(message: &'a str, decoded: &mut Decoded<'a>) -> usize {
    let header = header::split(message);
    let named = [("host", header.host), ("program", header.program), ("pid", header.pid)];
    for (name, value) in named {
        if let Some(value) = value {
            decoded.event.push(name, Value::Text(value.into()), Origin::Message);
        }
    }
    let text = header.text;
    decoded.event.push("text", Value::Text(text.into()), Origin::Message);
    let sent_end = decoded.event.fields.len();
    // Whatever its format, a message is also read as text: a name or a header in it may carry a payload.
    let name = Cow::Borrowed("message");
    let whole = Input { field: MESSAGE_FIELD, context: Context::Prose, name: name.clone() };
    if auth::decode(&header, &mut decoded.event) {
        decoded.inputs.push(whole);
        return sent_end;
    }
    if text.starts_with('{') && json::flatten(text, Origin::Message, &mut decoded.event) == Flattened::Whole {
        decoded.inputs.push(whole);
        return decoded.event.fields.len();
    }
    let is_structured = cef::decode(&header, decoded)
        || leef::decode(&header, decoded)
        || windows_xml::decode(text, &mut decoded.event)
        || w3c::decode(text, decoded);
    if is_structured {
        decoded.inputs.push(whole);
        return sent_end;
    }
    if let Some(request) = web::request(text) {
        web::decode_request(&request, decoded);
        server_error::decode(text, decoded);
        decoded.inputs.push(whole);
        return sent_end;
    }
    let is_mail = mail::decode(&header, &mut decoded.event);
    if web::client(text, &mut decoded.event) {
        server_error::decode(text, decoded);
    } else if !is_mail && !named::decode(text, &mut decoded.event) {
        ftp::decode(text, &mut decoded.event);
    }
    key_value::decode(text, &mut decoded.event);
    let context = if header.program.is_some() { Context::Prose } else { context::of_message(message) };
    if context == Context::Value {
        decoded.push_input("payload", message.into(), Origin::Message, context, name, Plus::Literal);
    } else {
        decoded.push_forms(rounds(message, Plus::Literal), "payload", context, &name);
        decoded.inputs.push(whole);
    }
    sent_end
}

/// Searches those members of metadata or a JSON message that carry parts of a request, or what somebody typed.
fn member_inputs(members: Range<usize>, decoded: &mut Decoded<'_>) {
    for index in members {
        let Field { name, value: Value::Text(text), origin } = &decoded.event.fields[index] else { continue };
        let Some(role) = role(name) else { continue };
        let origin = *origin;
        let (name, text) = (name.clone(), text.clone());
        match role {
            Role::Target => web::decode_target(text, origin, decoded),
            Role::Form if text.contains('=') => web::decode_parameters(text, origin, decoded),
            Role::Form | Role::Parameter => {
                decoded.push_input("payload", text, origin, Context::Parameter, name, Plus::Space);
            }
            Role::Typed => {
                let context = context::of_typed(&text);
                decoded.inputs.push(Input { field: index, context, name });
            }
            Role::Header => decoded.inputs.push(Input { field: index, context: Context::Header, name }),
        }
    }
}

/// What a member means to a web server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Target,
    /// A query or a body: parameters, or one value.
    Form,
    Parameter,
    /// What somebody typed, perhaps.
    Typed,
    Header,
}

/// Names that senders use, in lower case. The outermost name that is known decides.
const ROLES: [(Role, &[&str]); 5] = [
    (
        Role::Parameter,
        &[
            "params",
            "parameters",
            "param",
            "args",
            "arguments",
            "form",
            "post",
            "fields",
            "payload",
            "input",
            "cookies",
        ],
    ),
    (
        Role::Form,
        &[
            "query",
            "query_string",
            "querystring",
            "query_params",
            "queryparams",
            "body",
            "request_body",
            "requestbody",
            "req_body",
            "post_data",
            "postdata",
            "form_data",
            "formdata",
            "cs-uri-query",
        ],
    ),
    (
        Role::Target,
        &[
            "path",
            "uri",
            "url",
            "request_uri",
            "requesturi",
            "request_url",
            "requesturl",
            "target",
            "request_path",
            "requestpath",
            "full_url",
            "original_url",
            "originalurl",
            "uri_path",
            "cs-uri-stem",
            "cs-uri",
            "c-uri",
        ],
    ),
    (
        Role::Typed,
        &[
            "user", "username", "login", "email", "password", "search", "q", "term", "comment", "value",
            "filter", "name", "filename", "file",
        ],
    ),
    (
        Role::Header,
        &["user_agent", "useragent", "user-agent", "ua", "referer", "referrer", "headers", "cookie"],
    ),
];

fn role(name: &str) -> Option<Role> {
    static NAMES: LazyLock<Names<Role>> = LazyLock::new(|| {
        Names::new(ROLES.iter().flat_map(|(role, names)| names.iter().map(|name| (*name, *role))))
    });
    let is_dotted = name.as_bytes().contains(&b'.');
    if is_dotted { name.split('.').find_map(|part| NAMES.get(part)) } else { NAMES.get(name) }
}

#[cfg(test)]
mod tests;
