//! What sshd, PAM, sudo and su say about who came in, who did not, and what they ran.

use crate::{
    decode::header::Header,
    event::{Event, LogSource, Origin, Value},
};

/// Pushes the fields of an authentication message; false if its program is no such.
pub(crate) fn decode<'a>(header: &Header<'a>, event: &mut Event<'a>) -> bool {
    let Some(service) = service(header) else { return false };
    event.log_source = LogSource { category: None, product: Some("linux"), service: Some(service) };
    match service {
        "sshd" => sshd(header.text, event),
        "sudo" => sudo(header.text, event),
        _ => {}
    }
    if header.text.contains("uthentication failure") || header.text.contains("session ") || service == "pam" {
        pam(header.text, event);
    }
    true
}

fn service(header: &Header<'_>) -> Option<&'static str> {
    let program = header.program?;
    let program = program.rsplit('/').next().unwrap_or(program);
    if program.starts_with("sshd") {
        return Some("sshd");
    }
    match program {
        "sudo" => Some("sudo"),
        "su" => Some("su"),
        "login" | "systemd-logind" | "gdm-password" | "polkitd" => Some("auth"),
        _ if program.contains("pam_") || header.text.starts_with("pam_") => Some("pam"),
        _ => None,
    }
}

/// Reads `Failed password for invalid user bob from 1.2.3.4 port 22 ssh2` and its kin.
fn sshd<'a>(message: &'a str, event: &mut Event<'a>) {
    const STARTS: [(&str, &str); 7] = [
        ("Failed ", "login_failed"),
        ("Accepted ", "login_ok"),
        ("Invalid user ", "invalid_user"),
        ("Illegal user ", "invalid_user"),
        ("Disconnected from ", "disconnected"),
        ("Connection closed by ", "disconnected"),
        ("Received disconnect from ", "disconnected"),
    ];
    let Some((start, action)) = STARTS.iter().find(|(start, _)| message.starts_with(start)) else { return };
    event.conclude("action", action);
    let rest = message.get(start.len()..).unwrap_or("");
    let user = match *action {
        "login_failed" | "login_ok" => {
            let (method, rest) = rest.split_once(" for ").unwrap_or(("", rest));
            event.push_piece("auth_method", method);
            rest.strip_prefix("invalid user ").unwrap_or(rest)
        }
        _ => rest,
    };
    // A user name may itself hold " from "; the last one is sshd's.
    if let Some((user, origin)) = user.rsplit_once(" from ") {
        if *action != "disconnected" {
            event.push_piece("user", user);
        }
        address(origin, event);
    } else if *action == "disconnected" {
        address(rest, event);
    }
}

/// Reads `1.2.3.4 port 22 …`.
fn address<'a>(origin: &'a str, event: &mut Event<'a>) {
    let mut words = origin.split_ascii_whitespace();
    event.push_piece("src_ip", words.next().unwrap_or("").trim_end_matches([':', ',']));
    if words.next() == Some("port")
        && let Some(port) = words.next().and_then(|port| port.trim_end_matches(':').parse::<u16>().ok())
    {
        event.push("src_port", Value::Number(f64::from(port)), Origin::Message);
    }
}

/// Reads `bob : TTY=pts/0 ; PWD=/home/bob ; USER=root ; COMMAND=/bin/sh`.
fn sudo<'a>(message: &'a str, event: &mut Event<'a>) {
    let Some((user, rest)) = message.trim_start().split_once(" : ") else { return };
    event.push_piece("user", user);
    for part in rest.splitn(8, " ; ") {
        let Some((name, value)) = part.split_once('=') else {
            let is_refusal = part.contains("incorrect password") || part.contains("NOT in sudoers");
            if is_refusal {
                event.conclude("action", "login_failed");
            }
            continue;
        };
        match name.trim() {
            "TTY" => event.push_piece("tty", value),
            "PWD" => event.push_piece("cwd", value),
            "USER" => event.push_piece("target_user", value),
            "COMMAND" => {
                event.conclude("action", "command");
                let command = message.split_once("COMMAND=").map_or(value, |(_, command)| command);
                event.push_piece("command", command);
            }
            _ => {}
        }
    }
}

/// Reads `…: authentication failure; logname= uid=0 rhost=1.2.3.4 user=root` and `session opened for user x`.
fn pam<'a>(message: &'a str, event: &mut Event<'a>) {
    if message.contains("uthentication failure") {
        event.conclude("action", "login_failed");
        for pair in message.split_ascii_whitespace().take(24) {
            match pair.split_once('=') {
                Some(("rhost", host)) => event.push_piece("src_ip", host),
                Some(("user", user)) => event.push_piece("user", user),
                Some(("tty", tty)) => event.push_piece("tty", tty),
                _ => {}
            }
        }
    } else if let Some((_, rest)) = message.split_once("session opened for user ") {
        event.conclude("action", "session_opened");
        event.push_piece("user", rest.split([' ', '(']).next().unwrap_or(""));
    } else if message.contains("session closed for user ") {
        event.conclude("action", "session_closed");
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
    fn who_came_and_who_did_not() {
        check(
            "Oct  3 10:15:32 web sshd[42]: Failed password for invalid user x from y from 1.2.3.4 port 22 ssh2",
            &[
                ("action", "login_failed"),
                ("user", "x from y"),
                ("src_ip", "1.2.3.4"),
                ("auth_method", "password"),
            ],
        );
        check(
            "sshd[42]: Accepted publickey for bob from 1.2.3.4 port 22 ssh2",
            &[("action", "login_ok"), ("user", "bob"), ("auth_method", "publickey")],
        );
        check(
            "srv sshd[1]: Invalid user admin from ::1 port 1",
            &[("action", "invalid_user"), ("src_ip", "::1")],
        );
        check(
            "Jun 15 01:02:03 c sudo[1]: bob : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/sh -c 'a ; b'",
            &[
                ("user", "bob"),
                ("target_user", "root"),
                ("command", "/bin/sh -c 'a ; b'"),
                ("action", "command"),
            ],
        );
        check(
            "Jul 7 08:06:15 c sshd(pam_unix)[2]: authentication failure; logname= uid=0 tty=ssh rhost=h.net  user=root",
            &[("action", "login_failed"), ("src_ip", "h.net"), ("user", "root")],
        );
    }
}
