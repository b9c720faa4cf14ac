//! What vsftpd says: `[anna] FAIL LOGIN: Client "1.2.3.4"`.

use crate::{
    decode::vocabulary::address_in,
    event::{Event, LogSource},
};

const MARK: &str = ": Client \"";

/// Pushes the fields of a line; false if it is none.
pub(super) fn decode<'a>(text: &'a str, event: &mut Event<'a>) -> bool {
    if !text.contains(MARK) {
        return false;
    }
    let Some((before, rest)) = text.split_once(MARK) else { return false };
    let Some((client, rest)) = rest.split_once('"') else { return false };
    let Some(address) = address_in(client) else { return false };
    event.log_source = LogSource { category: None, product: Some("linux"), service: Some("vsftpd") };
    event.push_piece("src_ip", address);
    let (user, command) = match before.rsplit_once("] ") {
        Some((user, command)) => (user.rsplit_once('[').map_or("", |(_, user)| user), command),
        None => ("", before),
    };
    if !user.starts_with("pid ") {
        event.push_piece("user", user);
    }
    match command {
        "FAIL LOGIN" => event.conclude("action", "login_failed"),
        "OK LOGIN" => event.conclude("action", "login_ok"),
        _ => event.push_piece("action", command),
    }
    event.push_piece("file", rest.split('"').nth(1).unwrap_or(""));
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logins_and_transfers_are_told() {
        let told = |line| {
            let mut event = Event::default();
            decode(line, &mut event).then(|| {
                ["user", "action", "src_ip", "file"].map(|name| event.text(name).unwrap_or("").to_owned())
            })
        };
        let line = "Mon Jan  5 10:00:00 2026 [pid 7] [anna] FAIL LOGIN: Client \"203.0.113.9\"";
        assert_eq!(told(line).unwrap(), ["anna", "login_failed", "203.0.113.9", ""]);
        let line = "Mon Jan  5 10:00:00 2026 [pid 7] [anna] OK LOGIN: Client \"::ffff:203.0.113.9\"";
        assert_eq!(told(line).unwrap(), ["anna", "login_ok", "203.0.113.9", ""]);
        let line = "[pid 7] [anna] OK UPLOAD: Client \"203.0.113.9\", \"/in/a.php\", 12 bytes";
        assert_eq!(told(line).unwrap(), ["anna", "OK UPLOAD", "203.0.113.9", "/in/a.php"]);
        let line = "Mon Jan  5 10:00:00 2026 [pid 7] CONNECT: Client \"203.0.113.9\"";
        assert_eq!(told(line).unwrap(), ["", "CONNECT", "203.0.113.9", ""]);
        assert_eq!(told("the meeting: Client \"Acme\" agreed"), None);
    }
}
