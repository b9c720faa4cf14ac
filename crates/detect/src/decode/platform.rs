//! Which platform an event comes from, by its source and its fields, and Sigma's flat names for nested ones:
//! Windows events, `CloudTrail`, Kubernetes audit, Okta.

use std::borrow::Cow;

use crate::{
    decode::names::last_part,
    event::{Event, Field, LogSource, Origin, Value},
};

/// Sets the log source if source or fields tell it.
pub(crate) fn recognise(event: &mut Event<'_>) {
    if let Some((channel, service)) = windows_channel(event) {
        windows(channel, service, event);
        return;
    }
    let has = |name: &str| event.text(name).is_some();
    let source = event.text("source").unwrap_or("");
    let log_source = if has("eventSource") && has("eventName") || is_named(source, "cloudtrail") {
        Some(("aws", "cloudtrail"))
    } else if has("auditID") && has("verb") || is_named(source, "k8s") || is_named(source, "kubernetes") {
        Some(("kubernetes", "audit"))
    } else if has("eventType") && has("published") || is_named(source, "okta") {
        Some(("okta", "okta"))
    } else {
        None
    };
    if let Some((product, service)) = log_source {
        event.log_source = LogSource { category: None, product: Some(product), service: Some(service) };
    }
}

fn is_named(source: &str, name: &str) -> bool {
    source.as_bytes().windows(name.len()).any(|window| window.eq_ignore_ascii_case(name.as_bytes()))
}

/// Returns the Windows channel that an event names, and Sigma's word for it.
fn windows_channel(event: &Event<'_>) -> Option<(&'static str, &'static str)> {
    const CHANNELS: [(&str, &str, &str); 7] = [
        ("sysmon", "Microsoft-Windows-Sysmon/Operational", "sysmon"),
        ("windows-powershell", "Microsoft-Windows-PowerShell/Operational", "powershell"),
        ("windows-security", "Security", "security"),
        ("windows powershell", "Windows PowerShell", "powershell-classic"),
        ("windows-taskscheduler", "Microsoft-Windows-TaskScheduler/Operational", "taskscheduler"),
        ("windows-windows defender", "Microsoft-Windows-Windows Defender/Operational", "windefend"),
        ("windows-bits-client", "Microsoft-Windows-Bits-Client/Operational", "bits-client"),
    ];
    for (at, field) in event.fields.iter().enumerate() {
        let Value::Text(text) = &field.value else { continue };
        if at != 1 && !names_channel(&field.name) {
            continue;
        }
        if let Some((_, channel, service)) = CHANNELS.iter().find(|(part, ..)| is_named(text, part)) {
            return Some((channel, service));
        }
        match text.as_ref() {
            "Security" => return Some(("Security", "security")),
            "System" => return Some(("System", "system")),
            "Application" => return Some(("Application", "application")),
            _ => {}
        }
    }
    None
}

/// Whether a field is one in which Windows or a collector names the channel or its provider. A visitor may send the same
/// words as parameters, which lie in other members and must not pass for a report.
fn names_channel(name: &str) -> bool {
    const AROUND: [&str; 6] = ["Event", "System", "Provider", "#attributes", "@attributes", "winlog"];
    // Nearly all other names are told apart by this.
    if !name.ends_with("Name") && !name.ends_with("Channel") && !name.ends_with("Provider") {
        return false;
    }
    let (around, last) = name.rsplit_once('.').unwrap_or(("", name));
    let is_ours = around.is_empty() || around.split('.').all(|part| AROUND.contains(&part));
    match last {
        "Name" => is_ours && !around.is_empty(),
        "Channel" | "Provider" | "Provider_Name" | "ProviderName" | "SourceName" => is_ours,
        _ => false,
    }
}

fn windows(channel: &'static str, service: &'static str, event: &mut Event<'_>) {
    flatten(event);
    let sent_id = event.values("event_id").find_map(|value| match value {
        Value::Number(id) => Some(*id),
        _ => None,
    });
    if event.values("EventID").next().is_none()
        && let Some(id) = sent_id
    {
        event.push("EventID", Value::Number(id), Origin::Metadata);
    }
    if event.text("Channel").is_none() {
        event.push("Channel", Value::Text(channel.into()), Origin::Metadata);
    }
    let id = event.values("EventID").find_map(|value| match value {
        Value::Number(id) => Some(id.to_string()),
        Value::Text(id) => Some(id.to_string()),
        _ => None,
    });
    let category = match (service, id.as_deref()) {
        ("sysmon", Some("1")) | ("security", Some("4688")) => Some("process_creation"),
        ("sysmon", Some("2")) => Some("file_change"),
        ("sysmon", Some("3")) => Some("network_connection"),
        ("sysmon", Some("6")) => Some("driver_load"),
        ("sysmon", Some("7")) => Some("image_load"),
        ("sysmon", Some("8")) => Some("create_remote_thread"),
        ("sysmon", Some("10")) => Some("process_access"),
        ("sysmon", Some("11")) => Some("file_event"),
        ("sysmon", Some("13")) => Some("registry_set"),
        ("sysmon", Some("12" | "14")) => Some("registry_event"),
        ("sysmon", Some("15")) => Some("create_stream_hash"),
        ("sysmon", Some("17" | "18")) => Some("pipe_created"),
        ("sysmon", Some("19" | "20" | "21")) => Some("wmi_event"),
        ("sysmon", Some("22")) => Some("dns_query"),
        ("sysmon", Some("23" | "26")) => Some("file_delete"),
        ("powershell", Some("4104")) => Some("ps_script"),
        ("powershell", Some("4103")) => Some("ps_module"),
        ("powershell-classic", _) => Some("ps_classic_start"),
        _ => None,
    };
    event.log_source = LogSource { category, product: Some("windows"), service: Some(service) };
}

/// Pushes `Event.EventData.Image` again as `Image`, where it is not there yet.
fn flatten(event: &mut Event<'_>) {
    let sent = event.fields.len();
    for index in 0..sent {
        let Field { name, value, origin } = &event.fields[index];
        let Some(last) = last_part(name) else { continue };
        let is_known = event.fields[..sent].iter().any(|other| other.name == last);
        let flat = (!is_known).then(|| Field {
            name: Cow::Owned(last.to_owned()),
            value: value.clone(),
            origin: *origin,
        });
        // `EventID` may be written with attributes: `{"EventID": {"#text": 1}}`.
        let has_id = last == "#text" && name.ends_with("EventID.#text");
        let id = has_id.then(|| Field { name: "EventID".into(), value: value.clone(), origin: *origin });
        event.fields.extend(flat.into_iter().chain(id));
    }
}
