//! One entry of a list → what it stands for, or why it can't be used. Defanged forms (`hxxp`, `[.]`) are understood.

use std::{borrow::Cow, net::IpAddr, sync::LazyLock};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::{domain, url};

/// Something that an event may hold, in its one form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Indicator {
    Network(IpNet),
    Domain(String),
    Hash(Hash),
    Url(String),
}

/// The four kinds of indicators.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    Address,
    Domain,
    Hash,
    Url,
}

/// The hash of a file, by its length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hash {
    Md5([u8; 16]),
    Sha1([u8; 20]),
    Sha256([u8; 32]),
}

/// Wider networks hold so many neighbours that a match would tell nothing.
const WIDEST_V4: u8 = 8;
const WIDEST_V6: u8 = 16;

/// Networks whose addresses mean another machine everywhere, or none.
static RESERVED: LazyLock<Vec<(IpNet, &str)>> = LazyLock::new(|| {
    let parsed = |(network, why): (&str, _)| (network.parse().expect("a valid network"), why);
    RESERVED_NETWORKS.into_iter().map(parsed).collect()
});

const RESERVED_NETWORKS: [(&str, &str); 14] = [
    ("0.0.0.0/8", "stands for no machine"),
    ("10.0.0.0/8", "is private"),
    ("100.64.0.0/10", "is private"),
    ("127.0.0.0/8", "is loopback"),
    ("169.254.0.0/16", "is link-local"),
    ("172.16.0.0/12", "is private"),
    ("192.168.0.0/16", "is private"),
    ("224.0.0.0/4", "is multicast"),
    ("240.0.0.0/4", "is reserved"),
    ("::/128", "stands for no machine"),
    ("::1/128", "is loopback"),
    ("fc00::/7", "is private"),
    ("fe80::/10", "is link-local"),
    ("ff00::/8", "is multicast"),
];

/// The hashes of nothing, which stand in many logs.
const EMPTY_FILE: [&str; 3] = [
    "d41d8cd98f00b204e9800998ecf8427e",
    "da39a3ee5e6b4b0d3255bfef95601890afd80709",
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
];

impl Indicator {
    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Network(_) => Kind::Address,
            Self::Domain(_) => Kind::Domain,
            Self::Hash(_) => Kind::Hash,
            Self::Url(_) => Kind::Url,
        }
    }

    /// Reads an entry of a list.
    pub(super) fn read(raw: &str) -> Result<Self, &'static str> {
        let text = refanged(raw.trim());
        if text.contains("://") {
            return listed_url(&text).map(Self::Url);
        }
        if let Some(hash) = Hash::read(&text) {
            return listed_hash(hash, &text).map(Self::Hash);
        }
        let is_hex = text.len() >= 32 && text.bytes().all(|b| b.is_ascii_hexdigit());
        if is_hex {
            return Err("is no MD5, SHA-1 or SHA-256, by its length");
        }
        if let Some(network) = network(&text) {
            return listed_network(network).map(Self::Network);
        }
        if text.contains('/') {
            return Err("is neither a network nor a URL with its scheme");
        }
        if text.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok()) {
            return Err("has a port; list the address or the domain alone");
        }
        domain::listed(&text).map(Self::Domain)
    }
}

impl Kind {
    /// By their number.
    pub const ALL: [Self; 4] = [Self::Address, Self::Domain, Self::Hash, Self::Url];

    /// Returns what many of the kind are called.
    pub fn plural(self) -> &'static str {
        match self {
            Self::Address => "addresses",
            Self::Domain => "domains",
            Self::Hash => "hashes",
            Self::Url => "URLs",
        }
    }
}

impl Hash {
    /// Returns the hash that a text writes in hex.
    pub(super) fn read(hex: &str) -> Option<Self> {
        match hex.len() {
            32 => binary(hex).map(Self::Md5),
            40 => binary(hex).map(Self::Sha1),
            64 => binary(hex).map(Self::Sha256),
            _ => None,
        }
    }
}

fn binary<const N: usize>(hex: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(hex.as_bytes().as_chunks::<2>().0) {
        let digit = |at: usize| char::from(pair[at]).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        *byte = digit(0)? << 4 | digit(1)?;
    }
    Some(bytes)
}

/// Returns an address as IPv4 if it is one in the clothes of IPv6.
pub(super) fn unmapped(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or(address, IpAddr::V4),
        IpAddr::V4(_) => address,
    }
}

/// Undoes what keeps people from clicking. Most entries have nothing to undo.
fn refanged(raw: &str) -> Cow<'_, str> {
    const SIGNS: [(&str, &str); 9] = [
        ("[.]", "."),
        ("(.)", "."),
        ("{.}", "."),
        ("[dot]", "."),
        ("(dot)", "."),
        ("[://]", "://"),
        ("[:]//", "://"),
        ("[:]", ":"),
        ("[/]", "/"),
    ];
    let mut text = Cow::Borrowed(raw);
    if raw.contains(['[', '(', '{']) {
        for (defanged, plain) in SIGNS {
            if text.contains(defanged) {
                text = Cow::Owned(text.replace(defanged, plain));
            }
        }
    }
    let scheme = text.split("://").next().unwrap_or_default();
    let plain = match scheme.to_ascii_lowercase().as_str() {
        "hxxp" | "httx" | "h**p" | "htxp" => "http",
        "hxxps" | "h**ps" | "htxps" => "https",
        "fxp" => "ftp",
        _ => return text,
    };
    text.split_once("://").map(|(_, rest)| Cow::Owned(format!("{plain}://{rest}"))).unwrap_or(text)
}

fn network(text: &str) -> Option<IpNet> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let network = bare.parse::<IpNet>().ok().or_else(|| bare.parse::<IpAddr>().ok().map(IpNet::from))?;
    Some(
        match network {
            IpNet::V6(v6) => v4_of(v6).map_or(network, IpNet::V4),
            IpNet::V4(_) => network,
        }
        .trunc(),
    )
}

fn v4_of(network: Ipv6Net) -> Option<Ipv4Net> {
    let length = network.prefix_len().checked_sub(96)?;
    Ipv4Net::new(network.addr().to_ipv4_mapped()?, length).ok()
}

fn listed_network(network: IpNet) -> Result<IpNet, &'static str> {
    let widest = if matches!(network, IpNet::V4(_)) { WIDEST_V4 } else { WIDEST_V6 };
    if network.prefix_len() < widest {
        return Err("is so wide that a match would tell nothing");
    }
    for (reserved, why) in RESERVED.iter() {
        if reserved.contains(&network) {
            return Err(why);
        }
        if network.contains(reserved) {
            return Err("holds private or reserved addresses");
        }
    }
    Ok(network)
}

fn listed_hash(hash: Hash, hex: &str) -> Result<Hash, &'static str> {
    if EMPTY_FILE.iter().any(|empty| empty.eq_ignore_ascii_case(hex)) {
        return Err("is the hash of an empty file");
    }
    if hex.bytes().all(|b| b == b'0') { Err("stands for no file") } else { Ok(hash) }
}

fn listed_url(text: &str) -> Result<String, &'static str> {
    if text.len() > url::LONGEST {
        return Err("is longer than the 2,048 bytes that are looked up");
    }
    let url = url::canonical(text).ok_or("is no URL with a host")?;
    let host = url::host(&url);
    if let Ok(address) = host.parse::<IpAddr>() {
        listed_network(IpNet::from(unmapped(address)))?;
    } else if host == "localhost" {
        return Err("is loopback");
    }
    // It would hide what follows it in the table of URLs, and no URL holds one.
    if url.contains(|c: char| c.is_whitespace() || c.is_control()) {
        Err("has a space in it")
    } else {
        Ok(url)
    }
}
