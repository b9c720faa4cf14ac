//! Passwords among the arguments of well-known programs, which name them by a letter or only by their place.

use std::ops::Range;

use crate::redact::{
    Finds, Kind, ordinary,
    values::{self, quoted, skip_audit_name},
    written::{begins_word, read, run},
};

/// A program that takes a password.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) names: &'static [&'static str],
    takes: Takes,
}

#[derive(Debug, Clone, Copy)]
enum Takes {
    /// After or within one of these options.
    Option(&'static [&'static str]),
    /// After a mark within the argument of one of these options, as in `-u anna:x`.
    Part(&'static [&'static str], u8),
    /// In the argument that has this place, options not counted.
    Place(usize),
    /// In the argument after the name of a share.
    AfterShare,
    /// As the last argument.
    Last,
    /// In the argument before the pipe into it.
    Piped,
}

pub(super) const CLIENTS: &[Client] = &[
    Client {
        names: &[
            "mysql",
            "mysqldump",
            "mysqladmin",
            "mysqlimport",
            "mysqlsh",
            "mariadb",
            "mariadb-dump",
            "sshpass",
        ],
        takes: Takes::Option(&["-p"]),
    },
    Client {
        names: &[
            "psexec",
            "psexec64",
            "paexec",
            "mongo",
            "mongosh",
            "mongodump",
            "mongorestore",
            "evil-winrm",
        ],
        takes: Takes::Option(&["-p"]),
    },
    Client {
        names: &["crackmapexec", "netexec", "nxc", "hydra", "rdesktop", "mosquitto_pub"],
        takes: Takes::Option(&["-p", "-P"]),
    },
    Client {
        names: &["docker login", "podman login", "helm login", "az login", "oc login"],
        takes: Takes::Option(&["-p"]),
    },
    Client { names: &["redis-cli"], takes: Takes::Option(&["-a"]) },
    Client {
        names: &["sqlcmd", "bcp", "osql", "tsql", "ipmitool", "zip", "unzip"],
        takes: Takes::Option(&["-P"]),
    },
    Client {
        names: &["7z a", "7z x", "7z e", "7z t", "7z.exe", "7za", "rar", "unrar"],
        takes: Takes::Option(&["-p", "-hp"]),
    },
    Client { names: &["plink", "pscp", "psftp"], takes: Takes::Option(&["-pw"]) },
    Client {
        names: &["ldapsearch", "ldapmodify", "ldapadd", "ldapdelete", "ldapwhoami"],
        takes: Takes::Option(&["-w"]),
    },
    Client { names: &["xfreerdp", "schtasks"], takes: Takes::Option(&["/p:", "/p", "/rp"]) },
    Client {
        names: &["snmpwalk", "snmpget", "snmpset", "snmpbulkwalk"],
        takes: Takes::Option(&["-c", "-A", "-X"]),
    },
    Client { names: &["useradd", "usermod", "certutil"], takes: Takes::Option(&["-p"]) },
    Client { names: &["curl"], takes: Takes::Part(&["-u", "--user", "-U", "--proxy-user"], b':') },
    Client { names: &["smbclient", "rpcclient", "smbmap"], takes: Takes::Part(&["-U", "--user"], b'%') },
    Client { names: &["net user", "net1 user"], takes: Takes::Place(1) },
    Client { names: &["net use", "net1 use"], takes: Takes::AfterShare },
    Client { names: &["ConvertTo-SecureString"], takes: Takes::Place(0) },
    Client {
        names: &["htpasswd -b", "htpasswd -nb", "htpasswd -bc", "htpasswd -cb", "htpasswd -bnB"],
        takes: Takes::Last,
    },
    Client { names: &["snmp-server community"], takes: Takes::Place(0) },
    Client { names: &["requirepass", "masterauth"], takes: Takes::Place(0) },
    // As PHP's traces show calls.
    Client {
        names: &[
            "PDO->__construct",
            "mysqli->__construct",
            "mysqli_connect",
            "mysql_connect",
            "ssh2_auth_password",
        ],
        takes: Takes::Place(2),
    },
    Client { names: &["chpasswd", "passwd --stdin"], takes: Takes::Piped },
];

/// How much of a command is read.
const LONGEST: usize = 1 << 10;

/// Looks at the arguments of a program.
pub(super) fn look(bytes: &[u8], hit: Range<usize>, client: &'static Client, finds: &mut Finds) {
    let is_of_other = hit.start > 0 && bytes[hit.start - 1] == b'-';
    if is_of_other || !begins_word(bytes, hit.start) || !finds.is_new_command(hit.start, client) {
        return;
    }
    if matches!(client.takes, Takes::Piped) {
        return piped(bytes, hit.start, finds);
    }
    let Some((arguments, end)) = arguments(bytes, hit.end) else { return };
    finds.read_command(client, end);
    let text = |argument: &Range<usize>| &bytes[argument.clone()];
    match client.takes {
        Takes::Option(names) => {
            for value in (0..arguments.len()).filter_map(|at| value_of(bytes, &arguments[at..], names)) {
                add(bytes, value, finds);
            }
        }
        Takes::Part(names, mark) => {
            for value in (0..arguments.len()).filter_map(|at| value_of(bytes, &arguments[at..], names)) {
                if let Some(place) = memchr::memchr(mark, text(&value)) {
                    add(bytes, value.start + place + 1..value.end, finds);
                }
            }
        }
        Takes::Place(place) => {
            if let Some(argument) =
                arguments.into_iter().filter(|argument| !is_option(text(argument))).nth(place)
            {
                add(bytes, argument, finds);
            }
        }
        Takes::AfterShare => {
            let mut from_share =
                arguments.into_iter().skip_while(|argument| !text(argument).starts_with(b"\\\\"));
            if let Some(argument) = from_share.nth(1).filter(|argument| !is_option(text(argument))) {
                add(bytes, argument, finds);
            }
        }
        Takes::Last => {
            if let Some(argument) = arguments.into_iter().next_back() {
                add(bytes, argument, finds);
            }
        }
        Takes::Piped => {}
    }
}

/// Returns the arguments after a program's name, and where they end.
fn arguments(bytes: &[u8], name_end: usize) -> Option<(Vec<Range<usize>>, usize)> {
    let has_extension =
        bytes.get(name_end..name_end + 4).is_some_and(|end| end.eq_ignore_ascii_case(b".exe"));
    let at = name_end + if has_extension { 4 } else { 0 };
    let at = at + run(bytes, at, 1, |byte| matches!(byte, b'"' | b'\''));
    let is_divided = matches!(bytes.get(at), Some(b' ' | b'\t' | b',' | b'('));
    let mut arguments = Arguments { bytes, at, end: bytes.len().min(at + LONGEST) };
    let all: Vec<_> = is_divided.then(|| arguments.by_ref().collect())?;
    Some((all, arguments.at))
}

/// Returns the value, if the first argument is one of these options: the rest of it, or the next argument.
fn value_of(bytes: &[u8], arguments: &[Range<usize>], names: &[&str]) -> Option<Range<usize>> {
    let argument = arguments.first()?;
    let text = &bytes[argument.clone()];
    let name = names.iter().find(|name| text.starts_with(name.as_bytes()))?;
    let Some(rest) = text.get(name.len()..).filter(|rest| !rest.is_empty()) else {
        return arguments.get(1).filter(|next| bytes.get(next.start) != Some(&b'-')).cloned();
    };
    // `-password` and `--user-agent` are other options, which may be known by their names.
    let is_other = name.starts_with("--") && rest[0] != b'=' || rest.starts_with(b"assw") || *name == "/p";
    let start = argument.start + name.len() + usize::from(rest[0] == b'=');
    (!is_other).then_some(start..argument.end)
}

/// `echo root:x | chpasswd`, `echo x | passwd --stdin root`
fn piped(bytes: &[u8], program: usize, finds: &mut Finds) {
    let line = &bytes[program.saturating_sub(LONGEST)..program];
    let Some(pipe) = memchr::memrchr(b'|', line) else { return };
    let before = line[..pipe].trim_ascii_end();
    let Some(space) = memchr::memrchr(b' ', before) else { return };
    let start = program - line.len() + space + 1;
    let word = values::unwrapped(bytes, start..start + before.len() - space - 1);
    let user = memchr::memchr(b':', &bytes[word.clone()]).map_or(0, |colon| colon + 1);
    add(bytes, word.start + user..word.end, finds);
}

fn is_option(argument: &[u8]) -> bool {
    matches!(argument, [b'-', second, ..] if second.is_ascii_alphabetic() || *second == b'-')
        || matches!(argument, [b'/', rest @ ..] if !rest.contains(&b'/') && rest.len() <= 24)
}

fn add(bytes: &[u8], value: Range<usize>, finds: &mut Finds) {
    if !finds.covers(value.start) && !ordinary::is_in_its_place(&bytes[value.clone()]) {
        finds.add(Kind::Password, value);
    }
}

/// The arguments of a command, as a shell takes them, a list in JSON has them, or the kernel's audit writes them.
struct Arguments<'t> {
    bytes: &'t [u8],
    at: usize,
    end: usize,
}

impl Iterator for Arguments<'_> {
    type Item = Range<usize>;

    fn next(&mut self) -> Option<Range<usize>> {
        let is_between = |byte: u8| matches!(byte, b' ' | b'\t' | b',' | b'[' | b'(');
        self.at += run(self.bytes, self.at, LONGEST, is_between);
        self.at = skip_audit_name(self.bytes, self.at);
        let mark = read(self.bytes, self.at);
        let ends = mark.is_blank() || matches!(mark.byte, b'|' | b';' | b']' | b'>' | b'&') && mark.len == 1;
        if ends || self.at >= self.end {
            return None;
        }
        if mark.is_quote() {
            let quoted = quoted(self.bytes, self.at);
            self.at = quoted.end.max(self.at + mark.len);
            return Some(quoted.inner);
        }
        let start = self.at;
        loop {
            let mark = read(self.bytes, self.at);
            if mark.is_blank() || mark.is_quote() && self.ends_with(mark.len) {
                return Some(start..self.at);
            }
            self.at = if mark.is_quote() { quoted(self.bytes, self.at).end } else { self.at + mark.len };
        }
    }
}

impl Arguments<'_> {
    /// Whether the command ends with the quote that stands here.
    fn ends_with(&self, length: usize) -> bool {
        let next = read(self.bytes, self.at + length);
        next.is_blank() || matches!(next.byte, b',' | b']' | b'}' | b')' | b';')
    }
}
