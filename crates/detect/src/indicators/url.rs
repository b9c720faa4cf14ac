//! URLs → one form: scheme and host in lower case, no default port, no fragment, the rest as it is.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::domain;

/// Longer ones are not listed and not looked up.
pub(super) const LONGEST: usize = 2_048;

/// Returns the one form of a URL, if it has a scheme and a host.
pub(super) fn canonical(raw: &str) -> Option<String> {
    let (scheme, rest) = raw.split_once("://")?;
    let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'));
    if !is_scheme || raw.len() > LONGEST {
        return None;
    }
    let rest = rest.split('#').next().unwrap_or_default();
    let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let (user, host) = authority.rsplit_once('@').map_or(("", authority), |(user, host)| (user, host));
    let (host, port) = split_port(host);

    let mut url = String::with_capacity(raw.len() + 1);
    url.push_str(scheme);
    url.make_ascii_lowercase();
    let default_port = default_port(&url);
    url.push_str("://");
    if !user.is_empty() {
        url.push_str(user);
        url.push('@');
    }
    url.push_str(&canonical_host(host)?);
    if !port.is_empty() && port != default_port {
        url.push(':');
        url.push_str(port);
    }
    if !path.starts_with('/') {
        url.push('/');
    }
    url.push_str(path);
    Some(url)
}

/// Returns the host of a URL in its one form, without the brackets of an address.
pub(super) fn host(canonical: &str) -> &str {
    let authority =
        canonical.split("://").nth(1).unwrap_or_default().split(['/', '?']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    split_port(host).0.trim_matches(['[', ']'])
}

fn canonical_host(host: &str) -> Option<String> {
    if let Some(v6) = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        return v6.parse::<Ipv6Addr>().ok().map(|v6| format!("[{v6}]"));
    }
    if host.parse::<Ipv4Addr>().is_ok() { Some(host.to_owned()) } else { domain::canonical(host) }
}

fn split_port(host: &str) -> (&str, &str) {
    match host.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => (host, port),
        _ => (host, ""),
    }
}

fn default_port(scheme: &str) -> &'static str {
    match scheme {
        "http" | "ws" => "80",
        "https" | "wss" => "443",
        "ftp" => "21",
        _ => "",
    }
}
