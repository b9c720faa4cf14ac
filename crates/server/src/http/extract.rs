//! What handlers take: bodies that were checked whole, with every fault named, and typed query parameters.

use std::{borrow::Cow, fmt, str::FromStr, time::Duration};

use axum::{
    extract::{FromRequest, Request},
    http::{HeaderMap, HeaderValue, StatusCode, Uri, header},
};
use bytes::Bytes;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde::de::{self, Deserializer as _, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::error::{ApiError, Fault};

/// A message and metadata of 64 KiB each, all of it escaped, fit.
const BODY_MAX_BYTES: usize = 1 << 20;
/// Whoever sends slower than this is cut off.
const BODY_DEADLINE: Duration = Duration::from_secs(30);

/// A JSON body that `T` has checked.
pub struct Body<T>(pub T);

/// Reads itself from the members of a JSON object, telling every fault.
pub trait FromJson: Sized {
    fn from_json(object: &mut JsonObject<'_>) -> Option<Self>;
}

impl<T: FromJson, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        if !is_json(&request) {
            return Err(ApiError::client(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported_media_type",
                "The body must be JSON (Content-Type: application/json).",
            ));
        }
        if request.headers().contains_key(header::CONTENT_ENCODING) {
            return Err(ApiError::client(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported_media_type",
                "The body must not be compressed (Content-Encoding).",
            ));
        }
        let body = read_body(request).await?;
        let mut object = JsonObject::parse(&body)?;
        let value = T::from_json(&mut object);
        object.finish(value).map(Body)
    }
}

fn is_json(request: &Request) -> bool {
    let content_type =
        request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    let essence = content_type.split(';').next().unwrap_or("").trim();
    essence.eq_ignore_ascii_case("application/json")
        || (essence.len() > 5 && essence.to_ascii_lowercase().ends_with("+json"))
}

async fn read_body(request: Request) -> Result<Bytes, ApiError> {
    let too_large = || {
        ApiError::client(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too_large",
            format!("The body is larger than {BODY_MAX_BYTES} bytes."),
        )
    };
    let body = Limited::new(request.into_body(), BODY_MAX_BYTES).collect();
    match tokio::time::timeout(BODY_DEADLINE, body).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.downcast_ref::<LengthLimitError>().is_some() => Err(too_large()),
        Ok(Err(error)) => Err(ApiError::malformed(format!("The body can't be read: {error}."))),
        Err(_) => {
            Err(ApiError::client(StatusCode::REQUEST_TIMEOUT, "timeout", "The body took too long to arrive."))
        }
    }
}

/// The members of a JSON object as they were sent. Whatever is not taken is a fault.
pub struct JsonObject<'b> {
    members: Vec<(Cow<'b, str>, &'b RawValue)>,
    faults: Vec<Fault>,
}

impl<'b> JsonObject<'b> {
    fn parse(body: &'b [u8]) -> Result<Self, ApiError> {
        let text = str::from_utf8(body).map_err(|error| {
            ApiError::malformed(format!("The body is not UTF-8: byte {} is wrong.", error.valid_up_to()))
        })?;
        let mut json = serde_json::Deserializer::from_str(text);
        let members = json.deserialize_map(Members).and_then(|members| json.end().map(|()| members));
        let members = members.map_err(|error| match error.classify() {
            serde_json::error::Category::Data => ApiError::invalid(vec![Fault {
                pointer: String::new(),
                message: "must be a JSON object".into(),
            }]),
            _ => ApiError::malformed(format!("The body is not JSON: {error}.")),
        })?;
        let mut object = Self { members, faults: Vec::new() };
        object.refuse_repeated_names();
        Ok(object)
    }

    fn refuse_repeated_names(&mut self) {
        let mut names: Vec<&str> = self.members.iter().map(|(name, _)| name.as_ref()).collect();
        names.sort_unstable();
        let repeated: Vec<String> =
            names.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0].to_owned()).collect();
        for name in repeated {
            self.fault(&name, "is given more than once");
        }
    }

    pub fn fault(&mut self, name: &str, message: impl Into<String>) {
        tell(&mut self.faults, pointer_to(name), message.into());
    }

    pub fn is_faultless(&self) -> bool {
        self.faults.is_empty() && self.members.is_empty()
    }

    /// Takes a member's text as it was sent; `null` counts as absent.
    pub fn take(&mut self, name: &str) -> Option<&'b RawValue> {
        let position = self.members.iter().position(|(member, _)| member == name)?;
        let (_, value) = self.members.swap_remove(position);
        (value.get() != "null").then_some(value)
    }

    /// Takes a string that `T` accepts; an absent one is no fault.
    pub fn optional<T: TryFrom<String, Error: fmt::Display>>(&mut self, name: &str) -> Option<T> {
        let raw = self.take(name)?;
        let read = string_of(raw).and_then(|text| T::try_from(text).map_err(|error| error.to_string()));
        read.map_err(|message| self.fault(name, message)).ok()
    }

    /// Takes a string that `T` accepts.
    pub fn required<T: TryFrom<String, Error: fmt::Display>>(&mut self, name: &str) -> Option<T> {
        self.require(name)?;
        self.optional(name)
    }

    /// Takes a whole number of 64 bits with a sign.
    pub fn required_integer(&mut self, name: &str) -> Option<i64> {
        self.require(name)?;
        let raw = self.take(name)?;
        let number = integer_of(raw);
        if number.is_none() {
            self.fault(
                name,
                format!("must be an integer from {} to {}, not {}", i64::MIN, i64::MAX, shown(raw)),
            );
        }
        number
    }

    fn require(&mut self, name: &str) -> Option<()> {
        let is_there = self.members.iter().any(|(member, value)| member == name && value.get() != "null");
        if !is_there {
            self.fault(name, "is required");
        }
        is_there.then_some(())
    }

    /// Takes all that is left.
    pub fn take_rest(&mut self) -> Vec<(Cow<'b, str>, &'b RawValue)> {
        std::mem::take(&mut self.members)
    }

    fn finish<T>(mut self, value: Option<T>) -> Result<T, ApiError> {
        for (name, _) in self.take_rest() {
            self.fault(&name, "is not known here");
        }
        match value {
            Some(value) if self.faults.is_empty() => Ok(value),
            _ => Err(ApiError::invalid(self.faults)),
        }
    }
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Vec<(Cow<'de, str>, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::with_capacity(8);
        while let Some(Name(name)) = map.next_key()? {
            members.push((name, map.next_value()?));
        }
        Ok(members)
    }
}

/// A member's name, borrowed from the body where it holds no escapes.
struct Name<'de>(Cow<'de, str>);

impl<'de> de::Deserialize<'de> for Name<'de> {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NameVisitor;
        impl<'de> Visitor<'de> for NameVisitor {
            type Value = Name<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }

            fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Borrowed(name)))
            }

            fn visit_str<E>(self, name: &str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Owned(name.to_owned())))
            }
        }
        deserializer.deserialize_str(NameVisitor)
    }
}

/// How many faults an answer lists; who sends more knows enough.
const MOST_FAULTS: usize = 50;

fn tell(faults: &mut Vec<Fault>, pointer: String, message: String) {
    match faults.len() {
        ..MOST_FAULTS => faults.push(Fault { pointer, message }),
        MOST_FAULTS => {
            faults.push(Fault { pointer: String::new(), message: "has more faults than are listed".into() });
        }
        _ => {}
    }
}

/// Returns the JSON pointer to a member, to the whole body if `name` is empty.
fn pointer_to(name: &str) -> String {
    if name.is_empty() {
        return String::new();
    }
    format!("/{}", name.replace('~', "~0").replace('/', "~1"))
}

fn string_of(raw: &RawValue) -> Result<String, String> {
    if !raw.get().starts_with('"') {
        return Err(format!("must be a string, not {}", shown(raw)));
    }
    serde_json::from_str(raw.get()).map_err(|error| format!("is not valid Unicode text: {error}"))
}

/// Reads a JSON number without a fraction; `1.0` and `1e3` are whole too.
pub fn integer_of(raw: &RawValue) -> Option<i64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if let Ok(number) = raw.get().parse() {
        return Some(number);
    }
    let number: f64 = serde_json::from_str(raw.get()).ok()?;
    #[expect(clippy::cast_possible_truncation, reason = "it has no fraction and fits 2^53")]
    (number.fract() == 0.0 && number.abs() <= EXACT).then_some(number as i64)
}

/// Names a value in an error, by its kind and, where it is short, by itself.
fn shown(raw: &RawValue) -> String {
    let text = raw.get();
    match text.as_bytes().first() {
        Some(b'"') => "a string".to_owned(),
        Some(b'{') => "an object".to_owned(),
        Some(b'[') => "an array".to_owned(),
        Some(b't' | b'f') => "a boolean".to_owned(),
        _ if text.len() <= 40 => text.to_owned(),
        _ => "such a number".to_owned(),
    }
}

/// Query parameters, each taken once; whatever is left is a fault.
pub struct Query {
    parameters: Vec<(String, String)>,
    faults: Vec<Fault>,
}

impl Query {
    pub fn of(uri: &Uri) -> Self {
        Self::from_pairs(Self::pairs_of(uri))
    }

    /// Decodes a URI's `application/x-www-form-urlencoded` query.
    pub fn pairs_of(uri: &Uri) -> Vec<(String, String)> {
        form_urlencoded::parse(uri.query().unwrap_or("").as_bytes()).into_owned().collect()
    }

    pub fn from_pairs(parameters: Vec<(String, String)>) -> Self {
        Self { parameters, faults: Vec::new() }
    }

    pub fn fault(&mut self, name: &str, message: impl Into<String>) {
        tell(&mut self.faults, format!("?{name}"), message.into());
    }

    /// Takes a parameter as `parse` reads it. Of one that is repeated the faults say so.
    pub fn take<T>(&mut self, name: &str, parse: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        let position = self.parameters.iter().position(|(parameter, _)| parameter == name)?;
        let (_, text) = self.parameters.remove(position);
        if self.parameters.iter().any(|(parameter, _)| parameter == name) {
            self.parameters.retain(|(parameter, _)| parameter != name);
            self.fault(name, "is given more than once");
        }
        parse(&text).map_err(|message| self.fault(name, message)).ok()
    }

    /// Takes a parameter as `parse` reads it; an absent one is a fault.
    pub fn take_required<T>(&mut self, name: &str, parse: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        if !self.parameters.iter().any(|(parameter, _)| parameter == name) {
            self.fault(name, "is required");
        }
        self.take(name, parse)
    }

    /// Takes every value of a parameter that may be repeated.
    pub fn take_all(&mut self, name: &str) -> Vec<String> {
        let taken = self.parameters.extract_if(.., |(parameter, _)| parameter == name);
        taken.map(|(_, text)| text).collect()
    }

    /// Returns what was taken as required.
    pub fn finish_with<T>(self, required: Option<T>) -> Result<T, ApiError> {
        self.finish()?;
        // Where it is absent, that was a fault.
        required.ok_or_else(|| ApiError::malformed("The query can't be understood."))
    }

    pub fn finish(mut self) -> Result<(), ApiError> {
        for (name, _) in std::mem::take(&mut self.parameters) {
            self.fault(&name, "is not known here");
        }
        if self.faults.is_empty() { Ok(()) } else { Err(ApiError::invalid(self.faults)) }
    }
}

/// Reads what `FromStr` reads, with its error's sentence.
pub fn parsed<T: FromStr<Err: fmt::Display>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error: T::Err| error.to_string())
}

/// Reads a truth.
pub fn truth(text: &str) -> Result<bool, String> {
    match text {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err("must be true or false".to_owned()),
    }
}

/// Reads a whole number within bounds.
pub fn within(least: usize, most: usize) -> impl Fn(&str) -> Result<usize, String> {
    move |text| {
        let number = text.parse().ok().filter(|number| (least..=most).contains(number));
        number.ok_or_else(|| format!("must be a whole number from {least} to {most}"))
    }
}

/// Returns `Link: <…>; rel="next"` (RFC 8288) to the same list from `next` on, nothing at the end of the list.
pub fn next_link(uri: &Uri, next: Option<impl fmt::Display>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let Some(next) = next else { return headers };
    let mut query = form_urlencoded::Serializer::new(String::new());
    for (name, text) in Query::pairs_of(uri) {
        if name != "cursor" {
            query.append_pair(&name, &text);
        }
    }
    query.append_pair("cursor", &next.to_string());
    let link = format!("<{}?{}>; rel=\"next\"", uri.path(), query.finish());
    headers.insert(header::LINK, HeaderValue::from_str(&link).expect("a URI is visible ASCII"));
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Named;

    impl FromJson for Named {
        fn from_json(object: &mut JsonObject<'_>) -> Option<Self> {
            let name: Option<String> = object.required("name");
            let _note: Option<String> = object.optional("note");
            name.map(|_| Self)
        }
    }

    fn faults(body: &str) -> Vec<String> {
        let mut object = match JsonObject::parse(body.as_bytes()) {
            Ok(object) => object,
            Err(error) => return vec![format!("{error:?}")],
        };
        let named = Named::from_json(&mut object);
        let Err(error) = object.finish(named) else { return vec![] };
        vec![format!("{error:?}")]
    }

    #[test]
    fn every_fault_of_a_body_is_named() {
        let cases = [
            (r#"{"name": "a"}"#, vec![]),
            (r#"{"name": "a", "note": null}"#, vec![]),
            (
                r#"{"name": 5, "other": 1}"#,
                vec!["/name", "must be a string, not 5", "/other", "is not known here"],
            ),
            (r#"{"note": {}}"#, vec!["/name", "is required", "/note", "must be a string, not an object"]),
            (r#"{"name": "a", "name": "b"}"#, vec!["/name", "more than once"]),
            (r#"{"name": "\ud800"}"#, vec!["/name", "not valid Unicode"]),
            ("[1]", vec!["must be a JSON object"]),
            ("{", vec!["not JSON"]),
            ("", vec!["not JSON"]),
            (r#"{"name": "a"} x"#, vec!["not JSON"]),
        ];
        for (body, expected) in cases {
            let found = faults(body).concat();
            assert_eq!(found.is_empty(), expected.is_empty(), "{body}: {found}");
            for part in expected {
                assert!(found.contains(part), "{body}: {part} is missing in {found}");
            }
        }
    }

    #[test]
    fn integers_are_read_exactly_or_not_at_all() {
        let cases = [
            ("9223372036854775807", Some(i64::MAX)),
            ("-9223372036854775808", Some(i64::MIN)),
            ("9223372036854775808", None),
            ("1.0", Some(1)),
            ("1e3", Some(1000)),
            ("1.5", None),
            ("1e300", None),
            ("\"1\"", None),
            ("true", None),
        ];
        for (text, number) in cases {
            let raw: &RawValue = serde_json::from_str(text).unwrap();
            assert_eq!(integer_of(raw), number, "{text}");
        }
    }

    #[test]
    fn unknown_and_repeated_query_parameters_are_faults() {
        let mut query = Query::of(&"/x?limit=5&limit=6&colour=red%20blue".parse().unwrap());
        assert_eq!(query.take("limit", within(1, 10)), Some(5));
        let error = format!("{:?}", query.finish().unwrap_err());
        assert!(error.contains("?limit") && error.contains("?colour"), "{error}");
    }
}
