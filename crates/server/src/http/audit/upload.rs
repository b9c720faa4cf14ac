//! Uploads: a form's file, streamed to the disk, and whatever stands beside it.

use std::time::Duration;

use axum::{
    extract::{
        FromRequest as _, Multipart, Request,
        multipart::{Field, MultipartError},
    },
    http::StatusCode,
};
use sentinelflow_domain::tenant::TenantId;
use tempfile::TempPath;
use tokio::io::AsyncWriteExt as _;
use utoipa::ToSchema;

use crate::{
    app::App,
    http::{error::ApiError, extract::Query},
    hunts::HuntError,
    printable::misleads,
};

/// How long the next piece of an upload may take.
const PIECE_DEADLINE: Duration = Duration::from_secs(30);
const FORM_TEXT_MAX_BYTES: usize = 4096;
const FILENAME_MAX_CHARS: usize = 255;

#[derive(ToSchema)]
#[schema(as = Upload)]
#[expect(dead_code, reason = "describes the body; `Upload` reads it")]
pub(super) struct UploadShape {
    /// A table: CSV (also with tabs, semicolons or bars), JSON lines, Parquet, XLS or XLSX; text also packed by gzip or
    /// zstd. The content decides, not the name.
    #[schema(value_type = String, format = Binary)]
    file: Vec<u8>,
}

/// An upload in a temporary file, which goes when this does.
pub(super) struct Upload {
    pub(super) path: TempPath,
    pub(super) filename: String,
    /// The request's query and the form's other fields.
    pub(super) options: Query,
}

impl Upload {
    /// Streams the body to disk.
    pub(super) async fn receive(request: Request, app: &App, tenant: TenantId) -> Result<Self, ApiError> {
        let mut options = Query::pairs_of(request.uri());
        let mut form = Multipart::from_request(request, app).await.map_err(|rejection| {
            ApiError::client(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported_media_type",
                format!(
                    "The body must be a form with a file (Content-Type: multipart/form-data): {rejection}."
                ),
            )
        })?;
        let mut file = None;
        while let Some(field) = in_time(form.next_field()).await? {
            match field.name().unwrap_or("").to_owned().as_str() {
                "file" if file.is_some() => {
                    return Err(ApiError::malformed("The form holds more than one file."));
                }
                "file" => {
                    let filename = printable(field.file_name().unwrap_or("upload"));
                    file = Some((spool(field, app, tenant).await?, filename));
                }
                name => options.push((name.to_owned(), text(field).await?)),
            }
        }
        let (path, filename) = file.ok_or_else(|| ApiError::malformed("The form has no field 'file'."))?;
        Ok(Self { path, filename, options: Query::from_pairs(options) })
    }
}

async fn in_time<T>(piece: impl Future<Output = Result<T, MultipartError>>) -> Result<T, ApiError> {
    match tokio::time::timeout(PIECE_DEADLINE, piece).await {
        Ok(read) => read
            .map_err(|error| ApiError::malformed(format!("The form can't be read: {}.", error.body_text()))),
        Err(_) => Err(ApiError::client(StatusCode::REQUEST_TIMEOUT, "timeout", "The upload stalled.")),
    }
}

async fn spool(mut field: Field<'_>, app: &App, tenant: TenantId) -> Result<TempPath, ApiError> {
    let (file, path) = app.hunts.new_upload(tenant)?.into_parts();
    let mut file = tokio::io::BufWriter::with_capacity(1 << 18, tokio::fs::File::from_std(file));
    let mut bytes_left = app.max_upload_bytes;
    while let Some(piece) = in_time(field.chunk()).await? {
        bytes_left = bytes_left.checked_sub(piece.len() as u64).ok_or_else(|| {
            ApiError::client(
                StatusCode::PAYLOAD_TOO_LARGE,
                "too_large",
                format!("The file is larger than {} bytes.", app.max_upload_bytes),
            )
        })?;
        file.write_all(&piece).await.map_err(HuntError::Spool)?;
    }
    file.flush().await.map_err(HuntError::Spool)?;
    Ok(path)
}

async fn text(mut field: Field<'_>) -> Result<String, ApiError> {
    let mut bytes = Vec::new();
    while let Some(piece) = in_time(field.chunk()).await? {
        if bytes.len() + piece.len() > FORM_TEXT_MAX_BYTES {
            return Err(ApiError::malformed(format!(
                "A form field is longer than {FORM_TEXT_MAX_BYTES} bytes."
            )));
        }
        bytes.extend_from_slice(&piece);
    }
    String::from_utf8(bytes).map_err(|_| ApiError::malformed("A form field is not UTF-8."))
}

/// Returns the name a file was sent under, without characters that could mislead whoever reads it.
fn printable(filename: &str) -> String {
    filename.chars().filter(|char| !misleads(*char)).take(FILENAME_MAX_CHARS).collect()
}
