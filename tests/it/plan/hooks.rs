//! What happens around a command: numbers for Prometheus, a log of objects, notifications.

use std::io::{Read as _, Write as _};
use std::sync::mpsc;

use super::project;
use crate::support::server;

/// Takes requests, answers each with this status, and gives their texts.
fn receiver(status: &'static str) -> (u16, mpsc::Receiver<String>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let (give, take) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let mut text = Vec::new();
            let mut piece = [0; 4096];
            loop {
                let read = stream.read(&mut piece).expect("a request");
                text.extend_from_slice(&piece[..read]);
                let shown = String::from_utf8_lossy(&text);
                let Some((head, body)) = shown.split_once("\r\n\r\n") else {
                    continue;
                };
                let length = head.lines().find_map(|line| {
                    line.to_lowercase()
                        .strip_prefix("content-length: ")?
                        .parse::<usize>()
                        .ok()
                });
                if read == 0 || body.len() >= length.unwrap_or(0) {
                    break;
                }
            }
            let answer =
                format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            stream.write_all(answer.as_bytes()).expect("an answer");
            if give
                .send(String::from_utf8_lossy(&text).into_owned())
                .is_err()
            {
                return;
            }
        }
    });
    (port, take)
}

#[tokio::test]
async fn start_and_end_are_told_and_signed() {
    let database = server::database().await;
    let project = project(&database.target, "protected: false").await;
    let (port, told) = receiver("204 No Content");
    project.write(
        "af-db.yaml",
        format!(
            "notify: {{ url: \"http://127.0.0.1:{port}/hook\", secret: \"${{HOOK_SECRET}}\" }}\n"
        ),
    );
    let tool = project.tool(&["up"]).env("HOOK_SECRET", "geheim");
    let done = tool.run().await.unwrap();
    assert!(done.status.success(), "{}", done.stderr);
    let mut events = Vec::new();
    for _ in 0..2 {
        let request = told.recv().unwrap();
        assert!(
            request
                .to_lowercase()
                .contains("x-af-db-signature-256: sha256="),
            "{request}"
        );
        assert!(!request.contains("geheim"));
        let body: serde_json::Value =
            serde_json::from_str(request.split("\r\n\r\n").nth(1).unwrap()).unwrap();
        assert_eq!(body["command"], "up");
        events.push(body["event"].as_str().unwrap().to_owned());
    }
    events.sort();
    assert_eq!(events, ["ended", "started"]);
}

#[tokio::test]
async fn a_receiver_that_fails_changes_nothing() {
    let database = server::database().await;
    let project = project(&database.target, "protected: false").await;
    let (port, _told) = receiver("500 Oops");
    project.write(
        "af-db.yaml",
        format!("notify: {{ url: \"http://127.0.0.1:{port}/geheim\" }}\n"),
    );
    let ran = project.run(&["up"]).await.ok();
    assert!(
        ran.stderr.contains("the receiver returned HTTP status 500"),
        "{}",
        ran.stderr
    );
    assert!(!ran.stderr.contains("geheim"), "{}", ran.stderr);
    project.write("af-db.yaml", "notify: { url: \"${NOWHERE}\" }\n");
    let ran = project.run(&["up"]).await.ok();
    assert!(
        ran.stderr.contains("notification not sent"),
        "{}",
        ran.stderr
    );
}

#[tokio::test]
async fn numbers_and_a_log_are_left() {
    let database = server::database().await;
    let project = project(&database.target, "protected: false").await;
    let arguments = ["up", "--metrics-file", "af-db.prom", "--log-format", "json"];
    let ran = project.run(&arguments).await.ok();
    for line in ran.stderr.lines() {
        let line: serde_json::Value = serde_json::from_str(line).expect("an object a line");
        assert!(
            line["at"].is_string() && line["level"].is_string(),
            "{line}"
        );
    }
    assert!(
        ran.stderr.contains("applied migrations/V2__b.sql"),
        "{}",
        ran.stderr
    );
    let text = std::fs::read_to_string(project.folder.path().join("af-db.prom")).unwrap();
    assert!(
        text.contains("af_db_last_run_success{command=\"up\",environment=\"local\""),
        "{text}"
    );
    assert!(
        text.contains("af_db_pending_migrations") && text.contains("version=\"3\""),
        "{text}"
    );
    project.write("migrations/V4__d.sql", "SELECT nope;\n");
    let ran = project.run(&arguments).await;
    assert_eq!(ran.status, 2);
    let last = ran.stderr.lines().last().unwrap();
    assert!(last.contains("\"level\":\"error\""), "{last}");
    let text = std::fs::read_to_string(project.folder.path().join("af-db.prom")).unwrap();
    assert!(
        text.contains("af_db_last_run_status{command=\"up\",environment=\"local\""),
        "{text}"
    );
    assert!(!text.contains("af_db_pending"), "{text}");
}
