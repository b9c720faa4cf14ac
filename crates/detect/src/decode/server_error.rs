//! Error lines of nginx and Apache: whom they speak of, which file or page was asked for, who could not log in.

use std::borrow::Cow;

use crate::{
    decode::{Context, Decoded, Input, web},
    event::{LogSource, Origin},
    payload::decode::Plus,
};

/// Pushes what an error line tells beside a request; false if the text is no such line.
pub(super) fn decode<'a>(text: &'a str, decoded: &mut Decoded<'a>) -> bool {
    // Most texts hold neither mark, which one search tells.
    if !text.contains("client") {
        return false;
    }
    let (service, told) = if let Some((told, details)) = text.split_once(", client: ") {
        header(details, ", host: \"", "cs-host", decoded);
        header(details, ", referrer: \"", "cs-referer", decoded);
        ("nginx", told)
    } else if let Some((_, told)) = text.split_once("[client ").and_then(|(_, rest)| rest.split_once("] ")) {
        if let Some((_, referrer)) = told.rsplit_once(", referer: ") {
            push_header("cs-referer", referrer, decoded);
        }
        if let Some((_, page)) = told.split_once("[uri \"")
            && let Some((page, _)) = page.split_once('"')
        {
            web::decode_target(page.into(), Origin::Message, decoded);
        }
        ("apache", told)
    } else {
        return false;
    };
    decoded.event.log_source =
        LogSource { category: Some("webserver"), product: None, service: Some(service) };
    login(told, decoded);
    file(told, decoded);
    true
}

/// Reads a quoted value behind a label.
fn header<'a>(text: &'a str, label: &str, name: &'static str, decoded: &mut Decoded<'a>) {
    if let Some((_, rest)) = text.split_once(label) {
        push_header(name, rest.split('"').next().unwrap_or(""), decoded);
    }
}

fn push_header<'a>(name: &'static str, value: &'a str, decoded: &mut Decoded<'a>) {
    if !value.is_empty() {
        let field = decoded.event.fields.len();
        decoded.event.push_piece(name, value);
        decoded.inputs.push(Input { field, context: Context::Header, name: Cow::Borrowed(name) });
    }
}

/// Reads `user bob: authentication failure for "/x"`, `user bob not found: /x`, `user "bob": password mismatch`.
fn login<'a>(told: &'a str, decoded: &mut Decoded<'a>) {
    const FAILURES: [&str; 6] = [
        ": authentication failure",
        ": authorization failure",
        " not found",
        ": password mismatch",
        " was not found",
        "` in realm",
    ];
    let Some((before, rest)) = told.split_once("user ") else { return };
    let starts_well = before.is_empty() || before.ends_with(' ');
    let Some(at) = FAILURES.iter().filter_map(|failure| rest.find(failure)).min().filter(|_| starts_well)
    else {
        return;
    };
    decoded.event.conclude("action", "login_failed");
    let user = rest.get(..at).unwrap_or("").trim_matches(['"', '`', '\'']);
    decoded.event.push_piece("user", user);
}

/// Reads the file that a client asked for and did not get.
fn file<'a>(told: &'a str, decoded: &mut Decoded<'a>) {
    const LABELS: [&str; 7] = [
        "File does not exist: ",
        "client denied by server configuration: ",
        "script not found or unable to stat: ",
        "attempt to invoke directory as script: ",
        "Directory index forbidden by rule: ",
        "script '",
        "open() \"",
    ];
    let Some(rest) = LABELS.iter().find_map(|label| told.split_once(label).map(|(_, rest)| rest)) else {
        return;
    };
    let end = rest.find(['\'', '"']).or_else(|| rest.find(", referer: ")).unwrap_or(rest.len());
    let path = rest.get(..end).unwrap_or("");
    if path.is_empty() {
        return;
    }
    // Where a request stands in the line, its target is the surer one.
    decoded.event.push_piece("c-uri", path);
    let name = Cow::Borrowed("path");
    decoded.push_input("cs-uri-stem", path.into(), Origin::Message, Context::Path, name, Plus::Literal);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, expected: &[(&str, &str)]) {
        let mut decoded = Decoded::default();
        assert!(decode(line, &mut decoded), "{line}");
        for (name, value) in expected {
            assert_eq!(decoded.event.text(name), Some(*value), "{name} of {line}");
        }
        assert_eq!(decoded.event.log_source.category, Some("webserver"));
    }

    #[test]
    fn files_and_logins_are_told() {
        check(
            "[Mon Jan 05 10:00:00 2026] [error] [client 203.0.113.9] File does not exist: /srv/www/admin.php, referer: http://a.example/",
            &[("c-uri", "/srv/www/admin.php"), ("cs-referer", "http://a.example/")],
        );
        check(
            "[Mon Jan 05 10:00:00.1 2026] [:error] [pid 3] [client 203.0.113.9:40100] script '/srv/www/x.php' not found or unable to stat",
            &[("c-uri", "/srv/www/x.php")],
        );
        check(
            "[Mon Jan 05 10:00:00 2026] [auth_basic:error] [pid 3] [client 203.0.113.9:40100] AH01617: user anna: authentication failure for \"/private\": Password Mismatch",
            &[("user", "anna"), ("action", "login_failed")],
        );
        check(
            "2026/01/05 10:00:00 [error] 3#0: *5 user \"anna\": password mismatch, client: 203.0.113.9, server: a.example, request: \"GET /private HTTP/1.1\", host: \"a.example\", referrer: \"http://b.example/\"",
            &[
                ("user", "anna"),
                ("action", "login_failed"),
                ("cs-host", "a.example"),
                ("cs-referer", "http://b.example/"),
            ],
        );
        check(
            "[Mon Jan 05 10:00:00 2026] [error] [client 203.0.113.9] ModSecurity: Access denied [uri \"/x.php\"]",
            &[("c-uri", "/x.php")],
        );
        assert!(!decode("the client 203.0.113.9 was here", &mut Decoded::default()));
    }
}
