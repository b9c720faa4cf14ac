//! What decoding promises whatever a text holds.

use std::time::Instant;

use proptest::prelude::*;
use sentinelflow_domain::log_entry::{Message, Metadata, SeverityLevel, Source};

use super::*;

fn entry(message: &str, metadata: &str) -> LogEntry {
    LogEntry {
        source: Source::try_from("app".to_owned()).unwrap(),
        event_id: 1,
        severity_level: SeverityLevel::Info,
        message: Message::try_from(message.to_owned()).unwrap(),
        metadata: Metadata::parse(metadata).unwrap(),
        timestamp: None,
    }
}

/// A line of every format, with a hole for what somebody outside may write.
const LINES: [&str; 26] = [
    "{}",
    "Jan  5 10:00:00 h sshd[1]: Failed password for {} from 203.0.113.9 port 22 ssh2",
    "Jan  5 10:00:00 h sudo[1]: anna : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND={}",
    "Jan  5 10:00:00 h su: pam_unix(su:auth): authentication failure; rhost={} user=anna",
    "203.0.113.9 - - [05/Jan/2026:10:00:00 +0000] \"GET /a?b={} HTTP/1.1\" 200 5 \"{}\" \"{}\"",
    "GET {} 404 client=203.0.113.9",
    "{\"request\":{\"path\":\"{}\"},\"client_ip\":\"203.0.113.9\"}",
    "{\"msg\":\"\\u0041{}\"}",
    "type=SYSCALL msg=audit(1:2): comm=\"{}\" exe={}",
    "CEF:0|a|b{}|c|d|e|5|src=203.0.113.9 request=/x?y={} msg={} z",
    "Jan  5 10:00:00 gw CEF:0|Microsoft|Microsoft Windows||x:4625|{}|5|duser={}",
    "LEEF:2.0|a|b|c|d|^|src={}^usrName={}^url={}",
    "LEEF:1.0|a|b|c|d|src={}\tusrName={}",
    "<Event xmlns='x'><System><EventID>1</EventID><Channel>Security</Channel></System><EventData><Data Name='CommandLine'>{}</Data><Data Name='{}'>x</Data></EventData></Event>",
    "<Event>{}",
    "2026-01-05 10:00:00 192.0.2.8 GET /{} {} 443 - 203.0.113.9 {} 500 0 0",
    "client @0x7f 203.0.113.9#53 ({}): query: {} IN A + (192.0.2.8)",
    "client 203.0.113.9#53: query (cache) '{}/A/IN' denied",
    "Jan  5 10:00:00 h postfix/smtpd[1]: NOQUEUE: reject: RCPT from {}[203.0.113.9]: 554 {}; from=<{}> to=<{}>",
    "Jan  5 10:00:00 h postfix/smtpd[1]: warning: {}[203.0.113.9]: SASL LOGIN authentication failed: {}",
    "dovecot: imap-login: Disconnected (auth failed): user=<{}>, method=PLAIN, rip={}, lip=192.0.2.8",
    "dovecot: auth: passwd-file({},203.0.113.9): unknown user",
    "[pid 7] [{}] FAIL LOGIN: Client \"203.0.113.9\", \"{}\"",
    "[x] [error] [client 203.0.113.9] File does not exist: {}, referer: {}",
    "2026/01/05 10:00:00 [error] 1#0: *1 open() \"{}\" failed, client: {}, server: {}, request: \"GET /{} HTTP/1.1\", host: \"{}\"",
    "Login failed for user {} from {} by 203.0.113.9",
];

fn check(message: &str, metadata: &str) -> Result<(), TestCaseError> {
    let entry = entry(message, metadata);
    let decoded = decode(&entry);
    let first = &decoded.event.fields[MESSAGE_FIELD];
    prop_assert_eq!(&first.name, "message");
    prop_assert_eq!(&first.value, &Value::Text(message.into()));
    for field in &decoded.event.fields {
        if let (Origin::Message, Value::Text(text)) = (field.origin, &field.value) {
            prop_assert!(message.contains(text.as_ref()), "{} = {:?} of {:?}", field.name, text, message);
        }
    }
    for input in &decoded.inputs {
        prop_assert!(input.field < decoded.event.fields.len());
    }
    prop_assert_eq!(format!("{decoded:?}"), format!("{:?}", decode(&entry)));
    Ok(())
}

proptest! {
    #[test]
    fn any_text_is_decoded_alike_and_kept_whole(text in "\\PC{0,120}", marks in "[ '\"<>%&=;|$(){}/.*a-f0-9#\\\\:,@\\[\\]-]{0,120}") {
        for hole in [&text, &marks] {
            for line in LINES {
                let message = line.replace("{}", hole);
                if Message::try_from(message.clone()).is_ok() {
                    check(&message, "{}")?;
                }
            }
        }
    }

    #[test]
    fn a_line_that_broke_off_is_decoded_too(line in 0..LINES.len(), cut in 0..300_usize, hole in "[a-z0-9.:'\"<>=| é\\\\]{0,20}") {
        let whole = LINES[line].replace("{}", &hole);
        let message = whole.get(..whole.floor_char_boundary(cut)).unwrap();
        if Message::try_from(message.to_owned()).is_ok() {
            let metadata = serde_json::json!({ "path": hole, "ip": hole, "user": hole, "x": { "body": hole } });
            check(message, &metadata.to_string())?;
        }
    }
}

#[test]
fn giants_take_linear_time() {
    const SIZE: usize = 65_000;
    let tokens = [
        "|",
        "\\",
        "a=",
        "a=b ",
        " a\\=",
        "^",
        "\t",
        "<",
        "<a ",
        "<a b='",
        "<Data Name='x'>",
        "&amp;",
        "&",
        "</",
        "client ",
        "client 1.2.3.4#",
        "[client ",
        ", client: ",
        "reject: ",
        " from ",
        "[1.2.3.4]",
        "(",
        "(a,",
        ": Client \"",
        "] ",
        "user ",
        "user=",
        "for ",
        "for a from ",
        "1.2.3.4 ",
        "from 1.2.3.4 ",
        "by 1.2.3.4 ",
        "1.",
        "::",
        "a",
        "'",
        "\"",
        "=",
        "[",
        "GET ",
        "GET / ",
        "- ",
        "/",
        "{",
        "é",
    ];
    let starts = [
        "",
        "CEF:0|a|b|c|d|e|5|",
        "CEF:0|",
        "LEEF:1.0|a|b|c|d|",
        "LEEF:2.0|a|b|c|d|^|",
        "<Event ",
        "<Event>",
        "<?xml",
        "2026-01-05 10:00:00 192.0.2.8 GET / ",
        "client 203.0.113.9#53: ",
        "Jan  5 10:00:00 h postfix/smtpd[1]: ",
        "dovecot: ",
        "[pid 7] ",
        "[x] [error] [client 203.0.113.9] ",
        "Login failed for user ",
    ];
    for start in starts {
        for token in tokens {
            let message = format!("{start}{}", token.repeat((SIZE - start.len()) / token.len()));
            let entry = entry(&message, "{}");
            let begun = Instant::now();
            let fields = decode(&entry).event.fields.len();
            // Generous: what is guarded against takes minutes.
            assert!(
                begun.elapsed().as_secs() < 2,
                "{start}{token}: {fields} fields in {:?}",
                begun.elapsed()
            );
        }
    }
}

#[test]
fn whoever_tells_it_the_actor_is_named_alike() {
    for (message, metadata) in [
        ("Jan  5 10:00:00 h sshd[1]: Failed password for anna from 203.0.113.9 port 22 ssh2", "{}"),
        ("Login failed for user anna from 203.0.113.9", "{}"),
        ("login failed", r#"{"ip": "203.0.113.9", "username": "anna"}"#),
        (r#"{"event":"login_failed","client":{"ip":"203.0.113.9"},"user":{"name":"anna"}}"#, "{}"),
        (
            "An account failed to log on.",
            r#"{"Channel": "Security", "EventID": 4625, "Event": {"EventData": {"IpAddress": "203.0.113.9", "TargetUserName": "anna", "SubjectUserName": "DC$"}}}"#,
        ),
        (
            "<Event><System><EventID>4625</EventID><Channel>Security</Channel></System><EventData><Data Name='SubjectUserName'>DC$</Data><Data Name='TargetUserName'>anna</Data><Data Name='IpAddress'>203.0.113.9</Data></EventData></Event>",
            "{}",
        ),
        ("203.0.113.9 - anna [05/Jan/2026:10:00:00 +0000] \"GET / HTTP/1.1\" 401 5", "{}"),
        ("[pid 7] [anna] FAIL LOGIN: Client \"203.0.113.9\"", "{}"),
        ("CEF:0|a|b|c|d|login failed|5|src=203.0.113.9 duser=anna", "{}"),
        ("2026-01-05 10:00:00 192.0.2.8 GET / - 443 anna 203.0.113.9 curl 401 0 0", "{}"),
    ] {
        let entry = entry(message, metadata);
        let event = decode(&entry).event;
        assert_eq!(
            (event.text("src_ip"), event.text("user")),
            (Some("203.0.113.9"), Some("anna")),
            "{message}"
        );
    }
}

#[test]
fn windows_events_as_xml_get_their_log_source() {
    let message = "<Event xmlns='x'><System><Provider Name='Microsoft-Windows-Sysmon'/><EventID>1</EventID><Channel>Microsoft-Windows-Sysmon/Operational</Channel></System><EventData><Data Name='Image'>C:\\x.exe</Data></EventData></Event>";
    let entry = entry(message, "{}");
    let source = decode(&entry).event.log_source;
    assert_eq!(
        (source.category, source.product, source.service),
        (Some("process_creation"), Some("windows"), Some("sysmon"))
    );
}

#[test]
fn what_a_client_could_not_get_is_an_input() {
    let message =
        "[Mon Jan 05 10:00:00 2026] [error] [client 203.0.113.9] File does not exist: /srv/../../etc/passwd";
    let entry = entry(message, "{}");
    let decoded = decode(&entry);
    assert_eq!(decoded.event.text("c-ip"), Some("203.0.113.9"));
    let path = decoded.inputs.iter().find(|input| input.context == Context::Path).unwrap();
    let text = Value::Text("/srv/../../etc/passwd".into());
    assert_eq!(decoded.event.fields[path.field].value, text);
}

#[test]
fn members_that_carry_requests_are_inputs() {
    for metadata in [
        r#"{"request": {"uri": "/a?b=%3Cscript%3E"}}"#,
        r#"{"http": {"url": "https://a.example/?b=%3Cscript%3E"}}"#,
        r#"{"requestBody": "b=%3Cscript%3E"}"#,
        r#"{"queryString": "b=%3Cscript%3E"}"#,
        r#"{"http.request.body": "%3Cscript%3E"}"#,
    ] {
        let entry = entry("a request", metadata);
        let decoded = decode(&entry);
        let text = Value::Text("<script>".into());
        let is_input = |input: &Input<'_>| decoded.event.fields[input.field].value == text;
        assert!(decoded.inputs.iter().any(is_input), "{metadata}");
    }
}
