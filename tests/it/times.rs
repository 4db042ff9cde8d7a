//! Which tests take longest: `AF_DB_TEST_TIMES=1 cargo test --test it -- times --nocapture` runs all the others and tells.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

/// How many of the slowest tests are told.
const TOLD: usize = 20;

/// What a run of the tests says, line by line: how long each test took.
#[derive(Debug, Default)]
struct Times(BTreeMap<String, f64>);

impl Times {
    /// Takes a line such as `test laws::a_case ... ok <1.234s>`; others say nothing of the time.
    fn take(&mut self, line: &str) {
        let told = line.strip_prefix("test ").and_then(|rest| {
            let (name, end) = rest.split_once(" ... ")?;
            let (_, seconds) = end.strip_suffix("s>")?.rsplit_once('<')?;
            Some((name.to_owned(), seconds.parse().ok()?))
        });
        self.0.extend(told);
    }

    /// Gives the slowest tests, and the sum over all.
    fn report(&self) -> String {
        let mut slowest: Vec<(&String, &f64)> = self.0.iter().collect();
        slowest.sort_by(|one, other| other.1.total_cmp(one.1));
        let line = |(name, seconds): &(&String, &f64)| format!("{seconds:>9.3} s  {name}\n");
        let lines: String = slowest.iter().take(TOLD).map(line).collect();
        let total: f64 = self.0.values().sum();
        format!("{lines}{total:>9.3} s  all {} tests\n", self.0.len())
    }
}

#[test]
fn the_slowest_are_told_first_and_all_are_counted() {
    let mut times = Times::default();
    for line in [
        "running 3 tests",
        "test a::quick ... ok <0.250s>",
        "test a::slow ... FAILED <2.000s>",
        "test b::slower ... ok <10.500s>",
        "test a::slow has been running for over 60 seconds",
        "test result: FAILED. 2 passed; 1 failed; finished in 12.75s",
    ] {
        times.take(line);
    }
    assert_eq!(
        times.report(),
        "   10.500 s  b::slower\n    2.000 s  a::slow\n    0.250 s  a::quick\n   12.750 s  all 3 tests\n"
    );
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "the surroundings of the tests, not the program under test"
)]
fn every_test_is_timed_where_it_is_asked_for() {
    const NAME: &str = "times::every_test_is_timed_where_it_is_asked_for";
    let program = std::env::current_exe().expect("this program");
    let mut command = std::process::Command::new(program);
    // Only an unstable option of the harness tells times, which a stable one takes when told so.
    command
        .args(["-Zunstable-options", "--report-time", "--skip", NAME])
        .env("RUSTC_BOOTSTRAP", "1");
    let is_asked_for = std::env::var_os("AF_DB_TEST_TIMES").is_some();
    if is_asked_for {
        let is_alone = std::env::args().any(|argument| argument.starts_with("times"));
        assert!(
            is_alone,
            "all others would run twice; hint: cargo test --test it -- times --nocapture"
        );
    } else {
        // One of them shows that the harness still tells what is read here.
        command.args([
            "--exact",
            "times::the_slowest_are_told_first_and_all_are_counted",
        ]);
    }
    let mut child = command.stdout(Stdio::piped()).spawn().expect("the tests");
    let mut times = Times::default();
    for line in BufReader::new(child.stdout.take().expect("its words")).lines() {
        times.take(&line.expect("its words"));
    }
    let status = child.wait().expect("the tests end");
    if is_asked_for {
        println!("{}", times.report());
    } else {
        assert_eq!(times.0.len(), 1);
    }
    assert!(status.success(), "the tests ended with {status}");
}
