//! The built program, run as a user runs it: every verb, every exit code, bad input, pipes.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{json, Value};

/// A folder of its own for each test, removed when the test ends.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("nyro-cli-test-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).expect("a temporary folder");
        Folder(path)
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().expect("a UTF-8 path").to_owned()
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) -> String {
        let path = self.path(name);
        fs::write(&path, text).expect("the file can be written");
        path
    }

    fn exists(&self, name: &str) -> bool {
        self.0.join(name).exists()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_nyro"))
}

/// What a run of the program left behind.
#[derive(Debug)]
struct Run {
    code: i32,
    out: String,
    err: String,
}

impl Run {
    fn of(output: Output) -> Run {
        let text = |bytes| String::from_utf8(bytes).expect("output is UTF-8");
        Run {
            code: output.status.code().expect("the program ended by itself"),
            out: text(output.stdout),
            err: text(output.stderr),
        }
    }

    /// It must have ended with this code.
    #[track_caller]
    fn ends(self, code: i32) -> Run {
        assert_eq!(self.code, code, "{self:?}");
        self
    }

    /// It must have succeeded, without a word on standard error.
    #[track_caller]
    fn ok(self) -> String {
        assert_eq!((self.code, self.err.as_str()), (0, ""), "{self:?}");
        self.out
    }

    #[track_caller]
    fn says(self, part: &str) -> Run {
        assert!(self.err.contains(part), "{part:?} is not in {:?}", self.err);
        self
    }

    /// The error object of `--json`.
    #[track_caller]
    fn error(&self) -> Value {
        let object: Value = serde_json::from_str(&self.err).unwrap_or_else(|e| panic!("{e}: {:?}", self.err));
        assert_eq!(object["error"]["exit_code"], self.code);
        object["error"].clone()
    }
}

fn nyro(args: &[&str]) -> Run {
    Run::of(program().args(args).stdin(Stdio::null()).output().expect("the program runs"))
}

fn nyro_with_input(args: &[&str], input: &[u8]) -> Run {
    let (stdin, stdout) = (Stdio::piped(), Stdio::piped());
    let mut child = program().args(args).stdin(stdin).stdout(stdout).stderr(Stdio::piped()).spawn().expect("it runs");
    let mut pipe = child.stdin.take().expect("a pipe");
    // The program may stop reading before the end; that is its right.
    let _ = pipe.write_all(input);
    drop(pipe);
    Run::of(child.wait_with_output().expect("it ends"))
}

fn parse(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text:?}"))
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(parse).collect()
}

/// What can be asked for.
const VERBS: [&str; 23] = [
    "import",
    "export",
    "get",
    "put",
    "delete",
    "scan",
    "kv",
    "collections",
    "stats",
    "verify",
    "compact",
    "backup",
    "restore",
    "repair",
    "page",
    "run",
    "log",
    "free",
    "trie",
    "bench",
    "torture",
    "completions",
    "man",
];

/// A database with 5 documents in `users`: ids 1 to 5.
fn five(folder: &Folder) -> String {
    let db = folder.path("five.nyro");
    let input: String = (1..=5).map(|n| format!("{{\"_id\":{n},\"name\":\"user {n}\"}}\n")).collect();
    nyro_with_input(&["import", &db, "users"], input.as_bytes()).ok();
    db
}

/// A program that has the file open until its input ends, or is dropped.
fn hold(db: &str) -> (std::process::Child, Option<std::process::ChildStdin>) {
    // An import that waits for its input holds the file open; a word on a bad line says that it does.
    let mut command = program();
    command.args(["import", "--skip-bad", db, "users"]).stdin(Stdio::piped()).stderr(Stdio::piped());
    let mut holder = loop {
        let mut holder = command.stdout(Stdio::null()).spawn().expect("it runs");
        let mut input = holder.stdin.take().expect("a pipe");
        let _ = input.write_all(b"nonsense\n");
        let mut said = String::new();
        BufReader::new(holder.stderr.take().expect("a pipe")).read_line(&mut said).expect("a line");
        holder.stdin = Some(input);
        if said.starts_with("skipped") {
            break holder;
        }
        // Somebody else had it open at that moment.
        assert!(said.contains("is open in another process"), "{said}");
        holder.wait().expect("it ends");
    };
    let input = holder.stdin.take();
    (holder, input)
}

mod import {
    use super::*;

    #[test]
    fn lines_and_arrays_give_the_same_documents() {
        let folder = Folder::new();
        let documents: Vec<Value> =
            (0..2500).map(|n| json!({ "_id": n, "text": format!("[{n}] \"quoted\", {{braced}}") })).collect();
        let ndjson: String = documents.iter().map(|d| format!("{d}\n")).collect();
        let array = serde_json::to_string_pretty(&documents).expect("JSON");
        for (name, input) in [("lines", ndjson), ("array", array)] {
            let (db, file) = (folder.path(&format!("{name}.nyro")), folder.write(name, &input));
            let said = nyro(&["import", &db, "things", &file]).ok();
            assert!(said.starts_with("imported 2 500 documents into things ("), "{said}");
            assert_eq!(lines(&nyro(&["export", &db, "things"]).ok()), documents);
        }
    }

    #[test]
    fn standard_input_is_read_with_and_without_a_dash() {
        let folder = Folder::new();
        let db = folder.path("a.nyro");
        nyro_with_input(&["import", &db, "a"], b"{\"_id\":1}\n").ok();
        nyro_with_input(&["import", &db, "a", "-"], b" [ {\"_id\":2} ]").ok();
        assert_eq!(lines(&nyro(&["export", &db, "a"]).ok()), [json!({ "_id": 1 }), json!({ "_id": 2 })]);
    }

    #[test]
    fn a_bad_line_stops_with_its_number_and_what_was_imported_before() {
        let folder = Folder::new();
        let db = folder.path("a.nyro");
        let input = b"{\"_id\":1}\n\n{\"_id\":2}\n{\"_id\":3,}\n{\"_id\":4}\n";
        let file = folder.write("in.ndjson", input);
        nyro(&["import", &db, "a", &file])
            .ends(1)
            .says(&format!("{file}, line 4: not JSON at column 10: "))
            .says("2 documents were imported, nothing from line 4 on");
        assert_eq!(lines(&nyro(&["export", &db, "a"]).ok()), [json!({ "_id": 1 }), json!({ "_id": 2 })]);

        let error = nyro_with_input(&["--json", "import", &folder.path("b.nyro"), "a"], input).ends(1).error();
        assert_eq!((&error["line"], &error["imported"]), (&json!(4), &json!(2)));
        assert_eq!(error["kind"], "InvalidDocument");
    }

    #[test]
    fn a_bad_line_after_many_batches_keeps_all_before_it() {
        let folder = Folder::new();
        let db = folder.path("a.nyro");
        let mut input: String = (0..2300).map(|n| format!("{{\"_id\":{n}}}\n")).collect();
        input.push_str("nonsense\n{\"_id\":9999}\n");
        nyro_with_input(&["import", &db, "a"], input.as_bytes())
            .ends(1)
            .says("standard input, line 2301: ")
            .says("2 300 documents were imported");
        assert_eq!(lines(&nyro(&["export", &db, "a"]).ok()).len(), 2300);
    }

    #[test]
    fn skip_bad_goes_on_and_counts() {
        let folder = Folder::new();
        let db = folder.path("a.nyro");
        let input = b"{\"_id\":1}\nnonsense\n{\"_id\":1}\n{\"_id\":1.5}\n[1]\n\xff\n{\"_id\":2}\n";
        let run = nyro_with_input(&["import", "--skip-bad", &db, "a"], input).ends(0);
        assert!(run.out.starts_with("imported 2 documents into a, 5 skipped ("), "{run:?}");
        for line in 2..=6 {
            assert!(run.err.contains(&format!("skipped standard input, line {line}: ")), "{run:?}");
        }
        let input = "nonsense\n".repeat(100);
        let run = nyro_with_input(&["import", "--skip-bad", "--json", &db, "a"], input.as_bytes()).ends(0);
        let said = parse(&run.out);
        assert_eq!((&said["imported"], &said["skipped"]), (&json!(0), &json!(100)));
        assert!(run.err.lines().count() < 20, "a hundred bad lines are not shown one by one: {run:?}");
    }

    #[test]
    fn a_second_document_of_the_same_id_is_bad_unless_replaced() {
        let folder = Folder::new();
        let db = folder.path("a.nyro");
        let input = b"{\"_id\":1,\"v\":1}\n{\"_id\":2}\n{\"_id\":1,\"v\":2}\n{\"_id\":3}\n";
        nyro_with_input(&["import", &db, "a"], input).ends(1).says("line 3: ").says("2 documents were imported");
        nyro_with_input(&["import", "--replace", &db, "a"], input).ok();
        let mut documents = lines(&nyro(&["export", &db, "a"]).ok());
        documents.sort_by_key(|d| d["_id"].as_i64());
        assert_eq!(documents, [json!({ "_id": 1, "v": 2 }), json!({ "_id": 2 }), json!({ "_id": 3 })]);
    }

    #[test]
    fn a_broken_array_stops_even_with_skip_bad() {
        let folder = Folder::new();
        for (input, line) in [("[{\"_id\":1},\n{\"_id\":2}\n", 3), ("[{\"_id\":1},\n{\"_id\":2}]\n[", 3)] {
            let db = folder.path("a.nyro");
            nyro_with_input(&["import", "--skip-bad", "--replace", &db, "a"], input.as_bytes())
                .ends(1)
                .says(&format!("line {line}: the JSON array is broken"))
                .says("2 documents were imported");
        }
    }

    #[test]
    fn a_missing_input_makes_no_database() {
        let folder = Folder::new();
        nyro(&["import", &folder.path("a.nyro"), "a", &folder.path("missing")]).ends(1).says("missing");
        assert!(!folder.exists("a.nyro"));
    }

    #[test]
    fn nothing_in_gives_nothing_out() {
        let folder = Folder::new();
        let db = folder.path("a.nyro");
        for input in ["", "\n \n", "[]", " [ ] "] {
            let said = nyro_with_input(&["import", &db, "a"], input.as_bytes()).ok();
            assert!(said.starts_with("imported 0 documents"), "{said}");
        }
    }

    #[test]
    fn every_durability_imports() {
        let folder = Folder::new();
        for when in ["sync", "interval:50", "manual"] {
            let db = folder.path(&when.replace(':', "-"));
            nyro_with_input(&["import", "--durability", when, &db, "a"], b"{\"_id\":1}").ok();
            assert_eq!(nyro(&["get", &db, "a", "1"]).ok(), "{\"_id\":1}\n");
        }
    }
}

mod kv {
    use super::*;

    #[test]
    fn a_value_is_put_got_replaced_and_deleted() {
        let folder = Folder::new();
        let db = folder.path("a.nyro");
        assert_eq!(nyro(&["kv", "put", &db, "scores", "ada", "36"]).ok(), "");
        assert_eq!(nyro(&["kv", "get", &db, "scores", "ada"]).ok(), "36\n");
        let said = parse(&nyro(&["kv", "put", &db, "scores", "ada", "-37", "--json"]).ok());
        assert_eq!(said, json!({ "key": "ada" }));
        let said = parse(&nyro(&["kv", "get", "--json", &db, "scores", "ada"]).ok());
        assert_eq!(said, json!({ "key": "ada", "value": "-37" }));
        nyro(&["kv", "put", &db, "scores", "", ""]).ok();
        assert_eq!(nyro(&["kv", "get", &db, "scores", ""]).ok(), "\n");

        nyro(&["kv", "delete", &db, "scores", "ada"]).ok();
        nyro(&["kv", "get", &db, "scores", "ada"]).ends(3).says("no key \"ada\" in keyspace \"scores\"");
        let error = nyro(&["kv", "get", "--json", &db, "scores", "ada"]).ends(3).error();
        assert_eq!((&error["kind"], &error["keys"]), (&json!("NotFound"), &json!(["\"ada\""])));
        let run = nyro(&["kv", "delete", "--json", &db, "scores", "ada", ""]).ends(3).says("ada");
        assert_eq!(parse(&run.out), json!({ "deleted": 1 }));
    }

    #[test]
    fn bytes_go_in_and_out_as_they_are() {
        let folder = Folder::new();
        let db = folder.path("a.nyro");
        let bytes: Vec<u8> = (0..=255).chain(0..=255).collect();
        nyro_with_input(&["kv", "put", &db, "k", "all", "-"], &bytes).ok();
        let output = program().args(["kv", "get", &db, "k", "all", "--raw"]).output().expect("it runs");
        assert!(output.status.success() && output.stdout == bytes);
        nyro(&["kv", "put", &db, "k", "--hex", "00ff", "fe"]).ok();
        assert_eq!(nyro(&["kv", "get", &db, "k", "--hex", "00FF"]).ok(), "fe\n");
        assert_eq!(
            parse(&nyro(&["kv", "get", &db, "k", "--hex", "00ff", "--json"]).ok()),
            json!({ "key_hex": "00ff", "value_hex": "fe" })
        );
        let said = parse(&nyro(&["kv", "get", &db, "k", "--hex", "616c6c", "--json"]).ok());
        assert_eq!(said["key_hex"], "616c6c");
        nyro(&["kv", "put", &db, "k", "--hex", "0", "00"]).ends(2).says("hexadecimal digits");
        assert_eq!(nyro(&["kv", "get", "--json", &db, "k", "--hex", "xy"]).ends(2).error()["kind"], "Usage");
        nyro(&["kv", "get", &db, "k", "a", "--raw", "--json"]).ends(2);
    }

    /// A database with the keys `a1` to `a9`, `b1` to `b9`, `c1` to `c9` in `k`.
    fn letters(folder: &Folder) -> String {
        let db = folder.path("letters.nyro");
        let keys = ["a", "b", "c"].iter().flat_map(|letter| (1..=9).map(move |n| format!("{letter}{n}")));
        let input: String = keys.map(|key| format!("{{\"key\":\"{key}\",\"value\":\"of {key}\"}}\n")).collect();
        nyro_with_input(&["kv", "import", &db, "k"], input.as_bytes()).ok();
        db
    }

    fn keys(args: &[&str]) -> Vec<String> {
        let run = nyro(&[args, &["--keys"]].concat()).ends(0);
        run.out.lines().map(str::to_owned).collect()
    }

    #[test]
    fn a_scan_keeps_its_bounds_from_both_ends() {
        let folder = Folder::new();
        let db = letters(&folder);
        let scan = |args: &[&str]| keys(&[&["kv", "scan", &db, "k"], args].concat());
        assert_eq!(scan(&[]).len(), 27);
        assert_eq!(scan(&["--prefix", "b"]), (1..=9).map(|n| format!("b{n}")).collect::<Vec<_>>());
        assert_eq!(scan(&["--from", "a8", "--to", "b2"]), ["a8", "a9", "b1"]);
        assert_eq!(scan(&["--from", "a8", "--to", "b2", "--reverse"]), ["b1", "a9", "a8"]);
        assert_eq!(scan(&["--prefix", "b", "--from", "a5", "--to", "b3"]), ["b1", "b2"]);
        assert_eq!(scan(&["--prefix", "b", "--to", "c", "--from", "b8", "--reverse"]), ["b9", "b8"]);
        assert_eq!(scan(&["--hex", "--prefix", "63", "--limit", "1"]), ["6331"]);
        for nothing in [&["--prefix", "x"][..], &["--prefix", "b", "--from", "c"], &["--prefix", "b", "--to", "a"]] {
            assert_eq!(scan(nothing).len(), 0, "{nothing:?}");
        }
        nyro(&["kv", "scan", &db, "k", "--from", "b", "--to", "a"]).ends(1).says("exchange the bounds");
        assert!(nyro(&["kv", "scan", &db, "k", "--limit", "1", "--prefix", "c"]).out.starts_with("c1\tof c1\n"));
    }

    #[test]
    fn a_scan_that_ends_early_says_how_to_go_on() {
        let folder = Folder::new();
        let db = letters(&folder);
        for reverse in [&[][..], &["--reverse"]] {
            let (mut all, mut bound) = (Vec::new(), None);
            loop {
                let mut args = vec!["kv", "scan", &db, "k", "--keys", "--limit", "4"];
                args.extend(reverse);
                args.extend(bound.as_deref());
                let run = nyro(&args).ends(0);
                all.extend(run.out.lines().map(str::to_owned));
                let Some(rest) = run.err.strip_prefix("more follow; go on with ") else { break };
                bound = Some(rest.trim_end().to_owned());
            }
            assert_eq!(all, keys(&[&["kv", "scan", &db, "k"], reverse].concat()));
        }
        let said = parse(&nyro(&["kv", "scan", &db, "k", "--limit", "2", "--json"]).ok());
        let entries = json!([{ "key": "a1", "value": "of a1" }, { "key": "a2", "value": "of a2" }]);
        assert_eq!(said, json!({ "entries": entries, "next": { "key": "a3" } }));
        let said = parse(&nyro(&["kv", "scan", &db, "k", "--prefix", "x", "--json"]).ok());
        assert_eq!(said, json!({ "entries": [], "next": null }));
    }

    #[test]
    fn what_a_scan_prints_stays_in_its_line() {
        let folder = Folder::new();
        let db = folder.path("a.nyro");
        nyro(&["kv", "put", &db, "k", "a\tb", "c\nd\\ é"]).ok();
        nyro(&["kv", "put", &db, "k", "--hex", "ff1b", "00"]).ok();
        assert_eq!(nyro(&["kv", "scan", &db, "k"]).ok(), "a\\tb\tc\\nd\\\\ é\n\\xff\\x1b\t\\x00\n");
        assert_eq!(nyro(&["kv", "scan", &db, "k", "--hex", "--from", "62"]).ok(), "ff1b\t00\n");
    }

    #[test]
    fn ranges_and_prefixes_are_deleted() {
        let folder = Folder::new();
        let db = letters(&folder);
        nyro(&["kv", "delete", &db, "k", "--prefix", "b"]).ok();
        let said = parse(&nyro(&["kv", "delete", &db, "k", "--range", "a3", "a9", "--json"]).ok());
        assert_eq!(said, json!({ "range_deleted": true }));
        assert_eq!(keys(&["kv", "scan", &db, "k", "--to", "c"]), ["a1", "a2", "a9"]);
        nyro(&["kv", "delete", &db, "k", "--range", "c", "a"]).ends(1).says("exchange the bounds");
        nyro(&["kv", "delete", &db, "other", "--range", "a", "b"]).ends(3).says("no keyspace \"other\"");
        nyro(&["kv", "delete", &db, "other", "a"]).ends(3);
        nyro(&["kv", "scan", &db, "other"]).ends(3).says("no keyspace \"other\"");
        for wrong in [&["--range", "a"][..], &["x", "--prefix", "a"], &["--range", "a", "b", "--prefix", "a"], &[]] {
            nyro(&[&["kv", "delete", &db, "k"], wrong].concat()).ends(2);
        }
        nyro(&["verify", &db]).ok();
    }

    #[test]
    fn an_export_imports_as_the_same_keys() {
        let folder = Folder::new();
        let (db, copy) = (folder.path("a.nyro"), folder.path("b.nyro"));
        let mut input: String =
            (0..2500).map(|n| format!("{{\"key\":\"key {n:05}\",\"value\":\"{}\"}}\n", "v".repeat(n % 50))).collect();
        input.push_str("{\"key_hex\":\"ff00\",\"value_hex\":\"fe\"}\n{\"key\":\"\",\"value_hex\":\"61\"}");
        let said = nyro_with_input(&["kv", "import", &db, "k", "-"], input.as_bytes()).ok();
        assert!(said.starts_with("imported 2 502 keys into k ("), "{said}");
        let all = nyro(&["kv", "export", &db, "k"]).ok();
        let objects = lines(&all);
        assert_eq!((objects.len(), &objects[0]), (2502, &json!({ "key": "", "value": "a" })));
        assert_eq!(objects[2501], json!({ "key_hex": "ff00", "value_hex": "fe" }));
        let file = folder.path("all.json");
        assert_eq!(
            nyro(&["kv", "export", &db, "k", "--array", "-o", &file]).ok(),
            format!("exported 2 502 keys to {file}\n")
        );
        let said = parse(&nyro(&["kv", "import", "--json", &copy, "k", &file]).ok());
        assert_eq!((&said["imported"], &said["skipped"]), (&json!(2502), &json!(0)));
        assert_eq!(nyro(&["kv", "export", &copy, "k"]).ok(), all);
        nyro(&["verify", &copy]).ok();
        nyro(&["kv", "export", &db, "other"]).ends(3);
    }

    #[test]
    fn a_bad_line_stops_or_is_counted() {
        let folder = Folder::new();
        let db = folder.path("a.nyro");
        let long = "x".repeat(65_536);
        let bad = [
            ("nonsense".to_owned(), "not JSON"),
            ("7".to_owned(), "not an object"),
            ("{\"key\":\"a\"}".to_owned(), "neither value nor value_hex"),
            ("{\"key\":1,\"value\":\"\"}".to_owned(), "key is not a string"),
            ("{\"key\":\"a\",\"key_hex\":\"61\",\"value\":\"\"}".to_owned(), "both key and key_hex"),
            ("{\"key_hex\":\"6\",\"value\":\"\"}".to_owned(), "hexadecimal digits"),
            ("{\"key\":\"a\",\"value\":\"\",\"ttl\":1}".to_owned(), "a field \"ttl\""),
            (format!("{{\"key\":\"{long}\",\"value\":\"\"}}"), "the limit is 65535"),
        ];
        let good = "{\"key\":\"good\",\"value\":\"\"}\n";
        for (line, reason) in &bad {
            nyro_with_input(&["kv", "import", &db, "k"], format!("{good}{line}\n{good}").as_bytes())
                .ends(1)
                .says("line 2: ")
                .says(reason)
                .says("1 key was imported, nothing from line 2 on");
        }
        let input: String = bad.iter().map(|(line, _)| format!("{line}\n{good}")).collect();
        let run = nyro_with_input(&["kv", "import", "--skip-bad", &db, "k"], input.as_bytes()).ends(0);
        assert!(run.out.starts_with("imported 8 keys into k, 8 skipped ("), "{run:?}");
    }

    #[test]
    fn limits_and_names_of_collections_are_told() {
        let folder = Folder::new();
        let db = five(&folder);
        let long = "x".repeat(65_536);
        nyro(&["kv", "put", &db, "k", &long, "v"]).ends(1).says("65536 bytes; the limit is 65535");
        nyro(&["kv", "get", &db, "k", &long]).ends(1).says("the limit is 65535");
        for args in [
            &["kv", "get", &db, "users", "a"][..],
            &["kv", "put", &db, "users", "a", "b"],
            &["kv", "delete", &db, "users", "a"],
            &["kv", "delete", &db, "users", "--prefix", "a"],
            &["kv", "scan", &db, "users"],
            &["kv", "export", &db, "users"],
        ] {
            nyro(args).ends(1).says("\"users\" is the name of a collection");
        }
        let line = b"{\"key\":\"a\",\"value\":\"\"}";
        nyro_with_input(&["kv", "import", "--skip-bad", &db, "users"], line).ends(1).says("name of a collection");
        nyro(&["kv", "put", &db, "k", "a", "b"]).ok();
        nyro_with_input(&["import", "--skip-bad", &db, "k"], b"{\"_id\":1}").ends(1).says("name of a keyspace");
        nyro(&["kv", "get", &folder.path("missing"), "k", "a"]).ends(3).says("there is no file");
        nyro(&["kv", "delete", &folder.path("missing"), "k", "a"]).ends(3).says("there is no file");
        assert!(!folder.exists("missing"));
    }

    #[test]
    fn each_verb_has_help_and_a_manual_page() {
        for verb in ["get", "put", "delete", "scan", "import", "export"] {
            let help = nyro(&["help", "kv", verb]).ok();
            assert!(help.contains(&format!("  nyro kv {verb} ")), "{verb} has no example: {help}");
            let page = nyro(&["man", "kv", verb]).ok();
            assert!(page.contains(&format!(".TH nyro-kv-{verb} 1")), "{page}");
        }
        nyro(&["man", "kv", "frobnicate"]).ends(2).says("no verb \"kv frobnicate\"");
        nyro(&["kv"]).ends(2);
    }
}

mod export {
    use super::*;

    #[test]
    fn an_array_reads_back_as_the_same_documents() {
        let folder = Folder::new();
        let db = five(&folder);
        let array = parse(&nyro(&["export", &db, "users", "--array"]).ok());
        assert_eq!(array.as_array().map(Vec::len), Some(5));
        assert_eq!(array, Value::Array(lines(&nyro(&["export", &db, "users"]).ok())));
    }

    #[test]
    fn a_file_is_written_whole_and_announced() {
        let folder = Folder::new();
        let (db, file) = (five(&folder), folder.write("out.json", "old"));
        let said = nyro(&["export", &db, "users", "--array", "--output", &file]).ok();
        assert_eq!(said, format!("exported 5 documents to {file}\n"));
        assert_eq!(parse(&fs::read_to_string(&file).expect("the file")).as_array().map(Vec::len), Some(5));
        assert!(!folder.exists("out.json.part"));
        assert_eq!(parse(&nyro(&["export", &db, "users", "--json", "-o", &file]).ok()), json!({ "exported": 5 }));
        nyro(&["export", &db, "users", "-o", &folder.path("no/such/folder")]).ends(1).says("no/such/folder");
    }

    #[test]
    fn a_reader_that_leaves_early_is_no_error() {
        let folder = Folder::new();
        let db = folder.path("a.nyro");
        let text = "x".repeat(1000);
        let input: String = (0..3000).map(|n| format!("{{\"_id\":{n},\"t\":\"{text}\"}}\n")).collect();
        nyro_with_input(&["import", &db, "a"], input.as_bytes()).ok();
        for verb in ["export", "scan"] {
            let mut command = program();
            command.args([verb, &db, "a"]).stdout(Stdio::piped()).stderr(Stdio::piped());
            let mut child = command.spawn().expect("it runs");
            let mut first = String::new();
            let mut reader = BufReader::new(child.stdout.take().expect("a pipe"));
            reader.read_line(&mut first).expect("a line");
            drop(reader);
            assert_eq!(parse(&first)["_id"], 0);
            Run::of(child.wait_with_output().expect("it ends")).ok();
        }
    }

    #[test]
    fn a_collection_that_is_not_there_is_not_found() {
        let folder = Folder::new();
        let db = five(&folder);
        nyro(&["export", &db, "user"]).ends(3).says("there is no collection \"user\"");
    }
}

mod documents {
    use super::*;

    #[test]
    fn put_prints_the_id_and_get_finds_it() {
        let folder = Folder::new();
        let db = folder.path("a.nyro");
        assert_eq!(nyro(&["put", &db, "a", "{\"_id\":\"ada\",\"born\":1815}"]).ok(), "\"ada\"\n");
        assert_eq!(nyro_with_input(&["put", &db, "a"], b"{\"name\":\"no id\"}\n").ok(), "1\n");
        assert_eq!(nyro_with_input(&["put", "--json", &db, "a", "-"], b"{\"name\":\"b\"}").ok(), "{\"_id\":2}\n");
        assert_eq!(nyro(&["get", &db, "a", "ada"]).ok(), "{\"_id\":\"ada\",\"born\":1815}\n");
        assert_eq!(nyro(&["put", &db, "a", "{\"_id\":\"ada\",\"born\":1816}"]).ok(), "\"ada\"\n");
        assert_eq!(lines(&nyro(&["get", &db, "a", "ada", "2", "1"]).ok()).len(), 3);
        assert_eq!(parse(&nyro(&["get", &db, "a", "ada"]).ok())["born"], 1816);
    }

    #[test]
    fn an_id_is_read_as_json_and_else_as_a_string() {
        let folder = Folder::new();
        let db = folder.path("a.nyro");
        for id in ["42", "\"42\"", "-7", "18446744073709551615", "\"two words\"", "\"-x\""] {
            nyro(&["put", &db, "a", &format!("{{\"_id\":{id}}}")]).ok();
        }
        let found = |id: &str| parse(&nyro(&["get", &db, "a", "--", id]).ok())["_id"].clone();
        assert_eq!(found("42"), json!(42));
        assert_eq!(found("\"42\""), json!("42"));
        assert_eq!(found("-7"), json!(-7));
        assert_eq!(found("18446744073709551615"), json!(u64::MAX));
        assert_eq!(found("two words"), json!("two words"));
        assert_eq!(found("-x"), json!("-x"));
        assert_eq!(parse(&nyro(&["get", &db, "a", "-7"]).ok())["_id"], -7, "a negative id is no option");
        for no_id in ["1.5", "true", "null", "[1]"] {
            nyro(&["get", &db, "a", no_id]).ends(1).says("invalid _id");
        }
    }

    #[test]
    fn what_is_not_there_is_named_with_exit_code_3() {
        let folder = Folder::new();
        let db = five(&folder);
        let run = nyro(&["get", &db, "users", "1", "7", "ada"]).ends(3).says("no document with _id 7, \"ada\"");
        assert_eq!(lines(&run.out).len(), 1, "what is there is printed all the same");
        let error = nyro(&["--json", "get", &db, "users", "7", "ada"]).ends(3).error();
        assert_eq!((&error["kind"], &error["ids"]), (&json!("NotFound"), &json!([7, "ada"])));
        nyro(&["get", &db, "nobody", "1"]).ends(3);
    }

    #[test]
    fn delete_takes_many_and_names_the_missing() {
        let folder = Folder::new();
        let db = five(&folder);
        assert_eq!(nyro(&["delete", &db, "users", "1"]).ok(), "");
        nyro(&["delete", &db, "users", "1", "2", "9"]).ends(3).says("no document with _id 1, 9");
        assert_eq!(nyro(&["delete", "--json", &db, "users", "3"]).ok(), "{\"deleted\":1}\n");
        let left: Vec<_> = lines(&nyro(&["export", &db, "users"]).ok()).iter().map(|d| d["_id"].clone()).collect();
        assert_eq!(left, [4, 5]);
    }

    #[test]
    fn a_bad_document_is_refused_before_a_file_is_made() {
        let folder = Folder::new();
        for bad in ["", "{", "[1]", "7", "{\"a\":1} x"] {
            nyro(&["put", &folder.path("a.nyro"), "a", bad]).ends(1);
            assert!(!folder.exists("a.nyro"));
        }
        let db = five(&folder);
        nyro(&["put", &db, "users", "{\"_id\":1.5}"]).ends(1).says("invalid _id");
        nyro(&["put", &db, "system.x", "{}"]).ends(1).says("invalid name");
    }

    #[test]
    fn pretty_spreads_a_document_over_lines() {
        let folder = Folder::new();
        let db = five(&folder);
        let text = nyro(&["get", "--pretty", &db, "users", "3"]).ok();
        assert!(text.lines().count() > 2, "{text}");
        assert_eq!(parse(&text), json!({ "_id": 3, "name": "user 3" }));
    }
}

mod scan {
    use super::*;

    fn ids(text: &str) -> Vec<Value> {
        lines(text).iter().map(|d| d["_id"].clone()).collect()
    }

    #[test]
    fn a_token_goes_on_where_the_limit_ended() {
        let folder = Folder::new();
        let db = five(&folder);
        assert_eq!(ids(&nyro(&["scan", &db, "users"]).ok()), [1, 2, 3, 4, 5]);
        let mut seen = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let mut args = vec!["scan", &db, "users", "--limit", "2"];
            if let Some(token) = &after {
                args.extend(["--after", token]);
            }
            let run = nyro(&args).ends(0);
            seen.extend(ids(&run.out));
            let Some((_, token)) = run.err.trim().split_once("--after ") else { break };
            after = Some(token.to_owned());
        }
        assert_eq!(seen, [1, 2, 3, 4, 5]);
    }

    #[test]
    fn json_has_the_documents_and_the_token_in_one_object() {
        let folder = Folder::new();
        let db = five(&folder);
        let first = parse(&nyro(&["scan", &db, "users", "--json", "--limit", "3"]).ok());
        assert_eq!(first["documents"].as_array().map(Vec::len), Some(3));
        let token = first["next"].to_string();
        let rest = parse(&nyro(&["scan", &db, "users", "--json", "--after", token.trim_matches('"')]).ok());
        assert_eq!((rest["documents"][0]["_id"].clone(), &rest["next"]), (json!(4), &Value::Null));
        let none = parse(&nyro(&["scan", &db, "users", "--json", "--limit", "0"]).ok());
        assert_eq!(none["documents"], json!([]));
    }

    #[test]
    fn a_limit_that_is_just_enough_offers_no_token() {
        let folder = Folder::new();
        let db = five(&folder);
        assert_eq!(nyro(&["scan", &db, "users", "--limit", "5"]).ok().lines().count(), 5);
    }
}

mod inspect {
    use super::*;

    #[test]
    fn collections_are_listed_with_their_counts() {
        let folder = Folder::new();
        let db = five(&folder);
        nyro(&["put", &db, "posts", "{\"_id\":1}"]).ok();
        assert_eq!(nyro(&["collections", &db]).ok(), "1  posts\n5  users\n");
        let list = parse(&nyro(&["collections", "--json", &db]).ok());
        assert_eq!(list, json!([{ "name": "posts", "documents": 1 }, { "name": "users", "documents": 5 }]));
    }

    #[test]
    fn stats_and_verify_speak_both_forms() {
        let folder = Folder::new();
        let db = five(&folder);
        for verb in ["stats", "verify"] {
            assert!(!nyro(&[verb, &db]).ok().is_empty());
            assert!(parse(&nyro(&[verb, "--json", &db]).ok()).is_object());
        }
    }
}

mod watch {
    use super::*;

    #[test]
    fn each_look_is_a_line_with_what_changed_a_second() {
        let folder = Folder::new();
        let db = five(&folder);
        let mut command = program();
        command.args(["stats", &db, "--watch", "0.3", "--count", "8"]).stdout(Stdio::piped());
        let mut child = command.spawn().expect("it runs");
        let mut said = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let mut next = || parse(&said.next().expect("a line").expect("text"));
        let first = next();
        assert_eq!((&first["documents"], &first["commits_per_second"]), (&json!(5), &json!(0.0)));
        // Between two looks the file is free; a look that comes at the same moment is waited for.
        let put = || Run::of(program().args(["put", &db, "users", "{}"]).output().expect("the program runs")).code;
        assert!((0..50).any(|_| put() == 0), "the file is never free");
        let seen: Vec<Value> = (1..8).map(|_| next()).collect();
        assert!(seen.iter().any(|look| look["documents"] == 6), "{seen:?}");
        assert!(seen.iter().any(|look| look["documents_per_second"].as_f64() > Some(0.0)), "{seen:?}");
        assert!(child.wait().expect("it ends").success());
    }

    #[test]
    fn a_file_that_a_program_has_open_can_not_be_watched_and_the_message_says_why() {
        let folder = Folder::new();
        let db = five(&folder);
        let mut holder = hold(&db);
        let run = nyro(&["stats", &db, "--watch", "--count", "2"]).ends(5);
        run.says(&format!("process {}", holder.0.id())).says("Database::stats").says("no program has open");
        let run = nyro(&["stats", &db, "--watch", "--count", "2", "--json"]).ends(5);
        assert_eq!((&run.error()["code"], &run.error()["kind"]), (&json!(301), &json!("Busy")));
        drop(holder.1.take());
        assert!(holder.0.wait().expect("it ends").success());
    }

    #[test]
    fn while_a_program_has_the_file_open_the_figures_before_stand_with_its_number() {
        let folder = Folder::new();
        let db = five(&folder);
        let mut command = program();
        command.args(["stats", &db, "--watch", "0.2", "--count", "50", "--json"]).stdout(Stdio::piped());
        let mut child = command.spawn().expect("it runs");
        let mut said = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let first = parse(&said.next().expect("a line").expect("text"));
        assert_eq!(first["open_in_process"], Value::Null);
        let mut holder = hold(&db);
        let held =
            said.by_ref().map(|line| parse(&line.expect("text"))).find(|look| !look["open_in_process"].is_null());
        let held = held.expect("a look at a file that is open");
        assert_eq!((&held["open_in_process"], &held["documents"]), (&json!(holder.0.id()), &json!(5)));
        drop(holder.1.take());
        assert!(holder.0.wait().expect("it ends").success());
        assert!(said.map(|line| parse(&line.expect("text"))).any(|look| look["open_in_process"].is_null()));
        assert!(child.wait().expect("it ends").success());
    }
}

mod maintain {
    use super::*;

    /// A file of which most was deleted.
    fn sparse(folder: &Folder) -> String {
        let db = folder.path("sparse.nyro");
        let text = "x".repeat(500);
        let input: String = (0..4000).map(|n| format!("{{\"_id\":{n},\"t\":\"{text}\"}}\n")).collect();
        nyro_with_input(&["import", &db, "a"], input.as_bytes()).ok();
        let ids: Vec<String> = (0..4000).filter(|n| n % 20 != 0).map(|n| n.to_string()).collect();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        nyro(&[&["delete", &db, "a"][..], &ids].concat()).ok();
        db
    }

    #[test]
    fn compact_makes_the_file_smaller_and_says_by_how_much() {
        let folder = Folder::new();
        let db = sparse(&folder);
        let length = || fs::metadata(&db).expect("the file").len();
        let before = length();
        let said = parse(&nyro(&["compact", "--json", &db]).ok());
        assert!(length() < before / 2, "{before} bytes became {}: {said}", length());
        assert_eq!(said["bytes_after"], length());
        assert_eq!(nyro(&["export", &db, "a"]).ok().lines().count(), 200);
        assert!(nyro(&["compact", &db]).ok().contains(" became "));
        nyro(&["verify", &db]).ok();
        nyro(&["compact", &folder.path("missing")]).ends(3).says("there is no file");
    }

    #[test]
    fn a_chain_of_backups_restores_to_what_it_was() {
        let folder = Folder::new();
        let db = five(&folder);
        let (full, second, copy) = (folder.path("full.nyro"), folder.path("second.inc"), folder.path("copy.nyro"));
        let said = nyro(&["backup", &db, &full, "--name", "sunday"]).ok();
        assert!(said.starts_with("all, through commit "), "{said}");
        nyro(&["put", &db, "users", "{\"_id\":6}"]).ok();
        let said = parse(&nyro(&["backup", "--json", &db, &second, "--since", "sunday", "--name", "monday"]).ok());
        assert!(said["bytes"].as_u64() > Some(0) && said["commit"].is_u64(), "{said}");
        let list = parse(&nyro(&["backup", "--list", "--json", &db]).ok());
        let names: Vec<_> = list.as_array().expect("a list").iter().map(|b| b["name"].as_str()).collect();
        assert_eq!(names, [Some("monday"), Some("sunday")]);
        assert!(nyro(&["backup", "--list", &db]).ok().contains("sunday"));
        let said = nyro(&["restore", &copy, &full, &second]).ok();
        assert!(said.starts_with("restored 6 documents in 1 collection"), "{said}");
        assert_eq!(nyro(&["export", &copy, "users"]).ok(), nyro(&["export", &db, "users"]).ok());

        nyro(&["restore", &copy, &full]).ends(1);
        assert_eq!(parse(&nyro(&["restore", "--json", "--overwrite", &copy, &full]).ok())["documents"], 5);
        nyro(&["restore", "--overwrite", &copy, &second, &full]).ends(1).says("begins with a full one");
        assert_eq!(nyro(&["restore", "--overwrite", "--json", &copy, &full, &full]).ends(1).error()["code"], 407);
        assert_eq!(nyro(&["export", &copy, "users"]).ok().lines().count(), 5, "what was there is as it was");
        nyro(&["backup", &db, &full]).ends(1);
        nyro(&["backup", &db, &folder.path("x"), "--since", "never"]).ends(1);
        nyro(&["backup", &folder.path("missing"), &folder.path("x")]).ends(3);
    }

    #[test]
    fn keyspaces_are_backed_up_and_restored_with_leaves_of_several_pages() {
        let folder = Folder::new();
        let (db, full, second) = (folder.path("a.nyro"), folder.path("full.nyro"), folder.path("second.inc"));
        let long = |n: usize| format!("{{\"key\":\"{}\",\"value\":\"{}\"}}\n", "k".repeat(n), "v".repeat(8000));
        let input: String = [10, 5000, 30_000, 65_000].into_iter().map(long).collect();
        nyro_with_input(&["kv", "import", &db, "k"], input.as_bytes()).ok();
        nyro(&["backup", &db, &full, "--name", "full"]).ok();
        nyro_with_input(&["kv", "import", &db, "k"], long(40_000).as_bytes()).ok();
        nyro(&["backup", &db, &second, "--since", "full"]).ok();
        let copy = folder.path("copy.nyro");
        nyro(&["restore", &copy, &full, &second]).ok();
        let all = nyro(&["kv", "export", &db, "k"]).ok();
        assert_eq!(all.lines().count(), 5);
        assert!(nyro(&["kv", "export", &copy, "k"]).ok() == all);
        nyro(&["verify", &copy]).ok();
    }

    #[test]
    fn repair_saves_what_can_be_read_and_says_what_can_not() {
        let folder = Folder::new();
        let db = sparse(&folder);
        let (new, whole) = (folder.path("new.nyro"), folder.path("whole.nyro"));
        let said = parse(&nyro(&["repair", "--json", &db, &whole]).ok());
        assert_eq!((&said["complete"], &said["documents"]), (&json!(true), &json!(200)));
        assert_eq!(nyro(&["export", &whole, "a"]).ok(), nyro(&["export", &db, "a"]).ok());
        nyro(&["repair", &db, &whole]).ends(1);
        assert!(nyro(&["repair", &db, &whole, "--overwrite"]).ok().contains("200  a\n"));

        let pages = fs::metadata(&db).expect("the file").len() / 4096;
        let kind = |page: u64| parse(&nyro(&["page", &db, &page.to_string(), "--json"]).ok());
        let holds_id_20 = |page: &u64| {
            kind(*page)["records"].as_array().is_some_and(|records| records.iter().any(|r| r["id"] == "20"))
        };
        let block = (2..pages).filter(|page| kind(*page)["page_use"] == "used").find(holds_id_20);
        let block = block.expect("a block with a document") as usize;
        let mut bytes = fs::read(&db).expect("the file");
        bytes[block * 4096 + 100..block * 4096 + 200].fill(0xee);
        fs::write(&db, &bytes).expect("the file can be written");
        let run = nyro(&["repair", &db, &new]).ends(4).says("not all could be saved");
        assert!(run.out.contains(&format!("at page {block}")), "{run:?}");
        let run = nyro(&["repair", "--json", "--overwrite", &db, &new]).ends(4);
        let said = parse(&run.out);
        assert_eq!((&said["complete"], &said["lost"][0]["page"]), (&json!(false), &json!(block)));
        let saved = nyro(&["export", &new, "a"]).ok().lines().count();
        assert!((100..200).contains(&saved), "{saved}");
        assert!(fs::read(&db).expect("the file") == bytes, "the damaged file was changed");
    }

    #[test]
    fn repair_saves_keyspaces_and_says_where_values_may_be_older() {
        let folder = Folder::new();
        let (db, new) = (folder.path("keys.nyro"), folder.path("new.nyro"));
        for n in 0..30 {
            nyro(&["kv", "put", &db, "scores", &format!("key {n}"), "some value"]).ok();
        }
        let said = parse(&nyro(&["repair", "--json", &db, &new]).ok());
        let scores = &said["keyspaces"][0];
        assert_eq!((&said["keys"], &scores["name"], &scores["keys"]), (&json!(30), &json!("scores"), &json!(30)));
        assert_eq!((&scores["complete"], &scores["outdated"]), (&json!(true), &json!(false)));
        assert_eq!(nyro(&["kv", "export", &new, "scores"]).ok(), nyro(&["kv", "export", &db, "scores"]).ok());
        assert!(nyro(&["repair", "--overwrite", &db, &new]).ok().contains("keys       30\n         30  scores\n"));

        let mut bytes = fs::read(&db).expect("the file");
        let pages = bytes.len() as u64 / 4096;
        let is_leaf = |page: &u64| {
            let page = parse(&nyro(&["page", &db, &page.to_string(), "--json"]).ok());
            page["kind"] == "leaf of a run" && page["page_use"] == "used"
        };
        let leaves: Vec<u64> = (2..pages).filter(is_leaf).collect();
        assert!(!leaves.is_empty());
        for leaf in &leaves {
            bytes[*leaf as usize * 4096 + 100] ^= 1;
        }
        fs::write(&db, &bytes).expect("the file can be written");
        let run = nyro(&["repair", "--overwrite", &db, &new]).ends(4).says("not all could be saved");
        assert!(run.out.contains("scores  (some may be missing"), "{run:?}");
        assert!(run.out.contains(&format!("lost: leaf of a run of scores at page {}", leaves[0])), "{run:?}");
        let run = nyro(&["repair", "--json", "--overwrite", &db, &new]).ends(4);
        let said = parse(&run.out);
        assert_eq!((&said["lost"][0]["keyspace"], &said["lost"][0]["collection"]), (&json!("scores"), &json!(null)));
    }

    #[test]
    fn ctrl_c_stops_a_long_call_with_exit_code_1_and_leaves_nothing_behind() {
        let folder = Folder::new();
        let dir = folder.path("");
        let mut command = program();
        command.args(["torture", &dir, "--seconds", "100"]).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("it runs");
        let mut out = BufReader::new(child.stdout.take().expect("a pipe"));
        out.read_line(&mut String::new()).expect("the seed");
        std::thread::sleep(std::time::Duration::from_millis(300));
        let pid = child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &pid]).status().expect("kill runs").success());
        Run::of(child.wait_with_output().expect("it ends")).ends(1).says("cancelled");
        assert_eq!(fs::read_dir(&dir).expect("the folder").count(), 0);
    }
}

mod look {
    use super::*;

    #[test]
    fn a_page_is_told_by_its_kind() {
        let folder = Folder::new();
        let db = five(&folder);
        let meta = parse(&nyro(&["page", &db, "0", "--json"]).ok());
        assert_eq!((&meta["counts"], &meta["clean"], &meta["checksum"]), (&json!(true), &json!(true), &json!("good")));
        assert!(nyro(&["page", &db, "0"]).ok().contains("identity"));
        let pages = meta["file_pages"].as_u64().expect("a number");
        let mut kinds: Vec<String> = Vec::new();
        for page in 2..pages {
            let object = parse(&nyro(&["page", &db, &page.to_string(), "--json"]).ok());
            if let (Some(kind), true) = (object["kind"].as_str(), object["page_use"] == "used") {
                kinds.push(kind.to_owned());
            }
            if let Some(record) = object["records"].as_array().and_then(|r| r.iter().find(|r| r["id"] == "3")) {
                assert_eq!(record["live"], "live");
                let text = nyro(&["page", &db, &page.to_string()]).ok();
                assert!(text.contains("\nrecords\nposition  ordinal  id"), "{text}");
            }
        }
        for kind in ["record block", "trie leaf", "page-tree leaf", "space chunk"] {
            assert!(kinds.iter().any(|k| k == kind), "{kind} is not among {kinds:?}");
        }
        nyro(&["page", &db, "999999"]).ends(1).says("999999");
        nyro(&["page", &db, "-1"]).ends(2);
    }

    #[test]
    fn log_free_space_and_index_speak_both_forms() {
        let folder = Folder::new();
        let db = five(&folder);
        assert!(nyro(&["log", &db]).ok().starts_with("wanted  nothing: the file was closed\n"));
        let log = parse(&nyro(&["log", "--json", &db, "--frames"]).ok());
        assert_eq!((&log["segments"], &log["frames"]), (&json!([]), &json!([])));
        let free = parse(&nyro(&["free", "--json", &db]).ok());
        assert_eq!((&free["used_pages"], &free["damage"]), (&free["counted_used"], &json!([])));
        assert!(nyro(&["free", &db]).ok().contains("\nlargest free\n"));
        let trie = parse(&nyro(&["trie", "--json", &db, "users"]).ok());
        assert_eq!((&trie["entries"], &trie["counted"], &trie["levels"]), (&json!(5), &json!(5), &json!(1)));
        assert!(nyro(&["trie", &db, "users"]).ok().contains("up to percent"));
        nyro(&["trie", &db, "user"]).ends(3).says("there is no collection \"user\"");
        for args in [&["page", "DB", "0"][..], &["log", "DB"], &["free", "DB"], &["trie", "DB", "a"]] {
            let missing = folder.path("missing.nyro");
            let args: Vec<&str> = args.iter().map(|a| if *a == "DB" { &missing } else { *a }).collect();
            nyro(&args).ends(3).says("there is no file");
        }
    }

    #[test]
    fn runs_and_their_keys_are_shown() {
        let folder = Folder::new();
        let db = five(&folder);
        assert_eq!(nyro(&["run", &db]).ok(), "run count  0\n");
        let input: String = (0..500).map(|n| format!("{{\"key\":\"k{n:03}\",\"value\":\"v\"}}\n")).collect();
        nyro_with_input(&["kv", "import", &db, "k"], input.as_bytes()).ok();
        nyro(&["kv", "put", &db, "k", "--hex", "ff00", "00"]).ok();
        nyro(&["kv", "delete", &db, "k", "k001"]).ok();
        nyro(&["kv", "delete", &db, "k", "--prefix", "k1"]).ok();
        let all = parse(&nyro(&["run", "--json", &db]).ok());
        let runs = all["runs"].as_array().expect("runs");
        assert!(!runs.is_empty() && all["run_count"] == runs.len());
        let mut shown = Vec::new();
        for run in runs {
            let number = run["run"].to_string();
            let details = parse(&nyro(&["run", "--json", &db, &number, "--entries"]).ok());
            assert_eq!((&details["damage"], &details["entry_count"]), (&json!([]), &run["entries"]));
            assert!(details["leaves"].as_array().expect("leaves").iter().all(|leaf| leaf["checksum"] == "good"));
            shown.extend(details["entries"].as_array().expect("entries").clone());
            let text = nyro(&["run", &db, &number]).ok();
            assert!(text.contains("filter bits set percent") && !text.contains("\ndamage\n"), "{text}");
            for leaf in details["leaves"].as_array().expect("leaves") {
                let page = parse(&nyro(&["page", "--json", &db, &leaf["page"].to_string()]).ok());
                assert_eq!((&page["kind"], &page["entry_count"]), (&json!("leaf of a run"), &leaf["entries"]));
            }
        }
        let tree = &shown[0]["tree"];
        let entry = |key: &str, value: Value| json!({ "tree": tree, "key": key, "value_bytes": value, "extent": null });
        assert!(
            shown.contains(&entry("k000", json!(1))) && shown.contains(&entry("\\xff\\x00", json!(1))),
            "{shown:?}"
        );
        let number = runs[0]["run"].to_string();
        let in_hex = parse(&nyro(&["run", "--json", &db, &number, "--hex"]).ok());
        assert!(in_hex["first"].as_str().is_some_and(|key| key.starts_with("000000")), "{in_hex}");
        nyro(&["run", &db, "999999"]).ends(1).says("run 999999");
        nyro(&["run", &db, "--entries"]).ends(2);
        nyro(&["run", &folder.path("missing")]).ends(3).says("there is no file");
        let meta = parse(&nyro(&["page", &db, "0", "--json"]).ok());
        assert!(meta["manifest_page"].as_u64() > Some(0) && meta["next_run"].as_u64() > Some(1), "{meta}");
        nyro(&["trie", &db, "k"]).ends(1).says("name of a keyspace");
    }

    #[test]
    fn stats_and_collections_speak_of_keyspaces_where_there_are_some() {
        let folder = Folder::new();
        let db = five(&folder);
        assert!(!nyro(&["stats", &db]).ok().contains("keyspaces"));
        assert_eq!(parse(&nyro(&["stats", "--json", &db]).ok())["keyspaces"], Value::Null);
        let input: String = (0..500).map(|n| format!("{{\"key\":\"k{n}\",\"value\":\"v\"}}\n")).collect();
        nyro_with_input(&["kv", "import", &db, "scores"], input.as_bytes()).ok();
        assert_eq!(nyro(&["collections", &db]).ok(), "  5  users\n500  scores  (keyspace; keys, about)\n");
        let list = json!([{ "name": "users", "documents": 5 }, { "name": "scores", "keys_about": 500 }]);
        assert_eq!(parse(&nyro(&["collections", "--json", &db]).ok()), list);
        let stats = parse(&nyro(&["stats", "--json", &db]).ok());
        assert_eq!((&stats["keyspaces"], &stats["keys_about"]), (&json!(1), &json!(500)));
        // Of another process: the file knows.
        assert_eq!(stats["read_amplification"], json!(1));
        assert!(stats["write_amplification"].as_f64().is_some_and(|times| times > 1.0), "{stats}");
        let level = &stats["levels"][0];
        assert_eq!((&level["level"], &level["runs"], &level["entries"]), (&json!(7), &json!(1), &json!(500)));
        assert!(level["filter_bytes"].as_u64() > Some(500) && level["file_bytes"].as_u64() > Some(4096), "{level}");
        let text = nyro(&["stats", &db]).ok();
        assert!(text.contains("\nlevel  sets  runs  keys  deleted  keys and values  in the file"), "{text}");
        assert!(text.lines().any(|line| line.starts_with("a get reads") && line.ends_with("1 list")), "{text}");
    }

    #[test]
    fn the_log_counts_what_was_done_to_keys() {
        let folder = Folder::new();
        let db = five(&folder);
        let mut command = program();
        command.args(["kv", "import", &db, "k"]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().expect("it runs");
        let mut input = child.stdin.take().expect("a pipe");
        let lines: String = (0..1500).map(|n| format!("{{\"key\":\"{n}\",\"value\":\"\"}}\n")).collect();
        input.write_all(lines.as_bytes()).expect("it reads");
        let start = std::time::Instant::now();
        while parse(&nyro(&["log", "--json", &db]).ok())["commits"].as_u64() < Some(1) {
            assert!(start.elapsed() < std::time::Duration::from_secs(30), "no commit came");
        }
        child.kill().expect("killed");
        child.wait().expect("it ends");
        let log = parse(&nyro(&["log", "--frames", "--json", &db]).ok());
        let frames = log["frames"].as_array().expect("frames");
        let sum = |field: &str| frames.iter().filter_map(|frame| frame[field].as_u64()).sum::<u64>();
        assert_eq!((sum("key_puts"), sum("key_deletes"), sum("range_deletes")), (1000, 0, 0));
        assert_eq!(nyro(&["kv", "export", &db, "k"]).ok().lines().count(), 1000);
    }

    #[test]
    fn a_file_that_was_not_closed_is_looked_at_with_its_log_and_left_as_it_is() {
        let folder = Folder::new();
        let db = five(&folder);
        let mut holder = hold(&db);
        let mut input = holder.1.take().expect("a pipe");
        let lines: String = (10..3000).map(|n| format!("{{\"_id\":{n}}}\n")).collect();
        input.write_all(lines.as_bytes()).expect("it reads");
        // Two batches of a thousand are committed; the rest waits for the end of the input.
        let has_log = || {
            fs::read_dir(&folder.0)
                .expect("the folder")
                .flatten()
                .any(|e| e.file_name().to_string_lossy().contains("-wal-"))
        };
        let start = std::time::Instant::now();
        while !has_log() || parse(&nyro(&["log", "--json", &db]).ok())["commits"].as_u64() < Some(2) {
            assert!(start.elapsed() < std::time::Duration::from_secs(30), "no commit came");
        }
        holder.0.kill().expect("killed");
        holder.0.wait().expect("it ends");
        let files = || {
            let mut files: Vec<_> = fs::read_dir(&folder.0)
                .expect("the folder")
                .flatten()
                .map(|e| (e.path(), fs::read(e.path()).expect("a file")))
                .collect();
            files.sort();
            files
        };
        let before = files();
        let stats = parse(&nyro(&["stats", "--json", &db]).ok());
        assert_eq!((&stats["documents"], &stats["replayed_commits"]), (&json!(2005), &json!(2)));
        assert_eq!(nyro(&["export", &db, "users"]).ok().lines().count(), 2005);
        nyro(&["verify", &db]).ok();
        let log = parse(&nyro(&["log", "--frames", "--json", &db]).ok());
        let puts: u64 = log["frames"].as_array().expect("frames").iter().filter_map(|f| f["puts"].as_u64()).sum();
        assert_eq!(puts, 2000);
        assert!(files() == before, "something was written");
        nyro(&["put", &db, "users", "{\"_id\":1}"]).ok();
        assert_eq!(parse(&nyro(&["stats", "--json", &db]).ok())["replayed_commits"], 0);
    }
}

mod bench {
    use super::*;

    #[test]
    fn every_part_is_measured_and_nothing_is_left_behind() {
        let folder = Folder::new();
        let dir = folder.path("");
        let args = ["bench", &dir, "--documents", "3000", "--seconds", "0.05"];
        let table = nyro(&args).ok();
        let parts = [
            "load",
            "open",
            "get",
            "get, 64 at once",
            "scan",
            "update, manual",
            "update, interval:100",
            "update, sync",
        ];
        for part in parts {
            assert!(table.lines().any(|line| line.starts_with(part)), "{part} is not in {table}");
        }
        let object = parse(&nyro(&[&args[..], &["--json"]].concat()).ok());
        let results = object["results"].as_array().expect("results");
        assert_eq!(results.iter().map(|r| r["name"].as_str().expect("a name")).collect::<Vec<_>>(), parts);
        assert!(results.iter().all(|r| r["per_second"].as_f64() > Some(0.0)), "{results:?}");
        assert!(results.iter().filter(|r| r["p99_us"].is_f64()).count() >= 4, "{results:?}");
        assert_eq!(object["documents"], 3000);
        assert_eq!(fs::read_dir(&dir).expect("the folder").count(), 0);
        nyro(&["bench", &folder.path("no/such/folder")]).ends(1).says("no/such/folder");
    }
}

mod torture {
    use super::*;

    #[test]
    fn kills_are_counted_and_nothing_is_lost_or_left_behind() {
        let folder = Folder::new();
        let dir = folder.path("");
        let said = nyro(&["torture", &dir, "--kills", "6", "--seed", "7", "--threads", "2"]).ok();
        assert!(said.starts_with("seed 7\n6 kills of 1 file ("), "{said}");
        assert!(said.contains("none lost, every file sound"), "{said}");
        let object = parse(&nyro(&["torture", &dir, "--seconds", "1.5", "--json"]).ok());
        assert_eq!(object["lost"], 0);
        assert!(object["seed"].is_u64() && object["kills"].as_u64() > Some(0), "{object}");
        assert!(object["acknowledged"].as_u64() > Some(0), "{object}");
        assert_eq!(fs::read_dir(&dir).expect("the folder").count(), 0);
        nyro(&["torture", &folder.path("missing")]).ends(1).says("missing");
    }
}

mod shell {
    use super::*;

    #[test]
    fn completions_know_every_verb() {
        for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
            let script = nyro(&["completions", shell]).ok();
            for verb in VERBS {
                assert!(script.contains(verb), "{shell} does not complete {verb}");
            }
            assert!(script.contains("durability") && script.contains("watch"), "{shell} does not complete options");
        }
    }

    #[test]
    fn every_verb_has_a_manual_page() {
        let page = nyro(&["man"]).ok();
        assert!(page.contains(".TH nyro 1") && page.contains("Exit codes"), "{page}");
        for verb in VERBS {
            assert!(page.contains(&format!("nyro\\-{verb}(1)")), "{verb} is not in the page of the program");
            let page = nyro(&["man", verb]).ok();
            assert!(page.starts_with(".ie") && page.contains(&format!(".TH nyro-{verb} 1")), "{page}");
            assert!(page.contains(&format!("nyro {verb} ")), "{verb} has no example: {page}");
        }
        nyro(&["man", "frobnicate"]).ends(2).says("no verb \"frobnicate\"");
    }
}

mod failures {
    use super::*;

    const LOOKING: [&[&str]; 9] = [
        &["export", "DB", "a"],
        &["get", "DB", "a", "1"],
        &["scan", "DB", "a"],
        &["kv", "get", "DB", "a", "1"],
        &["kv", "scan", "DB", "a"],
        &["kv", "export", "DB", "a"],
        &["collections", "DB"],
        &["stats", "DB"],
        &["verify", "DB"],
    ];

    fn with_path<'a>(args: &[&'a str], path: &'a str) -> Vec<&'a str> {
        args.iter().map(|a| if *a == "DB" { path } else { a }).collect()
    }

    #[test]
    fn verbs_that_only_look_make_no_file() {
        let folder = Folder::new();
        let db = folder.path("missing.nyro");
        for args in LOOKING.iter().chain([&["delete", "DB", "a", "1"][..]].iter()) {
            nyro(&with_path(args, &db)).ends(3).says("there is no file");
            assert!(!folder.exists("missing.nyro"), "{args:?}");
        }
        let error = nyro(&["stats", "--json", &db]).ends(3).error();
        assert_eq!((&error["code"], &error["kind"]), (&json!(405), &json!("NotFound")));
    }

    #[test]
    fn verbs_that_only_look_leave_the_file_as_it_is() {
        let folder = Folder::new();
        let db = five(&folder);
        nyro(&["collections", &db]).ok();
        let before = fs::read(&db).expect("the file");
        for args in LOOKING {
            nyro(&with_path(args, &db));
            assert!(fs::read(&db).expect("the file") == before, "{args:?} changed the file");
        }
    }

    #[test]
    fn a_file_that_is_not_ours_is_refused_with_exit_code_4_and_left_alone() {
        let folder = Folder::new();
        let text = "This is a letter to somebody else.\n".repeat(500);
        let path = folder.write("letter.txt", &text);
        for args in LOOKING.iter().chain([&["put", "DB", "a", "{}"][..]].iter()) {
            nyro(&with_path(args, &path)).ends(4).says("not a NyroDB file");
            assert_eq!(fs::read_to_string(&path).expect("the file"), text);
        }
        let error = nyro(&["verify", "--json", &path]).ends(4).error();
        assert_eq!((&error["code"], &error["kind"]), (&json!(401), &json!("Corrupt")));
    }

    #[test]
    fn damage_is_exit_code_4() {
        let folder = Folder::new();
        let db = five(&folder);
        let mut bytes = fs::read(&db).expect("the file");
        // Every page but the first two (they name the file and its checkpoint) is overwritten.
        bytes.iter_mut().skip(2 * 4096).for_each(|b| *b ^= 0x55);
        fs::write(&db, bytes).expect("the file can be written");
        nyro(&["verify", &db]).ends(4);
        assert_eq!(nyro(&["verify", "--json", &db]).ends(4).error()["kind"], "Corrupt");
    }

    #[test]
    fn a_file_that_another_process_has_open_is_exit_code_5_and_names_the_process() {
        let folder = Folder::new();
        let db = five(&folder);
        let mut holder = hold(&db);
        let pid = holder.0.id();
        nyro(&["stats", &db]).ends(5).says(&format!("process {pid}")).says("is open in another process");
        let run = nyro(&["put", "--json", &db, "users", "{}"]).ends(5);
        assert_eq!((&run.error()["code"], &run.error()["kind"]), (&json!(301), &json!("Busy")));
        drop(holder.1.take());
        assert!(holder.0.wait().expect("it ends").success());
        nyro(&["stats", &db]).ok();
    }

    #[test]
    fn wrong_usage_is_exit_code_2() {
        nyro(&[]).ends(2).says("Usage");
        for args in [
            &["frobnicate", "x"][..],
            &["get", "x"],
            &["get", "x", "a"],
            &["import"],
            &["scan", "x", "a", "--limit", "many"],
            &["scan", "x", "a", "--after", "?"],
            &["put", "x", "a", "{}", "--durability", "often"],
            &["put", "x", "a", "{}", "--durability", "interval:0"],
            &["put", "x", "a", "{}", "--durability", "interval:"],
            &["stats", "x", "--durability", "sync"],
            &["stats", "x", "--watch", "often"],
            &["stats", "x", "--watch", "0"],
            &["stats", "x", "--count", "3"],
            &["bench", ".", "--documents", "0"],
            &["torture", ".", "--threads", "1000"],
            &["torture", ".", "--seconds", "-1"],
            &["torture", ".", "--seconds", "1", "--kills", "1"],
            &["completions", "cmd"],
        ] {
            nyro(args).ends(2).says("error: ");
            let with_json = [&["--json"], args].concat();
            assert_eq!(nyro(&with_json).ends(2).error()["kind"], "Usage", "{args:?}");
        }
        assert!(!Path::new("x").exists());
    }

    #[test]
    fn help_and_version_are_no_errors() {
        assert!(nyro(&["--version"]).ok().starts_with("nyro "));
        let help = nyro(&["--help"]).ok();
        for verb in VERBS {
            assert!(help.contains(verb), "{verb} is not in the help");
            let of_verb = nyro(&["help", verb]).ok();
            assert!(of_verb.contains(&format!("  nyro {verb} ")), "{verb} has no example: {of_verb}");
        }
        assert!(help.contains("Exit codes"), "{help}");
        assert!(help.lines().all(|line| line.chars().count() <= 100), "{help}");
    }

    #[test]
    fn nothing_but_text_is_written_where_there_is_no_terminal() {
        let folder = Folder::new();
        let run = nyro_with_input(&["import", &folder.path("a.nyro"), "a"], b"{\"_id\":1}\nx\n").ends(1);
        assert!(!run.err.contains('\x1b') && !run.out.contains('\x1b'), "{run:?}");
        let mut help = String::new();
        let mut command = program();
        let mut child = command.arg("--help").stdout(Stdio::piped()).spawn().expect("it runs");
        child.stdout.take().expect("a pipe").read_to_string(&mut help).expect("text");
        assert!(child.wait().expect("it ends").success() && !help.contains('\x1b'));
    }
}
