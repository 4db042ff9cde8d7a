//! The least a program must do that applies migrations: connect, take a lock, read the history, run each file and its
//! history row in a transaction of its own, with the COMMIT as a message of its own.
//!
//! `floor apply URL FOLDER` applies, `floor look URL [FOLDER]` connects and reads the history once (and every file), `floor delay PORT TO MS` passes
//! everything on to a port of this machine, so much later in each direction.

use std::error::Error;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_postgres::{Client, NoTls};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["apply", url, folder] => apply(url, folder).await,
        ["look", url, folder @ ..] => {
            let mut bytes = 0;
            for folder in folder {
                for (_, _, text) in files(folder)? {
                    bytes += text.len();
                }
            }
            let client = connect(url).await?;
            println!("{} applied, {bytes} bytes of files", client.query("SELECT version, checksum FROM floor_history", &[]).await?.len());
            Ok(())
        }
        ["delay", port, to, milliseconds] => delay(port.parse()?, to.parse()?, milliseconds.parse()?).await,
        _ => Err("floor apply URL FOLDER | look URL [FOLDER] | delay PORT TO MILLISECONDS".into()),
    }
}

async fn connect(url: &str) -> Result<Client, Box<dyn Error>> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

fn files(folder: &str) -> Result<Vec<(i64, String, String)>, Box<dyn Error>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let version: i64 = name.trim_start_matches('V').split("__").next().unwrap_or_default().parse()?;
        files.push((version, name, std::fs::read_to_string(path)?));
    }
    files.sort();
    Ok(files)
}

async fn apply(url: &str, folder: &str) -> Result<(), Box<dyn Error>> {
    let files = files(folder)?;
    let client = connect(url).await?;
    client
        .batch_execute(
            "SELECT pg_advisory_lock(1); CREATE TABLE IF NOT EXISTS floor_history \
             (version int8 PRIMARY KEY, name text, applied_on timestamptz, checksum text)",
        )
        .await?;
    let applied = client.query("SELECT version, checksum FROM floor_history", &[]).await?;
    let applied: Vec<i64> = applied.iter().map(|row| row.get(0)).collect();
    for (version, name, text) in files.iter().filter(|(version, ..)| !applied.contains(version)) {
        let sql = format!("BEGIN;\n{text}\n;\nINSERT INTO floor_history VALUES ({version}, '{name}', now(), '')");
        client.batch_execute(&sql).await?;
        client.batch_execute("COMMIT").await?;
    }
    Ok(())
}

async fn delay(port: u16, to: u16, milliseconds: u64) -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    loop {
        let (client, _) = listener.accept().await?;
        let server = TcpStream::connect(("127.0.0.1", to)).await?;
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = server.into_split();
        let later = Duration::from_millis(milliseconds);
        tokio::spawn(pass(from_client, to_server, later));
        tokio::spawn(pass(from_server, to_client, later));
    }
}

async fn pass(mut from: impl AsyncReadExt + Unpin, mut to: impl AsyncWriteExt + Unpin, later: Duration) {
    let mut buffer = vec![0; 1 << 20];
    while let Ok(length) = from.read(&mut buffer).await {
        if length == 0 {
            break;
        }
        tokio::time::sleep(later).await;
        if to.write_all(&buffer[..length]).await.is_err() {
            break;
        }
    }
    let _ = to.shutdown().await;
}
