//! Shell commands and code that a server would run: separators before commands, substitutions, evaluating expressions,
//! lookups, serialised objects, XML entities.

use std::ops::Range;

use crate::{
    decode::Context,
    payload::{Hit, Kind, Sign, Suspect, marks::Marks},
};

const fn shell(text: &'static str, value: u8, prose: u8) -> Sign {
    Sign { text, kind: Kind::Command, value, prose }
}

const fn code(text: &'static str, value: u8, prose: u8) -> Sign {
    Sign { text, kind: Kind::Code, value, prose }
}

const fn xxe(text: &'static str, value: u8, prose: u8) -> Sign {
    Sign { text, kind: Kind::Xxe, value, prose }
}

const fn crlf(text: &'static str, value: u8, prose: u8) -> Sign {
    Sign { text, kind: Kind::Crlf, value, prose }
}

pub(super) const SIGNS: &[Sign] = &[
    shell("/bin/sh", 84, 0),
    shell("/bin/bash", 84, 0),
    shell("/bin/cat", 82, 0),
    shell("/bin/ls", 80, 0),
    shell("/bin/id", 82, 0),
    shell("/bin/uname", 80, 0),
    shell("/bin/whoami", 82, 0),
    shell("/bin/sleep", 80, 0),
    shell("/bin/ping", 78, 0),
    shell("/bin/nc", 84, 0),
    shell("/bin/wget", 82, 0),
    shell("/bin/curl", 82, 0),
    shell("/bin/perl", 80, 0),
    shell("/bin/python", 80, 0),
    shell("/dev/tcp/", 92, 84),
    shell("${ifs}", 88, 70),
    shell("$ifs", 86, 60),
    shell("cmd.exe", 80, 0),
    shell("cmd /c", 82, 0),
    shell("powershell -", 82, 0),
    shell("() { :", 92, 90),
    shell("(){:", 90, 84),
    shell(">/dev/null", 76, 0),
    shell("|/bin/", 88, 60),
    shell("wget http", 84, 0),
    shell("curl http", 78, 0),
    shell("chmod 777", 84, 0),
    shell("chmod +x", 84, 0),
    shell("rm -rf", 84, 0),
    shell("nc -e", 88, 60),
    shell("net user", 74, 0),
    shell("<!--#exec", 88, 80),
    shell("<!--#include", 80, 60),
    code("${jndi:", 95, 92),
    code("${::-j}", 95, 94),
    code("${lower:", 90, 84),
    code("${upper:", 90, 84),
    code("${env:", 80, 40),
    code("${sys:", 78, 30),
    code("<?php", 86, 40),
    code("<?=", 80, 30),
    code("<%=", 70, 0),
    code("phpinfo(", 82, 30),
    code("system(", 78, 0),
    code("passthru(", 84, 40),
    code("shell_exec(", 86, 40),
    code("popen(", 76, 0),
    code("proc_open(", 84, 30),
    code("eval(", 74, 0),
    code("assert(", 62, 0),
    code("base64_decode(", 80, 30),
    code("file_get_contents(", 76, 0),
    code("file_put_contents(", 80, 30),
    code("call_user_func", 82, 40),
    code("create_function(", 82, 30),
    code("invokefunction", 84, 70),
    code("auto_prepend_file", 90, 80),
    code("allow_url_include", 90, 80),
    code("getruntime(", 86, 30),
    code("java.lang.runtime", 88, 40),
    code("java.lang.process", 82, 0),
    code("processbuilder", 80, 0),
    code("#_memberaccess", 94, 90),
    code("memberaccess", 74, 30),
    code("ognlcontext", 88, 60),
    code("@ognl.", 90, 80),
    code("class.module.classloader", 94, 90),
    code("freemarker.template.utility", 88, 60),
    code("t(java.lang", 90, 84),
    code("__import__(", 86, 40),
    code("os.system(", 82, 0),
    code("os.popen(", 84, 30),
    code("subprocess.", 66, 0),
    code("__globals__", 84, 40),
    code("__subclasses__", 86, 50),
    code("__mro__", 84, 40),
    code("child_process", 80, 0),
    code("process.mainmodule", 84, 40),
    code("constructor.constructor", 84, 50),
    code("constructor(\"", 70, 30),
    code("__proto__", 80, 30),
    code("constructor.prototype", 78, 30),
    code("ro0ab", 80, 0),
    code("aced0005", 84, 50),
    code("!!python/object", 90, 70),
    code("!!javax.script", 92, 80),
    code("aaeaaad/////", 86, 70),
    code("java.util.hashmap", 60, 0),
    code("objectdataprovider", 84, 60),
    code("xwork2", 70, 0),
    xxe("<!entity", 88, 60),
    xxe("<!doctype", 62, 0),
    xxe("xinclude", 72, 0),
    crlf("\r\nset-cookie:", 86, 0),
    crlf("\nset-cookie:", 84, 0),
    crlf("\r\nlocation:", 84, 0),
    crlf("\r\ncontent-length:", 84, 0),
    crlf("\r\ncontent-type:", 78, 0),
    crlf("\r\nhttp/1.", 84, 0),
];

/// Commands that tell, fetch, run or wait: what an attacker tries first.
const COMMANDS: &[&str] = &[
    "awk",
    "base64",
    "bash",
    "bitsadmin",
    "busybox",
    "cat",
    "certutil",
    "chmod",
    "chown",
    "cmd",
    "cp",
    "cron",
    "crontab",
    "csh",
    "curl",
    "cut",
    "dash",
    "date",
    "dd",
    "del",
    "df",
    "dig",
    "dir",
    "dpkg",
    "echo",
    "env",
    "exec",
    "expr",
    "false",
    "find",
    "ftp",
    "gawk",
    "gcc",
    "grep",
    "gzip",
    "head",
    "history",
    "host",
    "hostname",
    "id",
    "ifconfig",
    "ip",
    "ipconfig",
    "java",
    "kill",
    "killall",
    "ksh",
    "last",
    "less",
    "ln",
    "ls",
    "lsof",
    "mkdir",
    "mkfifo",
    "more",
    "mount",
    "mshta",
    "mv",
    "mysql",
    "nc",
    "ncat",
    "net",
    "netcat",
    "netstat",
    "nmap",
    "node",
    "nohup",
    "nslookup",
    "passwd",
    "perl",
    "php",
    "ping",
    "pkill",
    "powershell",
    "printenv",
    "printf",
    "ps",
    "pwd",
    "python",
    "python2",
    "python3",
    "reboot",
    "reg",
    "regsvr32",
    "rev",
    "rm",
    "route",
    "ruby",
    "rundll32",
    "scp",
    "sed",
    "set",
    "sh",
    "shutdown",
    "sleep",
    "socat",
    "sort",
    "ssh",
    "strings",
    "su",
    "sudo",
    "systeminfo",
    "tac",
    "tail",
    "tar",
    "taskkill",
    "tasklist",
    "tcpdump",
    "tee",
    "telnet",
    "tftp",
    "timeout",
    "top",
    "touch",
    "tracert",
    "true",
    "type",
    "uname",
    "unzip",
    "useradd",
    "ver",
    "vi",
    "vim",
    "vol",
    "w",
    "wc",
    "wget",
    "which",
    "who",
    "whoami",
    "wmic",
    "xargs",
    "xterm",
    "xxd",
    "zsh",
];

pub(super) fn detect(suspect: &Suspect<'_>, hits: &mut Vec<Hit>) {
    const SEPARATORS: Marks =
        Marks::SEMICOLON.or(Marks::PIPE).or(Marks::AMPERSAND).or(Marks::BACKTICK).or(Marks::LINE_BREAK);
    let substitutes = || suspect.marks.any(Marks::DOLLAR) && suspect.text.contains("$(");
    if (suspect.marks.any(SEPARATORS) || substitutes()) && suspect.context != Context::Header {
        separated(suspect, hits);
    }
    if suspect.context >= Context::Value {
        whole_command(suspect, hits);
        if suspect.marks.any(Marks::CURLY) {
            templates(suspect, hits);
        }
        serialised(suspect, hits);
    }
}

fn hit(kind: Kind, points: u8, range: Range<usize>) -> Hit {
    Hit { kind, points, range }
}

/// Finds a command behind a separator or within a substitution.
fn separated(suspect: &Suspect<'_>, hits: &mut Vec<Hit>) {
    const MOST: usize = 128;
    let text = suspect.text;
    let bytes = text.as_bytes();
    let is_separator = |b: &u8| matches!(b, b';' | b'|' | b'&' | b'`' | b'\n' | b'\r' | b'$');
    for (at, &byte) in bytes.iter().enumerate().filter(|(_, b)| is_separator(b)).take(MOST) {
        let mut after = at + 1;
        let points = match byte {
            b'$' if bytes.get(at + 1) == Some(&b'(') => {
                after += 1;
                84
            }
            b'$' => continue,
            b'`' => 82,
            b'|' | b';' => 80,
            b'\n' | b'\r' => 72,
            // A lone ampersand separates parameters and joins names.
            _ if bytes.get(at + 1) == Some(&b'&') => 80,
            _ => 66,
        };
        let Some((command, end, has_path)) = command_at(text, after) else { continue };
        let follows = bytes.get(end).copied();
        let is_bounded = follows.is_none_or(|b| b" \t\n\r;|&`)'\"$<>+%#\\-0123456789/*\xa0".contains(&b));
        if !is_bounded {
            continue;
        }
        let goes_on = bytes.get(end + 1).is_some_and(u8::is_ascii_alphabetic);
        let is_word = follows == Some(b' ') && goes_on && is_everyday_word(command) && !has_path;
        let points = match (suspect.is_prose(), byte) {
            (true, b'$' | b'`' | b'|') if has_path || byte == b'$' => points - 24,
            // People quote commands in backticks, and write them on lines of their own.
            (true, b';' | b'|' | b'&') if reaches_for_secrets(text.get(end..).unwrap_or("")) => points - 16,
            (true, _) => continue,
            (false, _) if suspect.is_hinted(Kind::Traversal) && points >= 72 => 89,
            (false, _) if is_word => 36,
            // `R&D`, `salt & vi…`: a short word after a lone ampersand is often a word.
            (false, b'&') if points == 66 && command.len() <= 3 => 36,
            (false, _) => points,
        };
        hits.push(hit(Kind::Command, points, at..end));
    }
}

/// Whether a command's arguments name what only an intruder asks for behind a separator; whoever writes a log line says
/// such things in words.
fn reaches_for_secrets(arguments: &str) -> bool {
    const MOST: usize = 80;
    const SECRETS: [&str; 9] = [
        "/etc/passwd",
        "/etc/shadow",
        "/etc/sudoers",
        "/proc/self/",
        "/dev/tcp/",
        "/.ssh/",
        "/.aws/",
        "\\win.ini",
        "\\system32\\config\\",
    ];
    let ends = |c: char| matches!(c, ';' | '|' | '&' | '\n' | '\r');
    let near = arguments.get(..arguments.floor_char_boundary(MOST)).unwrap_or("");
    let own = near.split(ends).next().unwrap_or("").to_ascii_lowercase();
    SECRETS.iter().any(|secret| own.contains(secret))
}

/// Whether a command's name is a word that people write after a semicolon.
fn is_everyday_word(name: &str) -> bool {
    const WORDS: [&str; 38] = [
        "cat", "cut", "dash", "date", "del", "env", "exec", "false", "find", "head", "history", "host", "id",
        "ip", "java", "kill", "last", "less", "more", "mount", "net", "node", "ping", "reg", "rev", "route",
        "set", "sleep", "sort", "strings", "tail", "timeout", "top", "touch", "true", "type", "which", "who",
    ];
    WORDS.iter().any(|word| word.eq_ignore_ascii_case(name))
}

/// Reads a command's name at a place, perhaps behind spaces and a path.
fn command_at(text: &str, from: usize) -> Option<(&str, usize, bool)> {
    let bytes = text.as_bytes();
    let skipped = bytes
        .get(from..)?
        .iter()
        .take(16)
        .take_while(|b| matches!(b, b' ' | b'\t' | b'+' | b'"' | b'\'' | b'&' | b'|' | b'(' | b'{' | b'$'))
        .count();
    let start = from + skipped;
    let is_path = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'_' | b'.' | b'\\' | b':');
    let len = bytes.get(start..)?.iter().take(64).take_while(|b| is_path(b)).count();
    let path = text.get(start..start + len)?;
    let name = path.rsplit(['/', '\\']).next()?;
    let name = name.strip_suffix(".exe").unwrap_or(name);
    let has_path = name.len() < path.len();
    is_command(name).then_some((name, start + len, has_path))
}

fn is_command(name: &str) -> bool {
    const LONGEST: usize = 16;
    let mut lower = [0; LONGEST];
    let Some(lower) = lower.get_mut(..name.len()) else { return false };
    lower.copy_from_slice(name.as_bytes());
    lower.make_ascii_lowercase();
    COMMANDS.binary_search_by(|command| command.as_bytes().cmp(lower)).is_ok()
}

/// Judges a value that is nothing but a command which nobody types by chance.
fn whole_command(suspect: &Suspect<'_>, hits: &mut Vec<Hit>) {
    const TELLING: [&str; 10] = [
        "uname",
        "whoami",
        "ifconfig",
        "ipconfig",
        "netstat",
        "systeminfo",
        "nslookup",
        "tasklist",
        "printenv",
        "wget",
    ];
    let bare = suspect.text.trim_matches(|c: char| !c.is_ascii_alphanumeric());
    if bare.len() > 48 {
        return;
    }
    let name = bare.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or("");
    let is_quoted = suspect.text.starts_with(['\'', '"', '`', '|', '/']);
    if TELLING.iter().any(|command| command.eq_ignore_ascii_case(name)) {
        hits.push(hit(Kind::Command, 62, 0..suspect.text.len()));
    } else if suspect.text.ends_with('|') && is_command(name) && bare.len() == name.len() {
        hits.push(hit(Kind::Command, 66, 0..suspect.text.len()));
    } else if is_quoted && is_command(name) && bare.len() == name.len() && name.len() >= 4 {
        hits.push(hit(Kind::Command, 44, 0..suspect.text.len()));
    }
}

/// Finds expressions that a template engine would compute: `{{7*7}}`, `${7*7}`, `#{…}`.
fn templates(suspect: &Suspect<'_>, hits: &mut Vec<Hit>) {
    let text = suspect.text;
    for opening in ["{{", "${", "#{", "*{", "{%", "%{"] {
        let Some(start) = text.find(opening) else { continue };
        let inner = text.get(start + opening.len()..).unwrap_or("");
        let Some(len) = inner.find('}') else { continue };
        let expression = inner.get(..len).unwrap_or("");
        let computes = expression.contains(['(', '*', '[']) && expression.len() >= 3;
        if computes {
            hits.push(hit(Kind::Code, 80, start..start + opening.len() + len + 1));
        }
    }
}

/// Finds objects as PHP serialises them: `O:8:"stdClass":`.
fn serialised(suspect: &Suspect<'_>, hits: &mut Vec<Hit>) {
    let marks = Marks::DOUBLE_QUOTE;
    if !suspect.marks.any(marks) || !suspect.marks.any(Marks::COLON) {
        return;
    }
    for letter in ["O:", "a:", "C:"] {
        let Some(at) = suspect.text.find(letter) else { continue };
        let rest = suspect.text.get(at + 2..).unwrap_or("");
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let follows = rest.get(digits..).unwrap_or("");
        if digits > 0 && (follows.starts_with(":\"") || follows.starts_with(":{")) {
            hits.push(hit(Kind::Code, 84, at..at + 2 + digits + 2));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_sorted_for_the_search() {
        assert!(COMMANDS.is_sorted());
    }
}
