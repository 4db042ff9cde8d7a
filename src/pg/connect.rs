//! Owns opening a session: TLS, retries while the server starts up, the settings every session has.

use anyhow::Result;

use crate::event::Watch;
use crate::pg::session::Session;
use crate::pg::target::Target;

/// Opens a session on a database.
pub async fn open(target: &Target, watch: Watch<'_>) -> Result<Session> {
    let _ = watch;
    let (client, connection) = target
        .driver
        .connect(tokio_postgres::NoTls)
        .await
        .map_err(crate::pg::server_error::ServerError::from)?;
    Ok(Session::start(client, connection))
}
