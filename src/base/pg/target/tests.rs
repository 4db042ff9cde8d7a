//! Tests of parsing, display and errors of connection URLs.

use super::*;
use crate::error::hint_of;

fn read(text: &str) -> Target {
    Target::parse(text).unwrap()
}

fn refusal(text: &str) -> String {
    let error = Target::parse(text).unwrap_err();
    let hint = hint_of(&error).unwrap_or("none");
    format!("error: {error}\nhint: {hint}")
}

#[test]
fn url_and_keywords_are_equivalent() {
    let url =
        read("postgres://alice:s%2Fe@db.example.org:6000/shop?sslmode=require&connect_timeout=7");
    let words = read(
        "host=db.example.org port=6000 user=alice password='s/e' dbname = shop sslmode=require connect_timeout=7",
    );
    assert_eq!(url, words);
    assert_eq!(url.password(&url.hosts[0]).unwrap().reveal(), "s/e");
    assert_eq!(url.tls.mode, SslMode::Require);
    assert_eq!(url.connect_timeout, Some(Duration::from_secs(7)));
}

#[test]
fn display_and_debug_never_show_the_password() {
    let check = |text: &str, shown: &str| {
        let target = read(text);
        assert_eq!(target.to_string(), shown, "{text}");
        assert!(
            !format!("{target:?} {target:#?}").contains("secret"),
            "{text}"
        );
    };
    check("postgres://alice:secret@h:1/d", "alice@h:1/d");
    check("postgresql://alice:secret@h/d", "alice@h:5432/d");
    check(
        "postgres://alice:secret@[2001:db8::1]:77/d",
        "alice@[2001:db8::1]:77/d",
    );
    check("postgres://alice:secret@a,b:2/d", "alice@a:5432,b:2/d");
    check("postgres://alice:sec@ret/d", "alice@ret:5432/d");
    check(
        "postgres://alice@%2Fvar%2Frun%2Fpg:6/d",
        "alice@/var/run/pg:6/d",
    );
    check("postgres:///d?host=/tmp/pg&user=bob", "bob@/tmp/pg:5432/d");
    check(
        "host=/tmp/pg user=bob password=secret",
        "bob@/tmp/pg:5432/bob",
    );
    check("postgres:///d", "/var/run/postgresql:5432,localhost:5432/d");
    check(
        "postgres://h/d?user=carol&password=secret",
        "carol@h:5432/d",
    );
    check("hostaddr=10.0.0.1 user=u dbname=d", "u@10.0.0.1:5432/d");
    check(r"host=h user='o\'neil' dbname=a\ b", "o'neil@h:5432/a b");
}

#[test]
fn parameters_of_other_clients_are_accepted() {
    let target = read(
        "postgres://u:p@h:6543/d?pgbouncer=true&connection_limit=1&schema=public&supa=base-pooler.x",
    );
    assert!(target.says_pooler && target.looks_pooled());
}

#[test]
fn defaults_apply_to_missing_keywords_only() {
    let defaults = [
        ("sslmode", "verify-full"),
        ("user", "env"),
        ("password", "env"),
        ("port", "7"),
    ];
    let target = Target::parse_with("postgres://alice@h/d?sslmode=disable", &defaults).unwrap();
    assert_eq!(target.to_string(), "alice@h:7/d");
    assert_eq!(target.tls.mode, SslMode::Disable);
    assert_eq!(target.password(&target.hosts[0]).unwrap().reveal(), "env");
}

#[test]
fn with_user_drops_the_password() {
    let target = read("postgres://alice:secret@h/d").with_user("bob");
    assert_eq!(target.password(&target.hosts[0]), None);
    let target = read("postgres://alice@h/d").with_password_from("*:*:*:alice:secret");
    assert!(target.password(&target.hosts[0]).is_some());
    let target = target.with_user("bob");
    assert_eq!(target.password(&target.hosts[0]), None);
}

#[test]
fn passfile_lookup_matches_libpq() {
    let text = "# comment\nother:5432:d:u:no\nh:5432:*:u\\:x:colon\nlocalhost:5432:d:u:socket\nh:5432:d:u:a\\:b\\\\c\r\n*:*:*:u:any:rest";
    let check = |address: &str, password: Option<&str>| {
        let target = read(address).with_password_from(text);
        let found = target.password(&target.hosts[0]).map(Secret::reveal);
        assert_eq!(found, password, "{address}");
    };
    check("postgres://u@h/d", Some(r"a:b\c"));
    check("postgres://u%3Ax@h/e", Some("colon"));
    check("postgres://u@/d?host=/tmp", Some("socket"));
    check("postgres://u@elsewhere/d", Some("any"));
    check("postgres://v@h/d", None);
    check("postgres://u:own@h/d", Some("own"));
    let two = read("postgres://u@other,h/d").with_password_from(text);
    let found: Vec<_> = two
        .hosts
        .iter()
        .map(|host| two.password(host).unwrap().reveal())
        .collect();
    assert_eq!(found, ["no", r"a:b\c"]);
}

#[test]
fn errors_come_with_a_hint() {
    insta::assert_snapshot!(refusal("mysql://u:secret@h/d"), @r"
    error: the connection URL begins with `mysql://`, which is not PostgreSQL
    hint: use the form postgres://user:password@host:5432/database
    ");
    insta::assert_snapshot!(refusal("localhost"), @r"
    error: the database is given neither as a connection URL nor as keyword=value pairs
    hint: use the form postgres://user:password@host:5432/database
    ");
    insta::assert_snapshot!(refusal("postgres://u:secret@h/d?sslmode=verify_full"), @r"
    error: unknown sslmode `verify_full` in the connection URL
    hint: did you mean `verify-full`?
    ");
    insta::assert_snapshot!(refusal("postgres://h/d?sslmode=strictest"), @r"
    error: unknown sslmode `strictest` in the connection URL
    hint: use one of disable, allow, prefer, require, verify-ca, verify-full
    ");
    insta::assert_snapshot!(refusal("postgres://h/d?sslmod=require"), @r"
    error: unknown parameter `sslmod` in the connection URL
    hint: did you mean `sslmode`?
    ");
    insta::assert_snapshot!(refusal("postgres://h/d?sslcrl=x"), @r"
    error: `sslcrl` in the connection URL is not supported
    hint: remove the parameter: revocation lists are not supported
    ");
    insta::assert_snapshot!(refusal("postgres://h/d?sslrootcert=system&sslmode=require"), @r"
    error: sslrootcert=system with sslmode=require would accept any certificate for any host
    hint: use sslmode=verify-full
    ");
    insta::assert_snapshot!(refusal("postgres://h/d?sslcert=a"), @r"
    error: sslcert and sslkey must be given together
    hint: set both, or neither
    ");
    insta::assert_snapshot!(refusal("host=a,b,c port=1,2"), @r"
    error: the connection URL has 3 hosts but 2 ports
    hint: give one port for all hosts, or one for each, in the same order
    ");
    insta::assert_snapshot!(refusal("postgres://[::1/d"), @r"
    error: an IPv6 address in the connection URL has no closing bracket
    hint: use the form postgres://user@[2001:db8::1]:5432/database
    ");
}

#[test]
fn a_password_that_broke_the_url_is_not_repeated() {
    for text in [
        "postgres://alice:sec/ret@h/d",
        "postgres://alice:sec?ret@h/d",
        "postgres://alice:12?sec=ret@h/d",
        "postgres://alice:12?secret@h/d",
        "postgres://alice:@/secret@h/d",
        "postgres://alice:x@y/secret@h/d",
        "postgres://alice:sec%zzret@h/d",
        "postgres://alice:sec%@h/d",
        "postgres://alice:p@h:secret/d",
        "host=h password=my secret",
        "host=h password=my sec=ret",
        "host=h password='secret",
        "secret",
        "secret://alice@h",
        "host=h hostaddr=secret",
    ] {
        let refusal = refusal(text);
        assert!(
            !refusal.replace("secret://", "").contains("sec"),
            "{text}: {refusal}"
        );
        assert!(!refusal.contains("ret@"), "{text}: {refusal}");
    }
}

#[test]
fn the_same_database_is_recognised_in_every_spelling() {
    let same = |left: &str, right: &str| read(left).is_same_database_as(&read(right));
    assert!(same(
        "postgres://u@DB.example.org./d",
        "host=db.example.org user=v dbname=d"
    ));
    assert!(same(
        "postgres://u@localhost/d",
        "postgres://v@127.0.0.1:5432/d"
    ));
    assert!(same("postgres://u@[::1]/d", "postgres:///d?host=/tmp"));
    assert!(same("postgres://u@a,b/d", "postgres://u@b/d"));
    assert!(!same("postgres://u@h/d", "postgres://u@h/e"));
    assert!(!same("postgres://u@h/d", "postgres://u@h:5433/d"));
    assert!(!same(
        "postgres://u@/d?host=/tmp/own",
        "postgres://u@localhost/d"
    ));
    let pooler = "postgres://postgres.abcd:x@aws-0-eu-west-1.pooler.supabase.com:6543/postgres";
    assert!(same(
        pooler,
        "postgres://postgres:x@db.abcd.supabase.co:5432/postgres"
    ));
    assert!(same(
        pooler,
        "postgres://postgres.abcd@aws-0-eu-west-1.pooler.supabase.com:5432/postgres"
    ));
    assert!(same(
        pooler,
        "postgres://postgres:x@aws-0-eu-west-1.pooler.supabase.com/postgres?options=reference%3Dabcd"
    ));
    assert!(!same(
        pooler,
        "postgres://postgres:x@db.efgh.supabase.co:5432/postgres"
    ));
    assert!(same(
        "postgres://u@ep-a-1-pooler.eu.aws.neon.tech/d",
        "postgres://u@ep-a-1.eu.aws.neon.tech/d"
    ));
}

#[test]
fn direct_addresses_of_known_poolers_are_derived() {
    let ways = |text: &str| {
        let ways: Vec<String> = read(text).direct().iter().map(Target::to_string).collect();
        ways.join(" | ")
    };
    insta::assert_snapshot!(ways("postgres://postgres.abcd:x@aws-0-eu.pooler.supabase.com:6543/postgres"),
        @"postgres@db.abcd.supabase.co:5432/postgres | postgres.abcd@aws-0-eu.pooler.supabase.com:5432/postgres");
    insta::assert_snapshot!(ways("postgres://deploy.abcd:x@aws-0-eu.pooler.supabase.com:6543/postgres"),
        @"deploy@db.abcd.supabase.co:5432/postgres | deploy.abcd@aws-0-eu.pooler.supabase.com:5432/postgres");
    insta::assert_snapshot!(ways("postgres://postgres:x@db.abcd.supabase.co:6543/postgres"), @"postgres@db.abcd.supabase.co:5432/postgres");
    insta::assert_snapshot!(ways("postgres://u:x@ep-a-1-pooler.eu.neon.tech/d"), @"u@ep-a-1.eu.neon.tech:5432/d");
    assert_eq!(ways("postgres://u@bouncer.example.org:6432/d"), "");
    assert_eq!(ways("postgres://postgres@db.abcd.supabase.co/postgres"), "");
}

#[test]
fn environment_for_postgres_programs() {
    let target = read("postgres://u:p@h,[::1]:7/d?sslmode=verify-full&sslrootcert=system");
    let shown: Vec<String> = target
        .environment()
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    insta::assert_snapshot!(shown.join("\n"), @r"
    PGHOST=h,::1
    PGPORT=5432,7
    PGDATABASE=d
    PGSSLMODE=verify-full
    PGUSER=u
    PGPASSWORD=p
    PGSSLROOTCERT=system
    ");
}

proptest::proptest! {
    #[test]
    fn an_encoded_password_arrives_whole_and_is_never_shown(password in "[^\\x00]{1,20}") {
        let encoded: String = password.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let target = read(&format!("postgres://u:{encoded}@h/d"));
        proptest::prop_assert_eq!(target.password(&target.hosts[0]).unwrap().reveal(), &password);
        proptest::prop_assert_eq!(target.to_string(), "u@h:5432/d");
        let quoted = password.replace('\\', "\\\\").replace('\'', "\\'");
        proptest::prop_assert_eq!(&read(&format!("user=u password='{quoted}' host=h dbname=d")), &target);
    }

    #[test]
    fn a_pasted_password_is_never_shown(before in "[a-z/@:?#%&, ]{0,6}", after in "[a-z/:?#%&, ]{0,6}") {
        let text = format!("postgres://alice:{before}hunter2{after}@h:5432/d");
        let shown = match Target::parse(&text) {
            Ok(target) => format!("{target} {target:?}"),
            Err(error) => format!("{error:#} {:?}", hint_of(&error)),
        };
        // Everything after the last `@` is the host.
        proptest::prop_assert!(!shown.contains("hunter2"), "{text}: {shown}");
    }

    #[test]
    fn any_text_is_read_or_refused(text in ".{0,60}") {
        let _ = Target::parse(&text);
        let _ = Target::parse(&format!("postgres://{text}"));
        let _ = Target::parse(&format!("host={text}"));
    }
}

#[test]
fn names_of_the_local_machine_are_equal() {
    let of = |host: &str| {
        let target = Target::parse(&format!("postgres://u@{host}:5432/d")).unwrap();
        target.addresses().into_iter().next().unwrap().server
    };
    let here = [
        "127.1",
        "127.0.1",
        "2130706433",
        "0x7f.1",
        "0x7F000001",
        "0177.0.0.1",
        "0",
        "0.0.0.0",
        "[::]",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "LOCALHOST.",
        "a.localhost",
    ];
    for host in here {
        assert_eq!(of(host), "localhost", "{host}");
    }
    let elsewhere = [
        "128.1",
        "0x80.1",
        "256.1",
        "1.2.3.4.5",
        "127.1.example.com",
        "0x",
        "08.1",
    ];
    for host in elsewhere {
        assert_ne!(of(host), "localhost", "{host}");
    }
    assert_eq!(of("10.258"), "10.0.1.2");
    let dialled = Target::parse("host=db.example.com hostaddr=127.0.0.1 dbname=d").unwrap();
    assert!(dialled.is_same_database_as(&Target::parse("postgres://localhost/d").unwrap()));
}

#[test]
fn unknown_parts_match_anything() {
    let is = |declared: &str, reached: &str| {
        let declared = Target::parse(declared).unwrap();
        declared.likeness(&Target::parse(reached).unwrap())
    };
    let reached = "postgres://u@h:5432/d";
    for (declared, likeness) in [
        ("postgres://u:af-db-unknown@h:5432/d", Likeness::Same),
        ("postgres://af-db-unknown@h/d", Likeness::Same),
        ("postgres://u@af-db-unknown/d", Likeness::Unclear),
        ("postgres://u@af-db-unknown:6432/d", Likeness::Unclear),
        ("postgres://u@h/af-db-unknown", Likeness::Unclear),
        ("postgres://u@af-db-unknown/other", Likeness::Different),
        ("postgres://u@other/af-db-unknown", Likeness::Different),
        ("postgres://u@h:6432/af-db-unknown", Likeness::Different),
        ("postgres://u@other/d,", Likeness::Different),
    ] {
        assert_eq!(is(declared, reached), likeness, "{declared}");
    }
}
