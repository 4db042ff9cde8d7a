//! The location of an object store: its URL, with credentials and settings from the usual environment variables.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::path::Path;
use object_store::{BackoffConfig, ClientOptions, ObjectStore, RetryConfig};

use super::transport::Connector;
use crate::error::{Failure, fail};

/// An object store and the prefix of it that archives go under.
pub(super) struct BucketLocation {
    pub(super) store: Arc<dyn ObjectStore>,
    pub(super) prefix: Path,
    pub(super) shown: String,
}

/// The kinds of store, by their schemes.
pub(super) const SCHEMES: &[&str] = &["s3", "gs", "az"];

/// Reads `s3://bucket/prefix`, `gs://bucket/prefix` or `az://container/prefix`.
pub(super) fn parse(url: &str, variables: &BTreeMap<String, String>) -> Result<BucketLocation> {
    let (scheme, rest) = url.split_once("://").unwrap_or_default();
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    if bucket.is_empty() || bucket.contains(['@', '?', '#']) {
        return Err(fail("the store URL names no bucket")
            .hint("use s3://BUCKET/PREFIX, gs://BUCKET/PREFIX or az://CONTAINER/PREFIX; credentials come from the environment")
            .into());
    }
    let store: Arc<dyn ObjectStore> = match scheme {
        "s3" => Arc::new(s3(bucket, variables)?),
        "gs" => Arc::new(gs(bucket, variables)?),
        _ => Arc::new(az(bucket, variables)?),
    };
    let prefix = Path::parse(prefix.trim_matches('/'))
        .map_err(|_| fail(format!("`{prefix}` is not a valid prefix")))?;
    let slash = if prefix.as_ref().is_empty() { "" } else { "/" };
    Ok(BucketLocation {
        store,
        shown: format!("{scheme}://{bucket}{slash}{prefix}"),
        prefix,
    })
}

/// Returns every variable with the prefix that the store's client supports.
fn known<'a, K: FromStr + 'a>(
    variables: &'a BTreeMap<String, String>,
    prefix: &'a str,
) -> impl Iterator<Item = (K, &'a str)> {
    variables
        .iter()
        .filter(move |(name, value)| name.starts_with(prefix) && !value.is_empty())
        .filter_map(|(name, value)| {
            let key = name.to_ascii_lowercase().parse().ok()?;
            Some((key, value.as_str()))
        })
}

fn s3(bucket: &str, variables: &BTreeMap<String, String>) -> Result<impl ObjectStore + use<>> {
    let mut builder = AmazonS3Builder::new()
        .with_http_connector(Connector)
        .with_client_options(client())
        .with_retry(retry());
    for (key, value) in known::<AmazonS3ConfigKey>(variables, "AWS_") {
        builder = builder.with_config(key, value);
    }
    // What other programs call the endpoint of object stores alone.
    if let Some(endpoint) = variables.get("AWS_ENDPOINT_URL_S3") {
        builder = builder.with_endpoint(endpoint);
    }
    let endpoint = ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"]
        .iter()
        .find_map(|name| variables.get(*name));
    let plain = endpoint.is_some_and(|endpoint| is_here(endpoint));
    if plain {
        builder = builder.with_allow_http(true);
    }
    built(
        builder.with_bucket_name(bucket).build(),
        "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION and, for a store that is not Amazon's, AWS_ENDPOINT_URL",
    )
}

fn gs(bucket: &str, variables: &BTreeMap<String, String>) -> Result<impl ObjectStore + use<>> {
    let mut builder = GoogleCloudStorageBuilder::new()
        .with_http_connector(Connector)
        .with_client_options(client())
        .with_retry(retry());
    for (key, value) in known::<GoogleConfigKey>(variables, "GOOGLE_") {
        builder = builder.with_config(key, value);
    }
    if let Some(host) = variables.get("STORAGE_EMULATOR_HOST") {
        builder = builder
            .with_base_url(host)
            .with_client_options(client().with_allow_http(is_here(host)));
    }
    built(
        builder.with_bucket_name(bucket).build(),
        "GOOGLE_APPLICATION_CREDENTIALS or GOOGLE_SERVICE_ACCOUNT",
    )
}

fn az(container: &str, variables: &BTreeMap<String, String>) -> Result<impl ObjectStore + use<>> {
    let mut builder = MicrosoftAzureBuilder::new()
        .with_http_connector(Connector)
        .with_client_options(client())
        .with_retry(retry());
    for (key, value) in known::<AzureConfigKey>(variables, "AZURE_") {
        builder = builder.with_config(key, value);
    }
    let endpoint = ["AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT"]
        .iter()
        .find_map(|name| variables.get(*name));
    if let Some(endpoint) = endpoint {
        builder = builder.with_allow_http(is_here(endpoint));
    }
    built(
        builder.with_container_name(container).build(),
        "AZURE_STORAGE_ACCOUNT_NAME with AZURE_STORAGE_ACCOUNT_KEY, AZURE_STORAGE_SAS_KEY or a managed identity",
    )
}

/// Returns whether an endpoint is on this machine, where plain HTTP is allowed.
fn is_here(endpoint: &str) -> bool {
    ["http://127.0.0.1", "http://localhost", "http://[::1]"]
        .iter()
        .any(|here| endpoint.starts_with(here))
}

fn built<T>(built: object_store::Result<T>, needs: &str) -> Result<T> {
    built.map_err(|error| {
        let failure: Failure = fail(format!("the store's configuration is invalid: {error}"));
        failure
            .hint(format!(
                "set {needs} in the environment; .env may set keys, but no paths of key files"
            ))
            .into()
    })
}

/// Long enough for a part over a slow line, short enough that a line that is dead is noticed.
fn client() -> ClientOptions {
    ClientOptions::new()
        .with_connect_timeout(Duration::from_secs(10))
        .with_timeout(Duration::from_secs(180))
}

fn retry() -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig {
            init_backoff: Duration::from_millis(100),
            max_backoff: Duration::from_secs(10),
            base: 2.0,
        },
        max_retries: 8,
        retry_timeout: Duration::from_secs(120),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        pairs.iter().map(owned).collect()
    }

    #[test]
    fn a_url_names_a_bucket_and_a_prefix() {
        let set = variables(&[
            ("AWS_ACCESS_KEY_ID", "a"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
            ("AWS_REGION", "eu-west-1"),
        ]);
        let place = parse("s3://bucket/a/b/", &set).unwrap();
        assert_eq!(
            (place.shown.as_str(), place.prefix.as_ref()),
            ("s3://bucket/a/b", "a/b")
        );
        assert_eq!(parse("s3://bucket", &set).unwrap().shown, "s3://bucket");
        for wrong in ["s3://", "s3:///x", "s3://key:secret@bucket/x"] {
            let error = parse(wrong, &set).err().unwrap();
            assert!(!format!("{error:#}").contains("secret"), "{error:#}");
        }
    }

    #[test]
    fn plain_http_is_only_for_this_machine() {
        assert!(is_here("http://127.0.0.1:9000"));
        assert!(!is_here("http://storage.example.org"));
    }
}
