use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use proptest::prelude::*;
use sentinelflow_domain::{
    analysis::{Analysis, Level, Score},
    id::ObjectId,
    log_entry::{LogEntry, Message, Metadata, SeverityLevel, Source},
    tenant::{Plan, Tenant},
};

use super::*;
use crate::{Engine, rules::RuleSet};

const MD5: &str = "0123456789abcdef0123456789abcdef";
const SHA256: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn now() -> Timestamp {
    "2026-11-24T12:00:00Z".parse().unwrap()
}

fn read(lists: &[(&str, &str)]) -> (Indicators, Vec<ListReport>) {
    let mut reading = Reading::new(now());
    let reports = lists.iter().map(|(file, text)| reading.add(&Reader::Everybody, file, text)).collect();
    (reading.finish(), reports)
}

fn engine(indicators: Indicators) -> Engine {
    let engine = Engine::new(RuleSet::load(std::iter::empty()).0);
    engine.use_indicators(indicators);
    engine
}

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

/// The listed texts that a message and its metadata hold, as the detections quote them first.
fn found(list: &str, message: &str, metadata: &str) -> Vec<(String, String)> {
    let (indicators, reports) = read(&[("mine.txt", list)]);
    assert_eq!(reports[0].fault_count, 0, "{:?}", reports[0].faults);
    let analysis = engine(indicators).analyze(&entry(message, metadata));
    let listed = analysis.detections.iter().filter(|detection| detection.id.starts_with("indicator."));
    listed.map(|found| (found.id.to_string(), found.evidence[0].excerpt.clone())).collect()
}

#[track_caller]
fn check(list: &str, message: &str, is_listed: bool) {
    let found = found(list, message, "{}");
    assert_eq!(!found.is_empty(), is_listed, "{list:?} in {message:?}: {found:?}");
}

fn faults(file: &str, text: &str) -> Vec<String> {
    read(&[(file, text)]).1[0].faults.iter().map(ToString::to_string).collect()
}

#[test]
fn an_address_is_found_whole_however_it_stands() {
    for message in [
        "from 203.0.113.4 port 22",
        "203.0.113.4",
        "203.0.113.4:443->198.51.100.1:80",
        "198.51.100.1-203.0.113.4",
        "src=203.0.113.4,dst=198.51.100.1",
        "was it 203.0.113.4?",
        "It was 203.0.113.4.",
        "[::ffff:203.0.113.4]:443",
        "client:203.0.113.4",
        "http://203.0.113.4/x",
    ] {
        check("203.0.113.4", message, true);
    }
    for message in
        ["203.0.113.40", "1203.0.113.4", "203.0.113.4.5", "203.0.113.4a", "7.203.0.113.4", "v203.0.113.4"]
    {
        check("203.0.113.4", message, false);
    }
}

#[test]
fn an_address_of_ipv6_is_found_however_it_is_written() {
    for message in [
        "from 2001:DB8::1 port 22",
        "[2001:db8:0:0::1]:443",
        "peer:2001:db8::1.",
        "addr 2001:0db8:0000:0000:0000:0000:0000:0001%eth0",
        "seen 2001:db8::1:",
    ] {
        check("2001:db8::1", message, true);
    }
    for message in ["2001:db8::10", "2001:db8::1:1", "at 20:01:08", "aa:bb:cc:dd:ee:ff"] {
        check("2001:db8::1", message, false);
    }
}

#[test]
fn a_network_holds_its_addresses_and_no_others() {
    let list = "203.0.113.64/26\n2001:db8:1::/48\n::ffff:198.51.100.0/120";
    for (address, is_listed) in [
        ("203.0.113.63", false),
        ("203.0.113.64", true),
        ("203.0.113.127", true),
        ("203.0.113.128", false),
        ("198.51.100.255", true),
        ("198.51.101.0", false),
        ("2001:db8:1:ffff::", true),
        ("2001:db8:2::", false),
        ("::ffff:203.0.113.70", true),
    ] {
        check(list, &format!("from {address} port 1"), is_listed);
    }
}

#[test]
fn a_domain_is_found_with_what_is_below_it_and_as_a_whole_name() {
    for message in [
        "query: evil.example IN A",
        "query: a.b.EVIL.example. IN A",
        "mail to x@evil.example, please",
        "https://www.evil.example:8443/path",
        "(evil.example)",
        "evil.example->10.0.0.1",
        "“evil.example”",
    ] {
        check("Evil.Example.", message, true);
    }
    for message in [
        "notevil.example",
        "evil.example.org",
        "evil.examples",
        "evil-example",
        "évil.example",
        "devil.example",
    ] {
        check("evil.example", message, false);
    }
}

#[test]
fn a_name_in_another_alphabet_is_its_ascii_form() {
    for list in ["bücher.example", "BÜCHER.example", "xn--bcher-kva.example"] {
        for message in ["at bücher.example", "at shop.xn--bcher-kva.example"] {
            check(list, message, true);
        }
    }
    assert_eq!(domain::canonical("例え.テスト").as_deref(), Some("xn--r8jz45g.xn--zckzah"));
    assert_eq!(domain::canonical("правда.рф").as_deref(), Some("xn--80aafi6cg.xn--p1ai"));
}

#[test]
fn a_hash_is_found_in_any_case_as_a_whole_word() {
    let upper = MD5.to_uppercase();
    for message in [format!("MD5={upper},x"), format!("md5:{MD5}"), format!("{MD5}.exe"), MD5.to_owned()] {
        check(MD5, &message, true);
    }
    check(SHA256, &format!("sha256 {SHA256}"), true);
    for message in [SHA256.to_owned(), format!("{MD5}0"), format!("z{MD5}")] {
        check(MD5, &message, false);
    }
}

#[test]
fn a_url_is_found_without_regard_to_what_means_nothing() {
    for message in [
        "GET HTTP://Evil.example:80/a?b=C#top",
        "see <http://evil.example/a?b=C>, now",
        "(http://evil.example/a?b=C).",
        "u='http://evil.example/a?b=C',",
        "GET /?next=http://evil.example/a?b=C HTTP/1.1",
        "http://fine.example/?u=http%3A%2F%2Fevil.example%2Fa%3Fb%3DC",
    ] {
        check("hxxp://evil[.]example/a?b=C", message, true);
    }
    for message in [
        "https://evil.example/a?b=C",
        "http://evil.example/a?b=c",
        "http://evil.example/A?b=C",
        "http://evil.example/a?b=C&d",
        "http://evil.example:8080/a?b=C",
        "http://evil.example/a",
        "xhttp://evil.example/a?b=C",
    ] {
        check("http://evil.example/a?b=C", message, false);
    }
}

#[test]
fn fields_are_read_and_quoted_as_they_stand() {
    let metadata = r#"{"src_ip":"203.0.113.4","dns":{"question":"a.evil.example"},"n":1}"#;
    let listed = found("203.0.113.0/24\nevil.example", "lookup", metadata);
    let expected = [("indicator.domain", "a.evil.example"), ("indicator.ip", "203.0.113.4")];
    assert_eq!(listed, expected.map(|(id, excerpt)| (id.to_owned(), excerpt.to_owned())));
    let escaped = r#"{"url":"http:\/\/evil.example\/x","hosts":["a\n203.0.113.4"]}"#;
    assert_eq!(found("http://evil.example/x\n203.0.113.4", escaped, "{}").len(), 2);
}

#[test]
fn a_match_names_its_list_and_what_the_list_says() {
    let list = "# Description: servers of a botnet\n# confidence: 90\n203.0.113.4\n# confidence: 40\n198.51.100.9 # seen by {user}\n";
    let (indicators, _) = read(&[("lists/feed one.txt", list)]);
    let engine = engine(indicators);
    let analysis = engine.analyze(&entry("from 203.0.113.4", "{}"));
    let detection = &analysis.detections[0];
    assert_eq!((&*detection.title, detection.level), ("Address on the list feed one", Level::High));
    assert_eq!(analysis.summary, "Address 203.0.113.4 is on the list feed one (servers of a botnet).");
    assert!(analysis.prevention_measures.contains("203.0.113.4"), "{}", analysis.prevention_measures);
    let both = engine.analyze(&entry("198.51.100.9 to 198.51.100.9 and 203.0.113.4", "{}")).summary;
    assert!(
        both.starts_with("Address 203.0.113.4 is") && both.contains("; also listed: 198.51.100.9"),
        "{both}"
    );
    let analysis = engine.analyze(&entry("from 198.51.100.9", r#"{"user":"eve"}"#));
    assert!(analysis.summary.contains("(seen by {user})"), "{}", analysis.summary);
}

#[test]
fn without_lists_an_analysis_is_as_before_and_with_them_it_tells_their_version() {
    let entry = entry("from 203.0.113.4", "{}");
    let bare = Engine::new(RuleSet::load(std::iter::empty()).0);
    let before = bare.analyze(&entry);
    assert!(!before.rule_set.contains('+'));
    bare.use_indicators(read(&[("a.txt", "# nothing yet\n")]).0);
    assert_eq!(bare.analyze(&entry), before);
    let version = |list: &str| engine(read(&[("a.txt", list)]).0).analyze(&entry).rule_set.to_string();
    let one = version("203.0.113.4");
    assert!(one.starts_with(&format!("{}+", before.rule_set)), "{one}");
    assert_eq!(one, version("# changed\n203.0.113.4\n"));
    assert_ne!(one, version("203.0.113.5"));
    assert_ne!(one, version("203.0.113.4 # with a comment"));
}

#[test]
fn lists_of_a_tenant_are_for_those_who_bear_its_name() {
    let mut reading = Reading::new(now());
    reading.add(&Reader::Tenant("Corp".parse().unwrap()), "corp.txt", "203.0.113.4");
    reading.add(&Reader::Everybody, "all.txt", "198.51.100.9");
    let engine = engine(reading.finish());
    let listed = |name: &str, message: &str| {
        let tenant = Tenant {
            id: ObjectId::from_parts(0, [0; 5], 0),
            username: name.parse().unwrap(),
            plan: Plan::Free,
            ask: sentinelflow_domain::second_opinion::Ask::Always,
            created_at: now(),
        };
        let (analysis, trace) = engine.analyze_for(&tenant, now(), &entry(message, "{}"));
        engine.forget(&trace);
        !analysis.detections.is_empty()
    };
    assert!(listed("corp", "from 203.0.113.4") && listed("corp", "from 198.51.100.9"));
    assert!(!listed("other", "from 203.0.113.4") && listed("other", "from 198.51.100.9"));
    assert!(engine.analyze(&entry("from 203.0.113.4", "{}")).detections.is_empty());
}

#[test]
fn what_would_flag_everything_is_refused_with_its_line() {
    let refused = [
        ("0.0.0.0/0", "so wide"),
        ("10.0.0.1", "private"),
        ("192.0.0.0/8", "holds private"),
        ("127.0.0.1", "loopback"),
        ("::1", "loopback"),
        ("fe80::1", "link-local"),
        ("::ffff:10.1.1.1", "private"),
        ("::/0", "so wide"),
        ("com", "one word"),
        (".com", "one word"),
        ("*.co.uk", "shared"),
        ("printer.local", "private networks"),
        ("a..example", "is no domain"),
        ("evil.example/path", "with its scheme"),
        ("203.0.113.4:443", "has a port"),
        ("http://localhost/x", "loopback"),
        ("http://192.168.1.1/x", "private"),
        ("http:///x", "no URL with a host"),
        ("d41d8cd98f00b204e9800998ecf8427e", "empty file"),
        ("0123456789abcdef0123456789abcdef01234567ff", "by its length"),
        ("two words", "is no domain"),
    ];
    for (entry, why) in refused {
        let told = faults("l.txt", &format!("# x\n\n{entry}\n"));
        assert!(
            told.len() == 1 && told[0].starts_with("l.txt:3: '") && told[0].contains(why),
            "{entry}: {told:?}"
        );
    }
}

#[test]
fn defanged_entries_and_files_of_hosts_are_understood() {
    let list = "203[.]0[.]113[.]4\nevil[dot]example\nhXXps[://]evil(.)example/x\n0.0.0.0 a.example b.example\n*.c.example # wild\n203.0.113.0/24 ; SB1\n";
    let (indicators, reports) = read(&[("l.txt", list)]);
    assert_eq!(reports[0].faults, []);
    for text in
        ["203.0.113.4", "evil.example", "https://evil.example/x", "a.example", "b.example", "x.c.example"]
    {
        assert!(indicators.holds(text), "{text}");
    }
}

#[test]
fn a_table_is_read_by_the_names_of_its_columns() {
    let table = format!(
        "# made today\n# first_seen,dst_ip,malware,confidence_level,md5_hash\n\"x\",203.0.113.4,\"Bad, \"\"one\"\"\",high,{MD5}\nx,10.0.0.1,,7,-\nx,,,,\n"
    );
    let (indicators, reports) = read(&[("feed.CSV", &table)]);
    let told: Vec<String> = reports[0].faults.iter().map(ToString::to_string).collect();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].starts_with("feed.CSV:4: '10.0.0.1'") && told[1].starts_with("feed.CSV:5: "), "{told:?}");
    assert!(indicators.holds(MD5));
    let analysis = engine(indicators).analyze(&entry("203.0.113.4", "{}"));
    assert!(analysis.summary.contains("feed (Bad, \"one\")"), "{}", analysis.summary);
    assert_eq!(analysis.detections[0].level, Level::High);
}

#[test]
fn a_column_of_types_is_believed() {
    let table = format!(
        "type;value\nfilename;setup.sh\nip-dst;203.0.113.4\ndomain;203.0.113.5\nfilename|md5;a.exe|{MD5}\n"
    );
    let (indicators, reports) = read(&[("misp.csv", &table)]);
    let told: Vec<String> = reports[0].faults.iter().map(ToString::to_string).collect();
    assert_eq!(told.len(), 3, "{told:?}");
    for (told, part) in
        told.iter().zip(["csv:2: 'setup.sh' is a filename", "csv:4: '203.0.113.5'", "csv:5: 'a.exe'"])
    {
        assert!(told.contains(part), "{told}");
    }
    assert!(indicators.holds("203.0.113.4") && indicators.holds(MD5) && !indicators.holds("setup.sh"));
}

fn bundle(objects: &[String]) -> String {
    format!("{{\"type\": \"bundle\", \"id\": \"bundle--1\", \"objects\": [\n{}\n]}}", objects.join(",\n"))
}

fn indicator(pattern: &str, more: &str) -> String {
    let pattern = serde_json::to_string(pattern).unwrap();
    format!(
        "{{\"type\": \"indicator\", \"pattern_type\": \"stix\", \"pattern\": {pattern}, \"name\": \"Trojan\"{more}}}"
    )
}

#[test]
fn the_patterns_of_a_bundle_are_read() {
    let objects = [
        indicator("[ipv4-addr:value = '203.0.113.4']", ", \"confidence\": 95"),
        indicator(
            "[domain-name:value = 'a.example' OR url:value IN ('http://b.example/x', 'http://b.example/y')]",
            "",
        ),
        indicator(&format!("[file:hashes.'SHA-256' = '{SHA256}'] OR ([file:hashes.MD5 = '{MD5}'])"), ""),
        indicator("[ipv4-addr:value ISSUBSET '198.51.100.0/24']", ""),
        "{\"type\": \"malware\", \"name\": \"x\"}".to_owned(),
        indicator("[domain-name:value = 'old.example']", ", \"valid_until\": \"2026-11-24T12:00:00Z\""),
        indicator("[domain-name:value = 'new.example']", ", \"valid_from\": \"2026-11-25T12:00:00Z\""),
        indicator("[domain-name:value = 'gone.example']", ", \"revoked\": true"),
    ];
    let (indicators, reports) = read(&[("taxii.json", &bundle(&objects))]);
    assert_eq!(reports[0].faults, []);
    assert_eq!((reports[0].lapsed, reports[0].others, indicators.len()), (3, 1, 7));
    for text in ["203.0.113.4", "a.example", "http://b.example/y", SHA256, MD5, "198.51.100.77"] {
        assert!(indicators.holds(text), "{text}");
    }
    for text in ["old.example", "new.example", "gone.example"] {
        assert!(!indicators.holds(text), "{text}");
    }
    let analysis = engine(indicators).analyze(&entry("203.0.113.4", "{}"));
    assert_eq!(analysis.detections[0].level, Level::High);
    assert!(analysis.summary.contains("taxii (Trojan)"), "{}", analysis.summary);
}

#[test]
fn a_pattern_that_says_more_is_refused_whole() {
    let patterns = [
        "[ipv4-addr:value = '203.0.113.4' AND domain-name:value = 'a.example']",
        "[ipv4-addr:value = '203.0.113.4'] FOLLOWEDBY [domain-name:value = 'a.example']",
        "[ipv4-addr:value = '203.0.113.4'] WITHIN 5 SECONDS",
        "[NOT ipv4-addr:value = '203.0.113.4']",
        "[ipv4-addr:value != '203.0.113.4']",
        "[domain-name:value LIKE '%.example']",
        "[ipv4-addr:value = '203.0.113.4'",
        "[ipv4-addr:value = '203.0.113.4",
        "ipv4-addr:value = '203.0.113.4'",
        "[]",
        "",
    ];
    for pattern in patterns {
        let (indicators, reports) = read(&[("b.json", &bundle(&[indicator(pattern, "")]))]);
        assert_eq!((indicators.len(), reports[0].fault_count), (0, 1), "{pattern}");
        assert_eq!(reports[0].faults[0].line, 2, "{pattern}");
    }
    let partly = "[file:name = 'x.exe' OR ipv4-addr:value = '203.0.113.4']";
    let (indicators, reports) = read(&[("b.json", &bundle(&[indicator(partly, "")]))]);
    assert_eq!((indicators.len(), reports[0].fault_count), (1, 1));
    let benign =
        bundle(&[indicator("[ipv4-addr:value = '203.0.113.4']", ", \"indicator_types\": [\"benign\"]")]);
    assert!(faults("b.json", &benign)[0].contains("benign"));
}

#[test]
fn what_is_no_list_is_unusable() {
    let broken = [
        ("a.json", "{\"type\": \"bundle\",\n\"objects\": [", 2),
        ("a.json", "{}", 1),
        ("a.txt", "{\n", 1),
        ("a.csv", "colour,size\nred,7\n", 1),
        ("a.txt", "<html>\n<body>Not found</body>\n", 1),
    ];
    for (file, text, line) in broken {
        let (_, reports) = read(&[(file, text)]);
        assert!(reports[0].is_unusable(), "{text}");
        assert_eq!(reports[0].faults[0].line, line, "{text}");
    }
    assert!(!read(&[("a.txt", "# nobody today\n")]).1[0].is_unusable());
}

#[test]
fn a_row_that_says_its_type_is_not_taken_for_the_names_above_it() {
    for row in ["2026-01-02,domain,evil.example", "none,md5,0cc175b9c0f1b6a831c399e269772661"] {
        let (_, reports) = read(&[("a.csv", &format!("# date,type,value\n{row}\n"))]);
        assert_eq!((reports[0].used_count(), reports[0].faults.len()), (1, 0), "{row}");
    }
}

#[test]
fn a_fault_shows_nothing_that_a_terminal_obeys_and_is_short() {
    let column = "\u{1b}]0;x\u{7}".repeat(200);
    for (file, text) in [
        ("a.csv", format!("type,value\nname{column},evil.example\n")),
        ("a.csv", format!("type,value\ndomain,{column}\n")),
        ("a.json", format!("{{\"type\": \"bundle\", \"objects\": [{{\"type\": 7, \"x\": \"{column}\"}}]}}")),
        ("a.txt", column.clone()),
    ] {
        for fault in faults(file, &text) {
            assert!(!fault.chars().any(char::is_control) && fault.chars().count() < 2_000, "{fault:?}");
        }
        assert!(!faults(file, &text).is_empty(), "{file}: {text:?}");
    }
}

#[test]
fn many_faults_are_counted_and_the_first_are_told() {
    let (_, reports) = read(&[("a.txt", &"x\n".repeat(5_000))]);
    assert_eq!((reports[0].fault_count, reports[0].faults.len()), (5_000, 1_000));
}

#[test]
fn hostile_texts_cost_little_more_than_long_ones() {
    let list =
        "203.0.113.4\n2001:db8::1\nevil.example\nhttp://evil.example/\n0123456789abcdef0123456789abcdef\n";
    let engine = engine(read(&[("a.txt", list)]).0);
    for part in [
        "http://",
        "a://",
        "a.",
        "1.",
        ":",
        "::1 ",
        "1.2.3.4-",
        "é.",
        "ab",
        "0123456789abcdef0123456789abcdef ",
    ] {
        let message = part.repeat(65_536 / part.len());
        let start = std::time::Instant::now();
        engine.analyze(&entry(&message, "{}"));
        // Generous: what is guarded against takes minutes.
        assert!(start.elapsed().as_secs() < 5, "{part}: {:?}", start.elapsed());
    }
}

/// The naive twin of the tables: every entry is asked.
fn naive_holds(networks: &[IpNet], address: IpAddr) -> bool {
    networks.iter().any(|network| network.contains(&address))
}

/// The naive twin of the words: the domain stands at a place where a name begins or goes on, and none goes on behind it.
fn naive_finds(domain: &str, text: &str) -> bool {
    let chars: Vec<char> = text.chars().collect();
    let domain: Vec<char> = domain.chars().collect();
    let is_name = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
    let is_joint = |c: char| matches!(c, '-' | '_' | '.');
    (0..chars.len().saturating_sub(domain.len() - 1)).any(|at| {
        let stands = chars[at..at + domain.len()].iter().zip(&domain).all(|(a, b)| a.eq_ignore_ascii_case(b));
        let before: Vec<char> = chars[..at].iter().rev().copied().take_while(|c| is_name(*c)).collect();
        let after: Vec<char> =
            chars[at + domain.len()..].iter().copied().take_while(|c| is_name(*c)).collect();
        // What surrounds the whole name belongs to the sentence.
        let name: String = before.iter().rev().collect();
        let name = name.trim_start_matches(is_joint);
        let is_below = name.is_empty()
            || (name.ends_with('.')
                && name.trim_end_matches('.').split('.').all(is_label)
                && !name.ends_with(".."));
        stands && is_below && after.iter().all(|c| is_joint(*c))
    })
}

fn is_label(label: &str) -> bool {
    !label.is_empty()
}

proptest! {
    #[test]
    fn any_text_is_read_or_its_faults_are_told(
        text in "(\\PC|\n){0,200}",
        likely in "([0-9./:,;#|\"'\\[\\]{}()=a-fx \n-]|http://|\\[\\.\\]|ip,|domain|\"objects\"){0,60}",
        pattern in "(\\[|\\]|\\(|\\)|'|=|OR|AND|IN|,| |ipv4-addr:value|file:hashes\\.'MD5'|\\\\|203.0.113.4){0,30}",
    ) {
        let bundle = bundle(&[indicator(&pattern, "")]);
        for text in [&text, &likely, &bundle] {
            for file in ["a.txt", "a.csv", "a.json"] {
                let (indicators, reports) = read(&[(file, text)]);
                let lines = text.lines().count().max(1);
                for fault in &reports[0].faults {
                    prop_assert!((1..=lines).contains(&fault.line), "{} of {} in {:?}", fault, lines, text);
                }
                prop_assert_eq!(reports[0].used_count(), indicators.len());
                prop_assert_eq!(&reports, &read(&[(file, text)]).1);
            }
        }
    }

    #[test]
    fn tables_of_networks_agree_with_their_naive_twin(
        v4 in prop::collection::vec((0_u32..600, 22_u8..=32), 0..30),
        v6 in prop::collection::vec((0_u128..600, 118_u8..=128), 0..30),
        asked in prop::collection::vec(0_u32..1_200, 60),
    ) {
        const V4: u32 = 0xCB00_0000;
        const V6: u128 = 0x2001_0db8 << 96;
        let v4 = v4.into_iter().map(|(at, length)| IpNet::V4(Ipv4Net::new(Ipv4Addr::from_bits(V4 + at), length).unwrap()));
        let v6 = v6.into_iter().map(|(at, length)| IpNet::V6(Ipv6Net::new(Ipv6Addr::from_bits(V6 + at), length).unwrap()));
        let networks: Vec<IpNet> = v4.chain(v6).collect();
        let lines: Vec<String> = networks.iter().enumerate().map(|(at, network)| format!("{network} # {at}")).collect();
        let list = lines.join("\n");
        let (indicators, reports) = read(&[("a.txt", &list)]);
        prop_assert_eq!(&reports[0].faults, &[]);
        for at in asked {
            for address in [IpAddr::V4(Ipv4Addr::from_bits(V4 + at)), IpAddr::V6(Ipv6Addr::from_bits(V6 + u128::from(at)))] {
                prop_assert_eq!(indicators.holds(&address.to_string()), naive_holds(&networks, address), "{}", address);
            }
        }
    }

    #[test]
    fn tables_of_texts_and_hashes_agree_with_a_set(
        listed in prop::collection::vec("[ab]{1,3}\\.[ab]{1,2}\\.test", 0..20),
        numbers in prop::collection::vec(1_u8..40, 0..20),
        asked in prop::collection::vec("([ab]\\.){0,2}[ab]{1,3}\\.[ab]{1,2}\\.test", 20),
    ) {
        let hash = |number: &u8| format!("{:032x}", u128::from(*number) << (number % 3 * 50));
        let hashes: Vec<String> = numbers.iter().map(hash).collect();
        let (indicators, _) = read(&[("a.txt", &[listed.clone(), hashes.clone()].concat().join("\n"))]);
        for name in asked {
            let is_listed = listed.iter().any(|listed| name == *listed || name.ends_with(&format!(".{listed}")));
            prop_assert_eq!(indicators.holds(&name), is_listed, "{}", name);
        }
        for number in 1..40 {
            prop_assert_eq!(indicators.holds(&hash(&number)), hashes.contains(&hash(&number)));
        }
    }

    #[test]
    fn words_agree_with_their_naive_twin(text in "(a\\.test|A\\.TEST|[ab.é_ /:@-]){0,12}") {
        let (indicators, _) = read(&[("l.txt", "a.test")]);
        let concerning = indicators.concerning(None).unwrap();
        let mut event = Event::default();
        event.push("message", crate::event::Value::Text(text.as_str().into()), crate::event::Origin::Message);
        let found = !concerning.findings(&event).is_empty();
        prop_assert_eq!(found, naive_finds("a.test", &text), "{:?}", text);
    }

    #[test]
    fn more_lists_never_lower_a_score(
        few in prop::collection::vec((0_usize..6, prop::option::of(0_u8..=100)), 0..6),
        more in prop::collection::vec((0_usize..6, prop::option::of(0_u8..=100)), 1..6),
    ) {
        const ENTRIES: [&str; 6] =
            ["203.0.113.4", "203.0.113.0/24", "evil.example", "www.evil.example", "http://www.evil.example/x", MD5];
        let text = format!("203.0.113.4 fetched http://www.evil.example/x with {MD5}");
        let lists = |entries: &[(usize, Option<u8>)]| -> Vec<String> {
            let confidence = |said: &Option<u8>| said.map_or(String::new(), |said| format!("# confidence: {said}\n"));
            entries.iter().map(|(entry, said)| format!("{}{}", confidence(said), ENTRIES[*entry])).collect()
        };
        let score = |lists: &[String]| -> Score {
            let lists: Vec<(&str, &str)> = lists.iter().map(|list| ("l.txt", list.as_str())).collect();
            let analysis: Analysis = engine(read(&lists).0).analyze(&entry(&text, "{}"));
            analysis.score
        };
        let few = lists(&few);
        let all = [few.clone(), lists(&more)].concat();
        prop_assert!(score(&all) >= score(&few), "{:?}", all);
    }
}
