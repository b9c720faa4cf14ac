//! What Postfix and Dovecot say about who logged in, who could not, and whose mail was refused.

use std::net::IpAddr;

use crate::{
    decode::{header::Header, vocabulary::address_in},
    event::{Event, LogSource},
};

/// Pushes the fields of a mail server's line; false if its program is none.
pub(super) fn decode<'a>(header: &Header<'a>, event: &mut Event<'a>) -> bool {
    let program = header.program.unwrap_or("");
    let (service, text) = if program.starts_with("postfix") {
        ("postfix", header.text)
    } else if ["dovecot", "auth-worker"].iter().any(|name| program.starts_with(name))
        || program.ends_with("-login")
    {
        ("dovecot", header.text)
    } else if let Some(text) = header.text.strip_prefix("dovecot: ") {
        ("dovecot", text)
    } else {
        return false;
    };
    event.log_source = LogSource { category: None, product: Some("linux"), service: Some(service) };
    match service {
        "postfix" => postfix(text, event),
        _ => dovecot(text, event),
    }
    true
}

fn postfix<'a>(text: &'a str, event: &mut Event<'a>) {
    if let Some(refusal) = text.split_once("reject: ").map(|(_, refusal)| refusal) {
        event.conclude("action", "reject");
        peer(refusal.split_once(" from ").map_or("", |(_, peer)| peer), event);
        for (label, name) in [(" from=<", "sender"), (" to=<", "recipient"), (" helo=<", "helo")] {
            let value = refusal.split_once(label).and_then(|(_, rest)| rest.split_once('>'));
            event.push_piece(name, value.map_or("", |(value, _)| value));
        }
    } else if let Some((before, reason)) = text.split_once(" authentication failed")
        && let Some((host, method)) = before.split_once(": SASL ")
    {
        event.conclude("action", "login_failed");
        event.push_piece("auth_method", method);
        peer(host, event);
        event.push_piece("user", after(reason, "sasl_username="));
    } else if let Some((_, rest)) = text.split_once("client=") {
        peer(rest, event);
        let user = after(rest, "sasl_username=");
        if !user.is_empty() {
            event.conclude("action", "login_ok");
            event.push_piece("auth_method", after(rest, "sasl_method="));
            event.push_piece("user", user);
        }
    } else if let Some((_, rest)) = text.split_once(" from ").or_else(|| text.split_once("warning: ")) {
        peer(rest, event);
    }
}

/// Reads the address in `mail.example[1.2.3.4]:25`.
fn peer<'a>(text: &'a str, event: &mut Event<'a>) {
    let address = text.split_once('[').and_then(|(_, rest)| rest.split_once(']'));
    if let Some((address, _)) = address.filter(|(address, _)| address.parse::<IpAddr>().is_ok()) {
        event.push_piece("src_ip", address);
    }
}

/// Returns what follows a label, up to a comma or a space.
fn after<'a>(text: &'a str, label: &str) -> &'a str {
    let rest = text.split_once(label).map_or("", |(_, rest)| rest);
    rest.split([',', ' ']).next().unwrap_or("").trim_matches(['<', '>'])
}

fn dovecot<'a>(text: &'a str, event: &mut Event<'a>) {
    const FAILURES: [&str; 5] =
        ["auth failed", "unknown user", "assword mismatch", "uthentication failure", "authenticate() failed"];
    let is_failure = FAILURES.iter().any(|failure| text.contains(failure));
    let is_login = text.contains("-login: Login: ") || text.starts_with("Login: ");
    if is_failure {
        event.conclude("action", "login_failed");
    } else if is_login {
        event.conclude("action", "login_ok");
    }
    let remote = after(text, " rip=");
    if remote.is_empty() {
        lookup(text, event);
        return;
    }
    event.push_piece("user", after(text, " user="));
    event.push_piece("auth_method", after(text, " method="));
    event.push_piece("src_ip", remote);
    event.push_piece("dst_ip", after(text, " lip="));
}

/// Reads `passwd-file(anna,1.2.3.4): unknown user` and `pam(anna,1.2.3.4,<x>): …`.
fn lookup<'a>(text: &'a str, event: &mut Event<'a>) {
    for part in text.split('(').skip(1) {
        let Some((inner, _)) = part.split_once(')') else { return };
        let mut words = inner.split(',');
        if let (Some(user), Some(address)) = (words.next(), words.next().and_then(address_in)) {
            event.push_piece("user", user);
            event.push_piece("src_ip", address);
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::header;

    fn check(line: &str, expected: &[(&str, &str)]) {
        let mut event = Event::default();
        assert!(decode(&header::split(line), &mut event), "{line}");
        for (name, value) in expected {
            assert_eq!(event.text(name), Some(*value), "{name} of {line}");
        }
    }

    #[test]
    fn postfix_tells_whom_it_refused() {
        check(
            "Jan  5 10:00:00 mx postfix/smtpd[7]: NOQUEUE: reject: RCPT from unknown[203.0.113.9]: 554 5.7.1 <a@b.example>: Relay access denied; from=<c@d.example> to=<a@b.example> proto=ESMTP helo=<x>",
            &[
                ("src_ip", "203.0.113.9"),
                ("action", "reject"),
                ("sender", "c@d.example"),
                ("recipient", "a@b.example"),
                ("helo", "x"),
            ],
        );
        check(
            "Jan  5 10:00:00 mx postfix/smtpd[7]: warning: unknown[2001:db8::9]: SASL LOGIN authentication failed: x, sasl_username=anna",
            &[
                ("src_ip", "2001:db8::9"),
                ("action", "login_failed"),
                ("user", "anna"),
                ("auth_method", "LOGIN"),
            ],
        );
        check(
            "Jan  5 10:00:00 mx postfix/smtpd[7]: 4A1: client=h.example[203.0.113.9], sasl_method=PLAIN, sasl_username=anna",
            &[("src_ip", "203.0.113.9"), ("action", "login_ok"), ("user", "anna")],
        );
        check(
            "Jan  5 10:00:00 mx postfix/smtpd[7]: lost connection after AUTH from unknown[203.0.113.9]",
            &[("src_ip", "203.0.113.9")],
        );
    }

    #[test]
    fn dovecot_tells_who_came_in() {
        check(
            "Jan  5 10:00:00 mx dovecot: imap-login: Disconnected (auth failed, 1 attempts): user=<anna>, method=PLAIN, rip=203.0.113.9, lip=192.0.2.8, session=<x>",
            &[
                ("action", "login_failed"),
                ("user", "anna"),
                ("src_ip", "203.0.113.9"),
                ("dst_ip", "192.0.2.8"),
            ],
        );
        check(
            "dovecot: imap-login: Login: user=<anna>, method=PLAIN, rip=203.0.113.9, lip=192.0.2.8",
            &[("action", "login_ok"), ("user", "anna"), ("src_ip", "203.0.113.9")],
        );
        check(
            "Jan  5 10:00:00 mx dovecot: auth-worker(7): conn unix:auth-worker (pid=3,uid=97): auth-worker<1>: pam(anna,203.0.113.9): pam_authenticate() failed: Authentication failure",
            &[("action", "login_failed"), ("user", "anna"), ("src_ip", "203.0.113.9")],
        );
    }
}
