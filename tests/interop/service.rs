//! Boots like a service that embeds its migrations, and says which it applied.

mod embedded {
    refinery::embed_migrations!("../migrations");
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1).ok_or("give the address of a database")?;
    let (mut client, connection) = tokio_postgres::connect(&address, tokio_postgres::NoTls).await?;
    tokio::spawn(connection);
    let report = embedded::migrations::runner().run_async(&mut client).await?;
    let versions: Vec<String> = report.applied_migrations().iter().map(|one| one.version().to_string()).collect();
    println!("applied [{}]", versions.join(" "));
    Ok(())
}
